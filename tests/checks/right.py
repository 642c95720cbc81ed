"""Right solutions in as many styles as students have: none may be refused."""

# ruff: noqa: E501

from __future__ import annotations

import corpus
import numpy as np

from d2l_bn.nn.statistic import Statistic

import mxnet as mx
from mxnet import autograd, gluon, init, nd
from mxnet.gluon import nn

scope: dict = {"nd": nd, "autograd": autograd}
exec(corpus.cells("2-the-layer")["given-function"], scope)
batch_norm = scope["batch_norm"]


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
        self.gamma = gluon.Parameter(f"{self.prefix}gamma", shape=shape, init="ones")
        self.beta = gluon.Parameter(f"{self.prefix}beta", shape=shape, init="zeros")
        self.params.update({each.name: each for each in (self.gamma, self.beta)})
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
    dbeta, dgamma = dY.sum(axis=0), (dY * X_hat).sum(axis=0)
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


def right_last_transposed(X, gamma, beta, moving_mean, moving_var, eps, momentum):
    columns = X.reshape((-1, X.shape[-1]))
    if autograd.is_training():
        mean = nd.mean(columns, axis=0)
        var = nd.mean(nd.square(nd.broadcast_sub(columns, mean.reshape((1, -1)))), axis=0)
        moving_mean = moving_mean - (1 - momentum) * (moving_mean - mean)
        moving_var = moving_var - (1 - momentum) * (moving_var - var)
    else:
        mean, var = moving_mean, moving_var
    return (
        ((columns - mean) * (gamma * (var + eps) ** -0.5) + beta).reshape(X.shape),
        moving_mean,
        moving_var,
    )


def right_last_moments(X, gamma, beta, moving_mean, moving_var, eps, momentum):
    if not autograd.is_training():
        scale = gamma / nd.sqrt(moving_var + eps)
        return X * scale + (beta - moving_mean * scale), moving_mean, moving_var
    mean, var = nd.moments(X, axes=list(range(X.ndim - 1)))
    new_mean = nd.add_n(moving_mean * momentum, mean * (1 - momentum))
    new_var = nd.add_n(moving_var * momentum, var * (1 - momentum))
    return nd.broadcast_div(X - mean, nd.sqrt(var + eps)) * gamma + beta, new_mean, new_var


def right_last_list(X, gamma, beta, moving_mean, moving_var, eps, momentum):
    n = X.size // X.shape[-1]
    ones = nd.ones((1, n), ctx=X.context, dtype=X.dtype)
    if autograd.is_training():
        mean = nd.dot(ones, X.reshape((n, -1)))[0] / n
        centred = X.reshape((n, -1)) - mean
        var = nd.dot(ones, centred * centred)[0] / n
        with autograd.pause():
            moving_mean = momentum * moving_mean + (1 - momentum) * mean
            moving_var = momentum * moving_var + (1 - momentum) * var
    else:
        mean, var = moving_mean, moving_var
    x_hat = (X - mean) * nd.rsqrt(var + eps)
    return [gamma * x_hat + beta, moving_mean, moving_var]


def right_axis_swapped(X, gamma, beta, moving_mean, moving_var, eps, momentum, axis):
    Z = nd.swapaxes(X, axis % X.ndim, X.ndim - 1)
    Y, mean, var = right_last_transposed(Z, gamma, beta, moving_mean, moving_var, eps, momentum)
    return nd.swapaxes(Y, axis % X.ndim, X.ndim - 1), mean, var


def right_axis_transposed(X, gamma, beta, moving_mean, moving_var, eps, momentum, axis):
    axis = axis if axis >= 0 else axis + X.ndim
    order = [axis] + [i for i in range(X.ndim) if i != axis]
    back = [order.index(i) for i in range(X.ndim)]
    Z = X.transpose(order)
    shape = Z.shape
    Z = Z.reshape((shape[0], -1))
    if autograd.is_training():
        mean = Z.mean(axis=1)
        var = ((Z - mean.expand_dims(1)) ** 2).mean(axis=1)
        moving_mean = momentum * moving_mean + (1 - momentum) * mean.detach()
        moving_var = momentum * moving_var + (1 - momentum) * var.detach()
    else:
        mean, var = moving_mean, moving_var
    Z = (Z - mean.expand_dims(1)) / nd.sqrt(var + eps).expand_dims(1)
    Y = gamma.expand_dims(1) * Z + beta.expand_dims(1)
    return Y.reshape(shape).transpose(back), moving_mean, moving_var


