"""Every corner at once: what each way computes, in any mode, type and place, beside NumPy.

Hypothesis draws a shape, an offset of the values in standard deviations, a type, a mode, a way, a
context and what is asked of each gradient; the reference is that of `d2l_bn.reference`.
"""

from __future__ import annotations

import numpy as np
import pytest
from cases import make_case
from hypothesis import given, settings
from hypothesis import strategies as st
from test_sync import Member, Room, cut

from d2l_bn import BatchNorm, SyncBatchNorm
from d2l_bn.nn import operator
from d2l_bn.nn.layer import IMPLEMENTATIONS
from d2l_bn.reference.mathematics import prediction, training

import mxnet as mx
from mxnet import autograd, nd

WAYS = [name for name in IMPLEMENTATIONS if name != "operator" or operator.available()]
REQUESTS = "write", "add", "null"
CONTEXTS = mx.cpu(0), mx.cpu(1), mx.Context("cpu_shared", 0), mx.cpu_pinned(0)
# Offsets in standard deviations that a type has digits for, and how exact its numbers are.
TYPES = {"float16": (5e-3, [0, 3]), "float32": (5e-4, [0, -30, 1e3]), "float64": (1e-7, [0, 1e6])}


@st.composite
def problems(draw):
    """Keyword arguments of `check`."""
    batch, channels = draw(st.integers(2, 9)), draw(st.integers(1, 6))
    image = draw(st.sampled_from([(), (1, 1), (2, 3), (5, 5)]))
    dtype = draw(st.sampled_from(list(TYPES)))
    tolerance, offsets = TYPES[dtype]
    case = make_case((batch, channels, *image), draw(st.integers(0, 10**6)), 0, 1)
    X = (case.X + draw(st.sampled_from(offsets))) * draw(st.sampled_from([1, 0.5]))
    dY = case.dY.astype(dtype).astype(float)
    return {
        "case": case._replace(X=X.astype(dtype).astype(float), dY=dY),
        "dtype": dtype,
        "tolerance": tolerance,
        "mode": draw(st.sampled_from(["train", "predict", "frozen"])),
        "way": draw(st.sampled_from(WAYS)),
        "context": draw(st.sampled_from(CONTEXTS)),
        "requests": [draw(st.sampled_from(REQUESTS)) for _ in range(3)],
        "shares": draw(st.sampled_from([0, 0, 1, 2])),
        "eps": draw(st.sampled_from([1e-5, 1e-3, 0.5])),
        "momentum": draw(st.sampled_from([0, 0.9, 1])),
    }


def step(layer, case, dtype, mode, context, requests, rows=slice(None)):
    """Run a layer twice, forward and backward, and return what there is to compare."""
    per_channel = "float32" if dtype == "float16" else dtype
    main = mx.cpu(context.device_id)
    layer.cast(dtype)
    layer.initialize(ctx=main)
    for name, value in (("gamma", case.gamma), ("beta", case.beta)):
        getattr(layer, name).set_data(nd.array(value, dtype=per_channel))
    X = nd.array(case.X[rows], dtype=dtype).as_in_context(context)
    dY = nd.array(case.dY[rows], dtype=dtype)
    for parameter, request in zip((layer.gamma, layer.beta), requests[1:]):
        parameter.grad_req = request
    if requests[0] != "null":
        X.attach_grad(requests[0])
    for _ in range(2):  # what is added is there twice
        layer.moving_mean = nd.array(case.mean, dtype=per_channel)
        layer.moving_var = nd.array(case.var, dtype=per_channel)
        with autograd.record(train_mode=mode != "predict"):
            Y = layer(X)
        if set(requests) != {"null"}:
            Y.backward(dY.as_in_context(Y.context))
    assert Y.dtype == np.dtype(dtype)
    gradients = [
        X.grad,
        *(p.grad() if p.grad_req != "null" else None for p in (layer.gamma, layer.beta)),
    ]
    found = [Y, *gradients, layer.moving_mean, layer.moving_var]
    return [None if array is None else array.asnumpy().astype(float) for array in found]


def received(case, way, shares, eps, momentum, mode, requests, **options):
    """The results of one layer, or of one in each of several processes, put together."""
    given = dict(eps=eps, momentum=momentum, use_global_stats=mode == "frozen", implementation=way)
    sizes = case.X.shape[1], case.X.ndim
    options = dict(options, mode=mode, requests=requests)
    if not shares:
        return step(BatchNorm(*sizes, **given), case, **options)
    room, places = Room(shares), cut(np.arange(len(case.X)), [1] * (shares - 1) + [len(case.X)])

    def work(rank):
        layer = SyncBatchNorm(*sizes, group=Member(room, rank), **given)
        return step(layer, case, rows=places[rank], **options)

    Y, dX, dgamma, dbeta, means, variances = zip(*room.run(work))
    joined = [None if parts[0] is None else np.concatenate(parts) for parts in (Y, dX)]
    added = [None if parts[0] is None else sum(parts) for parts in (dgamma, dbeta)]
    return [*joined, *added, means[0], variances[0]]


def check(case, tolerance, mode, requests, eps, momentum, **options):
    if mode == "train":
        wanted = training(*case, eps=eps, momentum=momentum)
    else:
        wanted = prediction(*case, eps=eps)
    found = received(case, mode=mode, requests=requests, eps=eps, momentum=momentum, **options)
    times = 1, *(2 if request == "add" else 1 for request in requests), 1, 1
    for name, got, right, count in zip(wanted._fields, found, wanted, times):
        if got is None:
            continue
        right = right * count
        largest = max(1.0, float(np.abs(right).max()))
        close = dict(rtol=0, atol=tolerance * largest, err_msg=name)
        np.testing.assert_allclose(got.reshape(right.shape), right, **close)


@settings(max_examples=150)
@given(problems())
def test_every_corner(problem):
    check(**problem)


@pytest.mark.slow
@pytest.mark.long
@settings(max_examples=1200)
@given(problems())
def test_many_more_corners(problem):
    check(**problem)
