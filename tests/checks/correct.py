"""Right solutions in as many styles as students have."""

from __future__ import annotations

import numpy as np

from mxnet import autograd, gluon, init, nd
from mxnet.gluon import nn


def with_moments(X, gamma, beta, moving_mean, moving_var, eps, momentum):
    if autograd.is_training():
        axes = (0,) if len(X.shape) == 2 else (0, 2, 3)
        mean, var = nd.moments(X, axes=axes, keepdims=True)
        moving_mean = moving_mean * momentum + mean * (1.0 - momentum)
        moving_var = moving_var * momentum + var * (1.0 - momentum)
    else:
        mean, var = moving_mean, moving_var
    return gamma * ((X - mean) / (var + eps).sqrt()) + beta, moving_mean, moving_var


def loops(X, gamma, beta, moving_mean, moving_var, eps, momentum):
    channels = X.shape[1]
    columns, means, variances = [], [], []
    for c in range(channels):
        x = X.slice_axis(axis=1, begin=c, end=c + 1)
        if autograd.is_training():
            mean = x.sum() / x.size
            var = ((x - mean.reshape((1,) * len(X.shape))) ** 2).sum() / x.size
        else:
            mean, var = moving_mean.reshape(-1)[c], moving_var.reshape(-1)[c]
        one = (1,) * len(X.shape)
        x_hat = (x - mean.reshape(one)) / nd.sqrt(var.reshape(one) + eps)
        scale, shift = (v.slice_axis(axis=1, begin=c, end=c + 1) for v in (gamma, beta))
        columns.append(scale.reshape(one) * x_hat + shift.reshape(one))
        means.append(mean)
        variances.append(var)
    Y = nd.concat(*columns, dim=1)
    if autograd.is_training():
        mean = nd.concat(*(m.reshape(1) for m in means), dim=0).reshape(moving_mean.shape)
        var = nd.concat(*(v.reshape(1) for v in variances), dim=0).reshape(moving_var.shape)
        moving_mean = momentum * moving_mean + (1 - momentum) * mean
        moving_var = momentum * moving_var + (1 - momentum) * var
    return Y, moving_mean, moving_var


def flattened_by_transposing(X, gamma, beta, moving_mean, moving_var, eps, momentum):
    """Images as dense rows of one pixel each, channels last."""
    shape, kept = X.shape, moving_mean.shape
    if X.ndim == 4:
        X = X.transpose((0, 2, 3, 1))
    last = X.shape
    rows = X.reshape((-1, shape[1]))
    mean, var = moving_mean.reshape((1, -1)), moving_var.reshape((1, -1))
    if autograd.is_training():
        mean = rows.mean(axis=0, keepdims=True)
        var = nd.mean((rows - mean) ** 2, axis=0, keepdims=True)
        moving_mean = (momentum * moving_mean.reshape((1, -1)) + (1 - momentum) * mean).reshape(
            kept
        )
        moving_var = (momentum * moving_var.reshape((1, -1)) + (1 - momentum) * var).reshape(kept)
    rows = gamma.reshape((1, -1)) * (rows - mean) / nd.sqrt(var + eps) + beta.reshape((1, -1))
    Y = rows.reshape(last)
    return Y.transpose((0, 3, 1, 2)) if len(shape) == 4 else Y, moving_mean, moving_var


def matrix_sums(X, gamma, beta, moving_mean, moving_var, eps, momentum):
    """Sums as products with ones, by FullyConnected."""

    def mean_of(Z):
        channels = Z.shape[1]
        rows = Z.reshape((0, 0, -1)).transpose((1, 0, 2)).reshape((channels, -1))
        ones = nd.ones((1, rows.shape[1]), dtype=Z.dtype, ctx=Z.context)
        total = nd.FullyConnected(rows, ones, no_bias=True, num_hidden=1)
        return total.reshape(moving_mean.shape) / rows.shape[1]

    mean, var = moving_mean, moving_var
    if autograd.is_training():
        mean = mean_of(X)
        var = mean_of(nd.square(nd.broadcast_sub(X, mean)))
        moving_mean = moving_mean + (1 - momentum) * (mean - moving_mean)
        moving_var = moving_var + (1 - momentum) * (var - moving_var)
    scale = gamma / nd.sqrt(var + eps)
    return nd.broadcast_add(nd.broadcast_mul(X - mean, scale), beta), moving_mean, moving_var


def averages_in_place(X, gamma, beta, moving_mean, moving_var, eps, momentum):
    print("training:", autograd.is_training())
    axis = [i for i in range(len(X.shape)) if i != 1]
    mean, var = moving_mean, moving_var
    if autograd.is_training():
        mean = X.sum(axis=axis, keepdims=True) * X.shape[1] / X.size
        var = nd.sum(nd.square(X - mean), axis=axis, keepdims=True) * X.shape[1] / X.size
        with autograd.pause():
            moving_mean[:] = momentum * moving_mean + (1 - momentum) * mean
            moving_var[:] = momentum * moving_var + (1 - momentum) * var
    return (X - mean) * nd.rsqrt(var + eps) * gamma + beta, moving_mean, moving_var


def in_float64(X, gamma, beta, moving_mean, moving_var, eps, momentum):
    dtype = X.dtype
    X, g, b, m, v = (a.astype("float64") for a in (X, gamma, beta, moving_mean, moving_var))
    axis = {2: 0, 4: (0, 2, 3)}[X.ndim]
    if autograd.is_training():
        m_batch = X.mean(axis=axis, keepdims=True)
        v_batch = (X**2).mean(axis=axis, keepdims=True) - m_batch**2
        m, v = momentum * m + (1 - momentum) * m_batch, momentum * v + (1 - momentum) * v_batch
        X = (X - m_batch) / (v_batch + eps) ** 0.5
    else:
        X = (X - m) / (v + eps) ** 0.5
    return [value.astype(dtype) for value in (g * X + b, m, v)]