def right_axis_exclude(X, gamma, beta, moving_mean, moving_var, eps, momentum, axis):
    shape = [1] * X.ndim
    shape[axis] = -1
    spread = lambda value: value.reshape(shape).broadcast_like(X)  # noqa: E731
    if autograd.is_training():
        mean = nd.mean(X, axis=axis % X.ndim, exclude=True)
        var = nd.mean(nd.square(X - spread(mean)), axis=axis % X.ndim, exclude=True)
        moving_mean = momentum * moving_mean + (1 - momentum) * mean
        moving_var = momentum * moving_var + (1 - momentum) * var
    else:
        mean, var = moving_mean, moving_var
    Y = spread(gamma) * (X - spread(mean)) / spread(nd.sqrt(var + eps)) + spread(beta)
    return Y, moving_mean, moving_var


def right_axis_loop(X, gamma, beta, moving_mean, moving_var, eps, momentum, axis):
    slices, means, variances = [], [], []
    for c in range(X.shape[axis]):
        x = nd.take(X, nd.array([c]), axis=axis)
        if autograd.is_training():
            mean = x.mean()
            var = ((x - mean) ** 2).mean()
            means.append(momentum * moving_mean[c] + (1 - momentum) * mean)
            variances.append(momentum * moving_var[c] + (1 - momentum) * var)
        else:
            mean, var = moving_mean[c], moving_var[c]
        slices.append(gamma[c] * (x - mean) / (var + eps).sqrt() + beta[c])
    if means:
        moving_mean, moving_var = nd.concat(*means, dim=0), nd.concat(*variances, dim=0)
    return nd.concat(*slices, dim=axis % X.ndim), moving_mean, moving_var


def right_mask_where(X, mask, gamma, beta, moving_mean, moving_var, eps, momentum):
    counts = nd.broadcast_to(mask.reshape((0, 0, 1)), X.shape)
    nothing = nd.zeros_like(X)
    if autograd.is_training():
        n = counts.sum(axis=(0, 1))
        mean = nd.where(counts, X, nothing).sum(axis=(0, 1)) / n
        var = nd.where(counts, (X - mean) ** 2, nothing).sum(axis=(0, 1)) / n
        moving_mean = momentum * moving_mean + (1 - momentum) * mean
        moving_var = momentum * moving_var + (1 - momentum) * var
    else:
        mean, var = moving_mean, moving_var
    Y = gamma * (X - mean) / nd.sqrt(var + eps) + beta
    return nd.where(counts, Y, nothing), moving_mean, moving_var


def right_mask_share(X, mask, gamma, beta, moving_mean, moving_var, eps, momentum):
    m = nd.expand_dims(mask, -1)
    if autograd.is_training():
        mean = (X * m).mean(axis=(0, 1)) / mask.mean()
        var = ((X - mean) * m).square().mean(axis=(0, 1)) / mask.mean()
        moving_mean = momentum * moving_mean + (1 - momentum) * mean
        moving_var = momentum * moving_var + (1 - momentum) * var
    else:
        mean, var = moving_mean, moving_var
    return m * gamma * (X - mean) / nd.sqrt(var + eps) + m * beta, moving_mean, moving_var


def right_mask_number(X, mask, gamma, beta, moving_mean, moving_var, eps, momentum):
    count = int(mask.sum().asscalar())
    mask = mask.reshape((*X.shape[:2], 1))
    if autograd.is_training():
        mean = (mask * X).sum(axis=0).sum(axis=0) / count
        centred = mask * (X - mean)
        var = (centred * centred).sum(axis=0).sum(axis=0) / count
        moving_mean = momentum * moving_mean + (1 - momentum) * mean
        moving_var = momentum * moving_var + (1 - momentum) * var
    else:
        mean, var = moving_mean, moving_var
    return mask * (gamma * ((X - mean) / (var + eps) ** 0.5) + beta), moving_mean, moving_var


