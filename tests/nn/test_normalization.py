"""The function `batch_norm`: its modes, types and errors, and properties stated in words."""

from __future__ import annotations

import re

import numpy as np
import pytest
from cases import Case, arrays, both_ranks, every_mode, in_graph, make_case, within
from hypothesis import given
from hypothesis import strategies as st

import d2l_bn
from d2l_bn.nn.layer import IMPLEMENTATIONS
from d2l_bn.reference.mathematics import axes_of, prediction, training

import mxnet as mx
from mxnet import autograd, nd

pytestmark = pytest.mark.usefixtures("each_implementation")

EPS, MOMENTUM = 1e-5, 0.9
seeds = st.integers(0, 10**6)


def call(given: Case, eps=EPS, momentum=MOMENTUM):
    """Call the function with a case's arrays, in the mode of the caller."""
    batch_norm = IMPLEMENTATIONS["auto"]
    return batch_norm(given.X, given.gamma, given.beta, given.mean, given.var, eps, momentum)


def test_the_function_is_the_definition():
    assert d2l_bn.batch_norm is IMPLEMENTATIONS["definition"]


def train(case: Case, dtype="float64", **options) -> np.ndarray:
    with autograd.train_mode():
        return call(arrays(case, dtype), **options)[0].asnumpy()


# --- Modes ------------------------------------------------------------------------------------


@every_mode
@both_ranks
def test_mode(shape, wrappers, trains, records):
    case = make_case(shape)
    given = arrays(case, "float64")
    given.X.attach_grad()
    with within(wrappers):
        Y, moving_mean, moving_var = call(given)
        assert in_graph(Y) == records
    expected = (training if trains else prediction)(*case)
    np.testing.assert_allclose(Y.asnumpy(), expected.Y, atol=1e-10)
    np.testing.assert_allclose(moving_mean.asnumpy(), expected.mean, atol=1e-12)
    np.testing.assert_allclose(moving_var.asnumpy(), expected.var, atol=1e-12)
    assert not in_graph(moving_mean) and not in_graph(moving_var)
    if records:
        Y.backward(given.dY)
        np.testing.assert_allclose(given.X.grad.asnumpy(), expected.dX, atol=1e-10)


@every_mode
@both_ranks
def test_arguments_are_left_alone(shape, wrappers, trains, records):
    case = make_case(shape)
    given = arrays(case, "float64")
    with within(wrappers):
        call(given)
    for name, before, after in zip(Case._fields, case, given):
        assert np.array_equal(before, after.asnumpy()), name


def test_momentum_weighs_the_old_value():
    case = make_case((4, 1))._replace(mean=np.full((1, 1), 10.0))
    case = case._replace(X=np.array([[1.0], [3.0], [1.0], [3.0]]))
    with autograd.train_mode():
        _, moving_mean, _ = call(arrays(case), momentum=0.75)
    assert moving_mean.asscalar() == 0.75 * 10 + 0.25 * 2


def test_variance_is_the_biased_one():
    case = make_case((4, 1))._replace(X=np.array([[1.0], [3.0], [1.0], [3.0]]))
    with autograd.train_mode():
        _, _, moving_var = call(arrays(case), momentum=0)
    assert moving_var.asscalar() == 1  # not 4/3


def test_flat_values_per_channel_keep_their_shape():
    case = make_case((5, 3))
    flat = Case(
        case.X, *(v.reshape(3) for v in case[1:3]), case.dY, *(v.reshape(3) for v in case[4:])
    )
    for mode in (autograd.train_mode, autograd.predict_mode):
        with mode():
            received, expected = call(arrays(flat)), call(arrays(case))
        assert [a.shape for a in received] == [(5, 3), (3,), (3,)]
        for a, b in zip(received, expected):
            np.testing.assert_allclose(a.asnumpy(), b.asnumpy().reshape(a.shape), rtol=1e-6)


# --- Types ------------------------------------------------------------------------------------


def half(case: Case) -> Case:
    given = arrays(case)
    return given._replace(X=given.X.astype("float16"), dY=given.dY.astype("float16"))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("mode", [autograd.train_mode, autograd.predict_mode])
def test_type_stays(dtype, mode):
    with mode():
        assert {a.dtype for a in call(arrays(make_case(), dtype))} == {np.dtype(dtype).type}