def pivoted(X, gamma, beta, moving_mean, moving_var, eps, momentum):
    """The difference of two means, but of values near zero; detached where no gradient goes."""
    if not autograd.is_training():
        scale = gamma / nd.sqrt(moving_var + eps)
        return X * scale + (beta - moving_mean * scale), moving_mean, moving_var
    first = X.slice_axis(axis=0, begin=0, end=1).detach()
    if X.ndim == 4:
        first = first.mean(axis=(2, 3), keepdims=True)
    axis = (0, 2, 3)[: X.ndim - 1] if X.ndim == 4 else 0
    D = X - first
    mean = D.mean(axis=axis, keepdims=True)
    var = (D * D).mean(axis=axis, keepdims=True) - mean * mean
    new_mean = momentum * moving_mean + (1 - momentum) * (mean + first).detach()
    new_var = momentum * moving_var + (1 - momentum) * var.detach()
    return gamma * (D - mean) / nd.sqrt(var + eps) + beta, new_mean, new_var


FUNCTIONS = [
    with_moments,
    loops,
    flattened_by_transposing,
    matrix_sums,
    averages_in_place,
    in_float64,
    pivoted,
]


class KeptAsParameters(nn.Block):
    def __init__(self, num_features, num_dims, **kwargs):
        super().__init__(**kwargs)
        shape = (1, num_features) + (1, 1) * (num_dims == 4)
        for name in ("gamma", "moving_var", "beta", "moving_mean"):
            kept = name.startswith("moving")
            start = init.One() if name == "gamma" else init.Zero()
            grad_req = "null" if kept else "write"
            setattr(self, name, self.params.get(name, shape=shape, init=start, grad_req=grad_req))

    def forward(self, X):
        ctx = X.context
        values = [p.data(ctx) for p in (self.gamma, self.beta, self.moving_mean, self.moving_var)]
        Y, mean, var = with_moments(X, *values, 1e-5, 0.9)
        if autograd.is_training():
            self.moving_mean.set_data(mean.detach())
            self.moving_var.set_data(var.detach())
        return Y


class SavedByHand(nn.Block):
    """NDArrays like the source's, which travel in constants when saved and loaded."""

    def __init__(self, num_features, num_dims, **kwargs):
        super().__init__(**kwargs)
        shape = (1, num_features) if num_dims == 2 else (1, num_features, 1, 1)
        self.gamma = gluon.Parameter("gamma", shape=shape, init="ones")
        self.beta = gluon.Parameter("beta", shape=shape, init="zeros")
        self.params.update({"gamma": self.gamma, "beta": self.beta})
        self.moving_mean = nd.zeros(shape)
        self.moving_var = nd.zeros(shape)

    def forward(self, X):
        if self.moving_mean.context != X.context:
            self.moving_mean = self.moving_mean.as_in_context(X.context)
            self.moving_var = self.moving_var.as_in_context(X.context)
        Y, self.moving_mean, self.moving_var = averages_in_place(
            X,
            self.gamma.data(X.context),
            self.beta.data(X.context),
            self.moving_mean,
            self.moving_var,
            1e-5,
            0.9,
        )
        return Y

    def save_parameters(self, filename, **kwargs):
        arrays = {"gamma": self.gamma.data(), "beta": self.beta.data()}
        nd.save(filename, {**arrays, "mean": self.moving_mean, "var": self.moving_var})

    def load_parameters(self, filename, ctx=None, **kwargs):
        self.initialize(ctx=ctx)
        arrays = nd.load(filename)
        self.gamma.set_data(arrays["gamma"])
        self.beta.set_data(arrays["beta"])
        self.moving_mean, self.moving_var = arrays["mean"], arrays["var"]


LAYERS = [KeptAsParameters, SavedByHand]


def step_by_step(dY, X, gamma, eps):
    """The chain rule at each equation, as in chapter 5, in NumPy."""
    m = len(X)
    mean, var = X.mean(0), X.var(0)
    std = np.sqrt(var + eps)
    X_hat = (X - mean) / std
    dX_hat = dY * gamma
    dvar = (dX_hat * (X - mean)).sum(0) * -0.5 / std**3
    dmean = -dX_hat.sum(0) / std + dvar * -2 * (X - mean).sum(0) / m
    return dX_hat / std + dvar * 2 * (X - mean) / m + dmean / m, (dY * X_hat).sum(0), dY.sum(0)


def in_one_line(dY, X, gamma, eps):
    std = (X.var(axis=0, keepdims=True) + eps) ** 0.5
    X_hat = (X - X.mean(axis=0, keepdims=True)) / std
    dbeta, dgamma = dY.sum(axis=0, keepdims=True), (dY * X_hat).sum(axis=0, keepdims=True)
    return [gamma / len(X) / std * (len(X) * dY - dbeta - X_hat * dgamma), dgamma, dbeta]


def feature_by_feature(dY, X, gamma, eps):
    dX, dgamma, dbeta = np.zeros_like(X), [], []
    for j in range(X.shape[1]):
        x, g = X[:, j], gamma[j] * dY[:, j]
        std = np.sqrt(np.mean((x - x.mean()) ** 2) + eps)
        x_hat = (x - x.mean()) / std
        dX[:, j] = (g - g.mean() - x_hat * (g @ x_hat) / len(x)) / std
        dgamma.append(dY[:, j] @ x_hat)
        dbeta.append(sum(dY[:, j]))
    return dX, np.array(dgamma), np.array(dbeta)


BACKWARD = [step_by_step, in_one_line, feature_by_feature]