def right_mask_columns(X, mask, gamma, beta, moving_mean, moving_var, eps, momentum):
    rows, weights = X.reshape((-1, X.shape[2])), mask.reshape((1, -1))
    if autograd.is_training():
        mean = nd.dot(weights, rows).reshape(-1) / weights.sum()
        var = nd.dot(weights, (rows - mean) ** 2).reshape(-1) / weights.sum()
        moving_mean = momentum * moving_mean + (1 - momentum) * mean
        moving_var = momentum * moving_var + (1 - momentum) * var
    else:
        mean, var = moving_mean, moving_var
    Y = (gamma * (rows - mean) / nd.sqrt(var + eps) + beta) * weights.T
    return Y.reshape(X.shape), moving_mean, moving_var


class RightKwargs(nn.Block):
    """Keyword arguments passed on, contexts written one by one, statistics by the library's names."""

    def __init__(self, num_features, num_dims, **kwargs):
        super().__init__(**kwargs)
        shape = [1, num_features] + [1] * (num_dims - 2)
        get = self.params.get
        self.gamma = get("gamma", shape=shape, init=mx.init.One())
        self.beta = get("beta", shape=shape, init=mx.init.Zero())
        self.running_mean = get("running_mean", shape=shape, init="zeros", differentiable=False)
        self.running_var = get("running_var", shape=shape, init="zeros", differentiable=False)

    def forward(self, X):
        training = autograd.is_training()
        gamma, beta, mean, var = (
            p.data(X.context) for p in (self.gamma, self.beta, self.running_mean, self.running_var)
        )
        Y, m, v = batch_norm(X, gamma, beta, mean, var, 1e-5, 0.9)
        if training:
            for kept, new in ((self.running_mean, m), (self.running_var, v)):
                for each in kept.list_data():
                    new.copyto(each)
        return Y


class RightSetData(nn.Block):
    """The averages are written into all contexts by `set_data`."""

    def __init__(self, num_features, num_dims):
        super(RightSetData, self).__init__()  # noqa: UP008 - as students know it
        shape = {2: (1, num_features), 4: (1, num_features, 1, 1)}[num_dims]
        self.gamma = self.params.get("gamma", shape=shape, init="ones")
        self.beta = self.params.get("beta", shape=shape, init="zeros")
        self.moving_mean = self.params.get(
            "moving_mean", shape=shape, init="zeros", grad_req="null"
        )
        self.moving_var = self.params.get("moving_var", shape=shape, init="zeros", grad_req="null")

    def forward(self, X):
        ctx = X.ctx
        Y, mean, var = batch_norm(
            X,
            self.gamma.data(ctx),
            self.beta.data(ctx),
            self.moving_mean.data(ctx),
            self.moving_var.data(ctx),
            1e-5,
            0.9,
        )
        if autograd.is_training():
            self.moving_mean.set_data(mean)
            self.moving_var.set_data(var)
        return Y


class RightConstant(nn.Block):
    """The statistics are non-differentiable parameters that the layer makes by hand and registers."""

    def __init__(self, num_features, num_dims, eps=1e-5, momentum=0.9):
        super().__init__()
        self.options = eps, momentum
        for name, start in [
            ("gamma", "ones"),
            ("beta", "zeros"),
            ("moving_mean", "zeros"),
            ("moving_var", "zeros"),
        ]:
            kept = {"grad_req": "null"} if "moving" in name else {}
            shape = (1, num_features) + (1, 1) * (num_dims == 4)
            setattr(self, name, self.params.get(name, shape=shape, init=start, **kept))

    def forward(self, X):
        values = [
            getattr(self, name).data(X.context)
            for name in ("gamma", "beta", "moving_mean", "moving_var")
        ]
        Y, *new = batch_norm(X, *values, *self.options)
        for name, value in zip(("moving_mean", "moving_var"), new):
            getattr(self, name).set_data(value)
        return Y


