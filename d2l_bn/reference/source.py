"""The source's two definitions, transcribed once, as the reference for parity and speed.

Part 1 of the article "TensorFlow使用记录(七):BN层和Dropout层的使用" (2023-09-29), which follows
"Dive into Deep Learning" (Zhang, Lipton, Li and Smola, https://zh.d2l.ai). The code is the
article's, with the words put back that a machine translation had damaged. Don't improve it: it is
what "the source's semantics" means. Its shortcomings are the subject of chapters 2 and 4.
"""

from mxnet import autograd, init, nd
from mxnet.gluon import nn


def source_batch_norm(X, gamma, beta, moving_mean, moving_var, eps, momentum):
    if not autograd.is_training():
        X_hat = (X - moving_mean) / nd.sqrt(moving_var + eps)
    else:
        assert len(X.shape) in (2, 4)
        if len(X.shape) == 2:
            mean = X.mean(axis=0)
            var = ((X - mean) ** 2).mean(axis=0)
        else:
            mean = X.mean(axis=(0, 2, 3), keepdims=True)
            var = ((X - mean) ** 2).mean(axis=(0, 2, 3), keepdims=True)
        X_hat = (X - mean) / nd.sqrt(var + eps)
        moving_mean = momentum * moving_mean + (1.0 - momentum) * mean
        moving_var = momentum * moving_var + (1.0 - momentum) * var
    Y = gamma * X_hat + beta
    return Y, moving_mean, moving_var


class SourceBatchNorm(nn.Block):
    def __init__(self, num_features, num_dims, **kwargs):
        super(SourceBatchNorm, self).__init__(**kwargs)  # noqa: UP008
        if num_dims == 2:  # noqa: SIM108
            shape = (1, num_features)
        else:
            shape = (1, num_features, 1, 1)
        self.gamma = self.params.get("gamma", shape=shape, init=init.One())
        self.beta = self.params.get("beta", shape=shape, init=init.Zero())
        self.moving_mean = nd.zeros(shape)
        self.moving_var = nd.zeros(shape)

    def forward(self, X):
        if self.moving_mean.context != X.context:
            self.moving_mean = self.moving_mean.copyto(X.context)
            self.moving_var = self.moving_var.copyto(X.context)
        Y, self.moving_mean, self.moving_var = source_batch_norm(
            X, self.gamma.data(), self.beta.data(), self.moving_mean,
            self.moving_var, eps=1e-5, momentum=0.9)  # fmt: skip
        return Y