@both_ranks
@pytest.mark.parametrize("train_mode", [True, False])
def test_float16(shape, train_mode):
    case = make_case(shape)
    given = half(case)
    given.X.attach_grad()
    with autograd.record(train_mode=train_mode):
        Y, *statistics = call(given)
    Y.backward(given.dY)
    expected = (training if train_mode else prediction)(*case)
    assert Y.dtype == given.X.grad.dtype == np.float16
    assert {a.dtype for a in statistics} == {np.float32}
    np.testing.assert_allclose(Y.asnumpy(), expected.Y, atol=1e-2)
    np.testing.assert_allclose(given.X.grad.asnumpy(), expected.dX, atol=1e-2)
    np.testing.assert_allclose(statistics[1].asnumpy(), expected.var, atol=1e-2)


def test_float16_sums_do_not_overflow():
    case = make_case((64, 2, 16, 16), offset=300, scale=50)
    with autograd.train_mode():
        Y, moving_mean, moving_var = call(half(case), momentum=0)
    np.testing.assert_allclose(moving_mean.asnumpy().ravel(), [300, 300], rtol=1e-3)
    np.testing.assert_allclose(moving_var.asnumpy().ravel(), [2500, 2500], rtol=1e-2)
    assert np.isfinite(Y.asnumpy()).all()


# --- Properties -------------------------------------------------------------------------------


@given(seed=seeds, shift=st.floats(-100, 100))
def test_shifting_the_input_changes_nothing(seed, shift):
    case = make_case((4, 3, 2, 5), seed)
    shifts = shift * np.array([1, -2, 0.5]).reshape(1, 3, 1, 1)
    np.testing.assert_allclose(train(case._replace(X=case.X + shifts)), train(case), atol=1e-9)


@given(seed=seeds, factor=st.floats(0.01, 100))
def test_scaling_the_input_changes_nothing(seed, factor):
    case = make_case((4, 3, 2, 5), seed)
    factors = factor * np.array([1, 2, 0.5]).reshape(1, 3, 1, 1)
    received = train(case._replace(X=case.X * factors), eps=1e-20)
    np.testing.assert_allclose(received, train(case, eps=1e-20), atol=1e-9)


@both_ranks
@given(seed=seeds)
def test_permuting_the_batch_permutes_the_output(shape, seed):
    case, order = make_case(shape, seed), np.random.default_rng(seed).permutation(shape[0])
    np.testing.assert_allclose(train(case._replace(X=case.X[order])), train(case)[order], atol=1e-9)


@both_ranks
@given(seed=seeds)
def test_prediction_does_not_depend_on_batch_mates(shape, seed):
    given = arrays(make_case(shape, seed))
    whole = call(given)[0].asnumpy()
    for i in range(shape[0]):
        alone = call(given._replace(X=given.X[i : i + 1]))[0].asnumpy()
        np.testing.assert_allclose(alone[0], whole[i], rtol=1e-6, atol=1e-6)


@both_ranks
@given(seed=seeds)
def test_training_moves_each_channel_to_beta_and_gamma(shape, seed):
    case = make_case(shape, seed)
    Y = train(case, eps=1e-12)
    per_channel = case.gamma.shape
    np.testing.assert_allclose(Y.mean(axes_of(Y)).reshape(per_channel), case.beta, atol=1e-9)
    np.testing.assert_allclose(Y.std(axes_of(Y)).reshape(per_channel), abs(case.gamma), atol=1e-9)


@pytest.mark.parametrize("value", [0, 0.3, -7])
@both_ranks
def test_a_constant_channel_gives_beta(shape, value):
    case = make_case(shape)
    case.X[:, 1] = value
    expected = np.full_like(case.X[:, 1], case.beta.flat[1])
    np.testing.assert_allclose(train(case, "float32")[:, 1], expected, atol=1e-3)
    np.testing.assert_allclose(train(case)[:, 1], expected, atol=1e-9)


def test_channels_do_not_touch_each_other():
    case = make_case((4, 3, 2, 5))
    before = train(case)
    case.X[:, 1] = np.random.normal(size=(4, 2, 5))
    after = train(case)
    assert np.array_equal(before[:, [0, 2]], after[:, [0, 2]])
    assert not np.allclose(before[:, 1], after[:, 1])


# --- Errors -----------------------------------------------------------------------------------