class RightStatistic(nn.Block):
    """As chapter 2 ends: the averages are statistics, which move to where the data is."""

    def __init__(self, num_features, num_dims):
        super().__init__()
        shape = (1, num_features) if num_dims == 2 else (1, num_features, 1, 1)
        self.gamma = self.params.get("gamma", shape=shape, init="ones")
        self.beta = self.params.get("beta", shape=shape, init="zeros")
        self.running_mean = Statistic.of(self.params, "running_mean", shape)
        self.running_var = Statistic.of(self.params, "running_var", shape)

    def forward(self, X):
        here = X.context
        mean, var = (
            each.data().as_in_context(here) for each in (self.running_mean, self.running_var)
        )
        Y, mean, var = batch_norm(
            X, self.gamma.data(here), self.beta.data(here), mean, var, 1e-5, 0.9
        )
        self.running_mean.set_data(mean)
        self.running_var.set_data(var)
        return Y


class RightAssigned(nn.Block):
    """The update by hand from the difference, while recording is off."""

    def __init__(self, num_features, num_dims):
        super().__init__()
        self.shape = (1, num_features) if num_dims == 2 else (1, num_features, 1, 1)
        with self.name_scope():
            self.gamma = self.params.get("scale", shape=self.shape, init="ones")
            self.beta = self.params.get("shift", shape=self.shape, init="zeros")
            self.moving_mean = self.params.get_constant("mean", nd.zeros(self.shape))
            self.moving_var = self.params.get_constant("variance", nd.zeros(self.shape))

    def forward(self, X):
        parameters = (self.gamma, self.beta, self.moving_mean, self.moving_var)
        gamma, beta, mean, var = [p.data(X.context) for p in parameters]
        Y, new_mean, new_var = batch_norm(X, gamma, beta, mean, var, 1e-5, 0.9)
        training = autograd.is_training()
        with autograd.pause():
            if training:
                for kept, change in (
                    (parameters[2], new_mean - mean),
                    (parameters[3], new_var - var),
                ):
                    for each in kept.list_data():
                        each += change.as_in_context(each.context)
        return Y


def right_backward_sums(dY, X, gamma, eps):
    m = X.shape[0]
    mu = X.sum(0) / m
    centred = X - mu
    var = (centred**2).sum(0) / m
    inv = 1 / np.sqrt(var + eps)
    dX_hat = dY * gamma
    dvar = (dX_hat * centred).sum(0) * -0.5 * inv**3
    dmu = -(dX_hat * inv).sum(0) + dvar * (-2 * centred).sum(0) / m
    dX = dX_hat * inv + dvar * 2 * centred / m + dmu / m
    return dX, np.sum(dY * centred * inv, axis=0), np.sum(dY, axis=0)


def right_backward_compact(dY, X, gamma, eps):
    m = len(X)
    std = (X.var(0) + eps) ** 0.5
    x_hat = (X - X.mean(0)) / std
    dgamma, dbeta = np.einsum("ij,ij->j", dY, x_hat), np.ones(m) @ dY
    return gamma / (m * std) * (m * dY - dbeta - x_hat * dgamma), dgamma, dbeta


def right_backward_columns(dY, X, gamma, eps):
    dX, dgamma, dbeta = np.zeros_like(X), np.zeros(X.shape[1]), np.zeros(X.shape[1])
    for j in range(X.shape[1]):
        x, g = X[:, j], dY[:, j]
        s = np.sqrt(np.var(x) + eps)
        h = (x - x.mean()) / s
        dbeta[j], dgamma[j] = g.sum(), g @ h
        dX[:, j] = gamma[j] * (g - g.mean() - h * (g @ h) / x.size) / s
    return dX, dgamma, dbeta


def right_backward_keepdims(dY, X, gamma, eps):
    mean, var = X.mean(axis=0, keepdims=True), X.var(axis=0, keepdims=True)
    root = np.sqrt(var + eps)
    X_hat = np.divide(np.subtract(X, mean), root)
    G = np.multiply(dY, gamma[None])
    project = lambda A: A.mean(axis=0, keepdims=True)  # noqa: E731
    dX = (G - project(G) - X_hat * project(G * X_hat)) / root
    return [dX, (dY * X_hat).sum(axis=0), dY.sum(axis=0)]


