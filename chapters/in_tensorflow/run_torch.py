"""Two training steps of PyTorch's batch normalization."""

from __future__ import annotations

import torch
from in_tensorflow.one_step import Case, Run


def run(case: Case, *, start=None, **options) -> Run:
    """Take a step with `torch.nn.BatchNorm1d` or `BatchNorm2d`."""
    make = torch.nn.BatchNorm1d if case.X.ndim == 2 else torch.nn.BatchNorm2d
    layer = make(case.X.shape[1], **options)
    X, dY, gamma, beta = (torch.from_numpy(array.copy()) for array in case)
    layer.load_state_dict({"weight": gamma, "bias": beta}, strict=False)
    if start is not None:
        mean, var = (torch.as_tensor(array) for array in start)
        layer.load_state_dict({"running_mean": mean, "running_var": var}, strict=False)

    def averages():
        return [layer.running_mean.numpy().copy(), layer.running_var.numpy().copy()]

    before = averages()
    X.requires_grad_()
    Y = layer.train()(X)
    forward = averages()
    Y.backward(dY)
    after = averages()
    updates = "forward" if (forward[0] == after[0]).all() else "backward"
    Y_predict, Y_next_predict = (layer.eval()(X_).detach().numpy() for X_ in (X, -X))
    fresh = make(case.X.shape[1], **options)
    fresh.load_state_dict(layer.state_dict())
    Y_default = {"": fresh(-X).detach().numpy()}
    Y_next = layer.train()(-X).detach().numpy()
    return Run(
        Y.detach().numpy(), X.grad.numpy(), layer.weight.grad.numpy(), layer.bias.grad.numpy(),
        before[0], before[1], after[0], after[1], Y_predict, updates,
        Y_next, Y_next_predict, layer.running_mean.numpy().copy(), Y_default,
    )  # fmt: skip