def refused(error, *parts):
    """The error's message holds these parts in this order: rule, value received, remedy."""
    return pytest.raises(error, match=".*".join(map(re.escape, parts)))


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4), (2, 3, 4, 5, 6)])
@pytest.mark.parametrize("mode", [autograd.train_mode, autograd.predict_mode])
def test_rank_is_refused(shape, mode):
    given = arrays(make_case())
    with mode(), refused(ValueError, f"{len(shape)} dimensions: {shape}", "Reshape"):
        call(given._replace(X=nd.ones(shape)))


@pytest.mark.parametrize(
    "field, name",
    [("gamma", "gamma"), ("beta", "beta"), ("mean", "moving_mean"), ("var", "moving_var")],
)
@pytest.mark.parametrize("wrong", [(1, 4), (4,), (1, 1), (1,), (1, 3, 1, 1), (5, 3), (3, 1)])
def test_wrong_channels_are_refused(field, name, wrong):
    given = arrays(make_case((5, 3)))._replace(**{field: nd.ones(wrong)})
    rule = f"{name} must hold one value per channel"
    with refused(ValueError, rule, f"got {wrong}", "BatchNorm(3, 2)"):
        call(given)


@pytest.mark.parametrize("shape", [(1, 3), (1, 3, 1, 1)])
def test_one_value_per_channel_is_refused_in_training_alone(shape):
    given = arrays(make_case((2, *shape[1:])))
    given = given._replace(X=given.X[:1])
    assert call(given)[0].shape == shape
    rule, received = "at least 2 values per channel", f"got 1: X has shape {shape}"
    with autograd.record(), refused(ValueError, rule, received, "larger batch"):
        call(given)


def test_one_image_of_two_pixels_is_enough():
    assert train(make_case((1, 3, 1, 2))).shape == (1, 3, 1, 2)


@pytest.mark.parametrize("dtype", ["int32", "uint8"])
def test_whole_numbers_are_refused(dtype):
    given = arrays(make_case())
    with refused(TypeError, "float16, float32 or float64", f"got {dtype}", "astype('float32')"):
        call(given._replace(X=given.X.astype(dtype)))


@pytest.mark.parametrize(
    "of_X, of_others, wanted",
    [
        ("float16", "float16", "float32"),
        ("float16", "float64", "float32"),
        ("float32", "float16", "float32"),
        ("float32", "float64", "float32"),
        ("float64", "float32", "float64"),
    ],
)
@pytest.mark.parametrize("field", ["gamma", "beta", "mean", "var"])
def test_mixed_types_are_refused(of_X, of_others, wanted, field):
    given = arrays(make_case(), wanted)
    given = given._replace(X=given.X.astype(of_X))
    call(given)  # nothing else is wrong with it
    given_else = given._replace(**{field: getattr(given, field).astype(of_others)})
    rule = f"must be {wanted} where X is {of_X}"
    with refused(TypeError, rule, f"got {of_others}", "net.cast()"):
        call(given_else)


def test_an_array_of_numpy_is_refused():
    given = arrays(make_case())
    with refused(TypeError, "must be an NDArray", "got ndarray", "mx.nd.array(X)"):
        call(given._replace(X=given.X.asnumpy()))


@pytest.mark.parametrize("value, got", [(1.0, "float"), (np.ones((1, 3), "float32"), "ndarray")])
def test_a_value_per_channel_must_be_an_array_of_mxnet(value, got):
    given = arrays(make_case())
    with refused(TypeError, "gamma must be an NDArray", f"got {got}", "mx.nd.array(gamma)"):
        call(given._replace(gamma=value))


@pytest.mark.parametrize(
    "wrong", [dict(eps=0), dict(eps=-1e-5), dict(eps=np.nan), dict(momentum=1.1), dict(momentum=-1)]
)
@pytest.mark.parametrize("mode", [autograd.train_mode, autograd.predict_mode])
def test_constants_out_of_range_are_refused(wrong, mode):
    ((name, value),) = wrong.items()
    with mode(), refused(ValueError, f"{name} must be", f"got {value!r}", "usual"):
        call(arrays(make_case()), **wrong)


def test_an_array_of_mx_np_is_refused_by_its_name():
    given = arrays(make_case())
    with refused(TypeError, "X must be an mx.nd array, got an mx.np array", "as_nd_ndarray"):
        call(given._replace(X=given.X.as_np_ndarray()))


def test_an_empty_array_is_refused():
    given = arrays(make_case())
    with mx.util.np_shape(True), refused(ValueError, "at least one value", "(0, 3)"):
        call(given._replace(X=nd.zeros((0, 3))))