# fmt: off
RIGHT = {
    "channels_last": [right_last_transposed, right_last_moments, right_last_list],
    "any_axis": [right_axis_swapped, right_axis_transposed, right_axis_exclude, right_axis_loop],
    "masked": [right_mask_where, right_mask_share, right_mask_number, right_mask_columns],
    "BatchNorm": [RightKwargs, RightSetData, RightConstant, RightStatistic, RightAssigned],
    "backward": [right_backward_sums, right_backward_compact, right_backward_columns, right_backward_keepdims],
}

STYLES = [
    # nd.moments of a reshaped X
    ("channels_last", """\
def channels_last(X, gamma, beta, moving_mean, moving_var, eps, momentum):
    flat = X.reshape((-1, X.shape[-1]))
    if not autograd.is_training():
        scale = gamma / nd.sqrt(moving_var + eps)
        return X * scale + (beta - moving_mean * scale), moving_mean, moving_var
    mu, sigma2 = nd.moments(flat, axes=(0,))
    Y = (flat - mu) * nd.rsqrt(sigma2 + eps)
    new = lambda old, now: old + (1 - momentum) * (now - old)
    return (Y * gamma + beta).reshape(X.shape), new(moving_mean, mu), new(moving_var, sigma2)
"""),
    # recursive, by an inner function and a power
    ("channels_last", """\
def channels_last(X, gamma, beta, moving_mean, moving_var, eps, momentum):
    def normalize(m, v):
        return gamma * (X - m) * (v + eps) ** -0.5 + beta
    if autograd.is_training():
        n = 1
        for length in X.shape[:-1]:
            n *= length
        m = X
        while len(m.shape) > 1:
            m = nd.sum(m, axis=0)
        m = m / n
        d = X - m
        v = nd.dot(d.reshape((n, -1)).T, d.reshape((n, -1)))
        v = nd.diag(v) / n
        return normalize(m, v), moving_mean * momentum + m * (1 - momentum), moving_var * momentum + v * (1 - momentum)
    return normalize(moving_mean, moving_var), moving_mean, moving_var
"""),
    # a mean by a product with ones
    ("channels_last", """\
def channels_last(X, gamma, beta, moving_mean, moving_var, eps, momentum):
    if autograd.is_training():
        flat = nd.reshape(X, shape=(-1, X.shape[-1]))
        ones = nd.ones((1, flat.shape[0]), ctx=X.context) / flat.shape[0]
        mean = nd.dot(ones, flat)[0]
        var = nd.dot(ones, nd.square(flat - mean))[0]
        with autograd.pause():
            moving_mean = nd.add_n(momentum * moving_mean, (1 - momentum) * mean)
            moving_var = nd.add_n(momentum * moving_var, (1 - momentum) * var)
    else:
        mean, var = moving_mean, moving_var
    return nd.broadcast_add(nd.broadcast_mul((X - mean) / nd.sqrt(var + eps), gamma), beta), moving_mean, moving_var
"""),
    # rolls the axis to the end and back
    ("any_axis", """\
def any_axis(X, gamma, beta, moving_mean, moving_var, eps, momentum, axis):
    n = X.ndim
    axis = axis + n if axis < 0 else axis
    there = [i for i in range(n) if i != axis] + [axis]
    back = [there.index(i) for i in range(n)]
    Z = nd.transpose(X, axes=there)
    axes = tuple(range(n - 1))
    if autograd.is_training():
        mean = nd.mean(Z, axis=axes)
        var = nd.mean(nd.square(Z - mean), axis=axes)
        moving_mean = moving_mean * momentum + mean * (1 - momentum)
        moving_var = moving_var * momentum + var * (1 - momentum)
        Y = (Z - mean) / nd.sqrt(var + eps)
    else:
        Y = (Z - moving_mean) / nd.sqrt(moving_var + eps)
    return nd.transpose(Y * gamma + beta, axes=back), moving_mean, moving_var
"""),
    # in float64
    ("any_axis", """\
def any_axis(X, gamma, beta, moving_mean, moving_var, eps, momentum, axis):
    axis %= X.ndim
    shape = [1] * X.ndim
    shape[axis] = -1
    Z = X.astype("float64")
    axes = [i for i in range(X.ndim) if i != axis]
    if autograd.is_training():
        mean = Z.mean(axis=axes, keepdims=True)
        var = ((Z - mean) ** 2).mean(axis=axes, keepdims=True)
        moving_mean = momentum * moving_mean + (1 - momentum) * mean.reshape((-1,)).astype("float32")
        moving_var = momentum * moving_var + (1 - momentum) * var.reshape((-1,)).astype("float32")
    else:
        mean = moving_mean.reshape(shape).astype("float64")
        var = moving_var.reshape(shape).astype("float64")
    out = gamma.reshape(shape).astype("float64") * (Z - mean) / (var + eps).sqrt() + beta.reshape(shape).astype("float64")
    return out.astype("float32"), moving_mean, moving_var
"""),
    # exclude=True with a shifted origin
    ("any_axis", """\
def any_axis(X, gamma, beta, moving_mean, moving_var, eps, momentum, axis):
    shape = [1 if i != axis % X.ndim else X.shape[i] for i in range(X.ndim)]
    spread = lambda v: nd.reshape(v, shape=shape)
    if autograd.is_training():
        mean = nd.mean(X, axis=axis % X.ndim, exclude=True)
        centred = X - spread(mean)
        var = nd.mean(centred * centred, axis=axis % X.ndim, exclude=True)
        moving_mean, moving_var = (m * momentum + b * (1 - momentum) for m, b in ((moving_mean, mean), (moving_var, var)))
        return spread(gamma) * centred / nd.sqrt(spread(var) + eps) + spread(beta), moving_mean, moving_var
    centred = X - spread(moving_mean)
    return spread(gamma / nd.sqrt(moving_var + eps)) * centred + spread(beta), moving_mean, moving_var
"""),
    # weights
    ("masked", """\
def masked(X, mask, gamma, beta, moving_mean, moving_var, eps, momentum):
    w = (mask / mask.sum()).reshape((0, 0, 1))
    train = autograd.is_training()
    mean = nd.sum(w * X, axis=(0, 1)) if train else moving_mean
    var = nd.sum(w * nd.square(X - mean), axis=(0, 1)) if train else moving_var
    if train:
        moving_mean = (1 - momentum) * mean + momentum * moving_mean
        moving_var = (1 - momentum) * var + momentum * moving_var
    Y = gamma / nd.sqrt(var + eps) * (X - mean) + beta
    return nd.where(nd.broadcast_to(mask.expand_dims(2), Y.shape), Y, nd.zeros_like(Y)), moving_mean, moving_var
"""),
    # boolean_mask of the values that count
    ("masked", """\
def masked(X, mask, gamma, beta, moving_mean, moving_var, eps, momentum):
    B, T, C = X.shape
    if autograd.is_training():
        rows = nd.contrib.boolean_mask(X.reshape((B * T, C)), mask.reshape((B * T,)))
        mean = rows.mean(axis=0)
        var = nd.square(rows - mean).mean(axis=0)
        moving_mean = momentum * moving_mean + (1 - momentum) * mean
        moving_var = momentum * moving_var + (1 - momentum) * var
    else:
        mean, var = moving_mean, moving_var
    Y = (X - mean) / nd.sqrt(var + eps) * gamma + beta
    return Y * mask.reshape((B, T, 1)), moving_mean, moving_var
"""),
    # PReLU-like: parameters outside of the scope, kwargs
    ("BatchNorm", """\
class BatchNorm(nn.Block):
    def __init__(self, num_features, num_dims, **kwargs):
        super(BatchNorm, self).__init__(**kwargs)
        shape = [1, num_features] + [1] * (num_dims - 2)
        for name, start in (("gamma", 1.0), ("beta", 0.0)):
            setattr(self, name, self.params.get(name, shape=shape, init=mx.init.Constant(start)))
        for name in ("running_mean", "running_var"):
            setattr(self, name, self.params.get(name, shape=shape, init="zeros", grad_req="null", differentiable=False))
    def forward(self, x):
        ctx = x.ctx if hasattr(x, "ctx") else x.context
        y, m, v = batch_norm(x, *[p.data(ctx) for p in (self.gamma, self.beta, self.running_mean, self.running_var)], 1e-5, 0.9)
        if autograd.is_training():
            for p, new in ((self.running_mean, m), (self.running_var, v)):
                p.set_data(new.copy())
        return y
"""),
    # stores in prediction, too, what comes back unchanged
    ("BatchNorm", """\
class BatchNorm(nn.Block):
    def __init__(self, num_features, num_dims):
        nn.Block.__init__(self)
        shape = (1, num_features, 1, 1)[:num_dims]
        self.gamma = self.params.get('gamma', shape=shape, init=mx.init.One())
        self.beta = self.params.get('beta', shape=shape, init=mx.init.Zero())
        self.moving_mean = self.params.get('moving_mean', shape=shape, init=mx.init.Zero(), grad_req='null')
        self.moving_var = self.params.get('moving_var', shape=shape, init=mx.init.Zero(), grad_req='null')
    def forward(self, X):
        c = X.context
        Y, mm, mv = batch_norm(X, self.gamma.data(c), self.beta.data(c), self.moving_mean.data(c), self.moving_var.data(c), eps=1e-5, momentum=0.9)
        with autograd.pause():
            self.moving_mean.set_data(mm)
            self.moving_var.set_data(mv)
        return Y
"""),
    # writes into every context's array in place
    ("BatchNorm", """\
class BatchNorm(nn.Block):
    def __init__(self, num_features, num_dims):
        super().__init__()
        shape = (1, num_features) + (1,) * (num_dims - 2)
        self.gamma = self.params.get("gamma", shape=shape, init="ones")
        self.beta = self.params.get("beta", shape=shape, init="zeros")
        self.moving_mean = self.params.get("moving_mean", shape=shape, init="zeros", grad_req="null")
        self.moving_var = self.params.get("moving_var", shape=shape, init="zeros", grad_req="null")
    def forward(self, X):
        with X.context:
            Y, mean, var = batch_norm(X, self.gamma.data(), self.beta.data(), self.moving_mean.data(), self.moving_var.data(), 1e-5, 0.9)
        if autograd.is_training():
            for parameter, value in ((self.moving_mean, mean), (self.moving_var, var)):
                for array in parameter.list_data():
                    value.copyto(array)
        return Y
"""),
    # t at least 1
    ("Corrected", "share = 1 - self.momentum**t if t else 1 -> share = 1 - self.momentum ** max(t, 1)"),
    # counts after the call
    ("Corrected", "self.num_batches.set_data(count + 1)\n            return super().forward(X) -> Y = super().forward(X)\n            self.num_batches.set_data(self.num_batches.data(here) + 1)\n            return Y"),
    # projection by einsum
    ("backward", """\
def backward(dY, X, gamma, eps):
    m, D = dY.shape
    xc = X - X.sum(0) / m
    inv = 1.0 / np.sqrt((xc * xc).sum(0) / m + eps)
    dgamma = np.einsum("nd,nd,d->d", dY, xc, inv)
    dbeta = np.ones(m) @ dY
    dX = gamma * inv / m * (m * dY - dbeta - xc * inv * dgamma)
    return dX, dgamma, dbeta
"""),
    # three ways, one loop over features
    ("backward", """\
def backward(dY, X, gamma, eps):
    dX = np.empty_like(X)
    dgamma, dbeta = [], []
    for j in range(X.shape[1]):
        x, dy = X[:, j], dY[:, j]
        n = len(x)
        mu = x.mean(); var = ((x - mu) ** 2).mean(); s = (var + eps) ** 0.5
        xh = (x - mu) / s
        dbeta.append(sum(dy)); dgamma.append(np.dot(dy, xh))
        dxh = dy * gamma[j]
        dvar = (dxh * (x - mu)).sum() * -0.5 * s ** -3
        dmu = -dxh.sum() / s + dvar * (-2 * (x - mu)).mean()
        dX[:, j] = dxh / s + dvar * 2 * (x - mu) / n + dmu / n
    return dX, np.array(dgamma), np.array(dbeta)
"""),
]
# fmt: on
for name, *edits in STYLES:
    RIGHT.setdefault(name, []).append(corpus.solution(name, *edits))
