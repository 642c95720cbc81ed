"""What a check says of code that raises, returns the wrong thing or borrows the answer."""

from __future__ import annotations

import sys

import corpus
import numpy as np
import pytest

import d2l_bn
from d2l_bn import checks

from mxnet import autograd, gluon, nd


def right(X, gamma, beta, moving_mean, moving_var, eps, momentum):
    return corpus.run(corpus.FUNCTION, "batch_norm")(
        X, gamma, beta, moving_mean, moving_var, eps, momentum
    )


RETURN = "return Y, moving_mean, moving_var"
VAR = "((X - mean) ** 2).mean(axis=axis, keepdims=True)"


def of_function(old, new):
    return corpus.solution("batch_norm", f"{old} -> {new}")


def fails(candidate, *parts, check=checks.batch_norm):
    """Return how a candidate fails."""
    with pytest.raises(checks.CheckFailed) as caught:
        check(candidate, *parts)
    failed = caught.value
    assert failed.__context__ is None or failed.__suppress_context__  # no second traceback
    return failed


def test_attributes():
    failed = fails(corpus.made("batch_norm", "unbiased variance"))
    assert isinstance(failed, AssertionError)
    assert failed.part == "dense input, training mode"
    assert failed.property == "the output is wrong."
    assert set(failed.input) == {"X", "gamma", "beta", "eps"}
    np.testing.assert_allclose(failed.expected, [[-1, -1], [1, 1], [-1, 1], [1, -1]], atol=1e-4)
    np.testing.assert_allclose(failed.received, failed.expected * np.sqrt(3 / 4), atol=1e-4)
    assert failed.cause.startswith("your variance divides by n - 1.")


def test_message():
    assert str(fails(corpus.made("batch_norm", "root forgotten"))) == (
        "Dense input, training mode: the output is wrong.\n"
        "  on X = [[1, 2], [3, 6], [1, 6], [3, 2]], gamma = [1, 1], beta = [0, 0],\n"
        "     eps = 1e-05\n"
        "  expected [[-1, -1], [1, 1], [-1, 1], [1, -1]]\n"
        "  received [[-1, -0.5], [1, 0.5], [-1, 0.5], [1, -0.5]]\n"
        "  Likely cause: you divide by the variance. Divide by its square root: sqrt(var\n"
        "    + eps)."
    )


def test_a_notebook_shows_the_words_alone():
    shell = pytest.importorskip("IPython.core.interactiveshell", reason="needs IPython")
    failed = fails(corpus.made("batch_norm", "root forgotten"))
    shown = []
    instance = shell.InteractiveShell()
    instance._showtraceback = lambda kind, value, lines: shown.extend(lines)
    try:
        raise failed
    except checks.CheckFailed:
        instance.showtraceback()
    assert shown == str(failed).splitlines()


def test_numbers_that_look_the_same_get_more_digits():
    failed = checks.CheckFailed("part", "wrong.", expected=np.array(1.23451), received=1.23452)
    assert "  expected 1.23451\n  received 1.23452" in str(failed)


def test_an_error_names_the_line_of_the_student():
    failed = fails(of_function("nd.sqrt(var", "nd.squirt(var"))
    assert "your code raised AttributeError: " in failed.property
    assert "in batch_norm, line 9: X_hat = (X - mean) / nd.squirt(var + eps)" in failed.property
    assert failed.input["eps"] == 1e-5


@pytest.mark.parametrize("action", [sys.exit, lambda: int("one")])
def test_leaving_is_a_failure(action):
    def leaves(*_):
        action()

    assert "your code raised" in fails(leaves).property


def test_an_interrupt_is_not_a_failure():
    def interrupted(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        checks.batch_norm(interrupted)


def test_nan_from_no_eps_is_explained():
    def without_eps(X, gamma, beta, moving_mean, moving_var, eps, momentum):
        result = right(X, gamma, beta, moving_mean, moving_var, eps, momentum)
        spread = X.max(axis=0) - X.min(axis=0)
        return (result[0] + 0 * nd.min(spread) / nd.min(spread), *result[1:])

    failed = fails(without_eps, "dense")
    assert failed.property == "the output contains NaN or infinity."
    assert "eps, inside the root, prevents" in failed.cause
    assert "received [[nan, nan], " in str(failed)


def test_an_unknown_mistake_is_told_by_its_properties():
    def shifted(*args):
        Y, *statistics = right(*args)
        return (Y + 0.25, *statistics)

    assert "the right one plus 0.25, everywhere" in fails(shifted).cause

    def each_shifted(X, *args):
        Y, *statistics = right(X, *args)
        return (Y + 0.25 * nd.arange(1, X.shape[1] + 1), *statistics)

    failed = fails(each_shifted)
    assert failed.cause.startswith("your mean is [1.75, 3.0], where the batch has [2.0, 4.0]; ")
    assert failed.cause.endswith("the variance is right.")


def test_dX_that_does_not_sum_to_zero_is_told():
    def shifted(dY, X, gamma, eps):
        dX, dgamma, dbeta = corpus.run(corpus.BACKWARD, "backward")(dY, X, gamma, eps)
        dX[0] += 1.5
        return dX, dgamma, dbeta

    failed = fails(shifted, check=checks.backward)
    assert "so each column of dX sums to 0; yours sum to [1.5, 1.5]" in failed.cause


def library(*args):
    return d2l_bn.batch_norm(*args)


def operator(X, gamma, beta, mean, var, eps, momentum):
    ready = getattr(nd, "Batch" + "Norm")
    channels = [value.reshape(-1) for value in (gamma, beta, mean, var)]
    return ready(X, *channels, eps=eps, fix_gamma=False), mean, var


def gluons_layer(X, gamma, beta, mean, var, eps, momentum):
    layer = gluon.nn.BatchNorm()
    layer.initialize()
    layer.hybridize()
    return layer(X), mean, var


def instance(X, gamma, beta, mean, var, eps, momentum):
    turned = X.reshape((1, *X.shape)).swapaxes(1, 2)
    Y = nd.InstanceNorm(turned, nd.ones(X.shape[1]), nd.zeros(X.shape[1]), eps=eps)
    return Y.swapaxes(1, 2).reshape(X.shape), mean, var


@pytest.mark.parametrize(
    "candidate, name",
    [
        (library, "d2l_bn.batch_norm"),
        (operator, "nd.BatchNorm"),
        (gluons_layer, "nn.BatchNorm"),
        (instance, "nd.InstanceNorm"),
    ],
    ids=["library", "operator", "layer", "instance"],
)
def test_a_ready_made_normalization_is_noticed(candidate, name):
    failed = fails(candidate, "dense")
    assert failed.property.startswith(f"your code calls {name}, which does what this exercise asks")
    checks.batch_norm(candidate, "dense", allow_library=True) if candidate is library else None


def test_the_library_is_noticed_in_a_layer_and_in_a_gradient():
    assert "d2l_bn.BatchNorm" in fails(d2l_bn.BatchNorm, check=checks.layer).property

    def borrowed(dY, X, gamma, eps):
        X, gamma, zeros = nd.array(X), nd.array(gamma).reshape((1, -1)), nd.zeros((1, X.shape[1]))
        beta = zeros.copy()
        for variable in (X, gamma, beta):
            variable.attach_grad()
        with autograd.record():
            Y, _, _ = d2l_bn.batch_norm(X, gamma, beta, zeros, zeros, eps, 0.9)
        Y.backward(nd.array(dY))
        return [variable.grad.asnumpy().astype(float) for variable in (X, gamma, beta)]

    assert "d2l_bn.batch_norm" in fails(borrowed, check=checks.backward).property


def test_the_checks_own_reference_is_noticed():
    def borrowed(dY, X, gamma, eps):
        from d2l_bn.reference import mathematics

        return mathematics.gradients(X, gamma, dY, eps)

    assert "d2l_bn.reference.mathematics" in fails(borrowed, check=checks.backward).property


def test_a_profiler_is_given_back():
    def profiler(*_):
        pass

    sys.setprofile(profiler)
    try:
        checks.batch_norm(right, "dense")
        assert sys.getprofile() is profiler
    finally:
        sys.setprofile(None)


@pytest.mark.slow
def test_checks_are_not_imported_with_the_package():
    import subprocess

    code = "import sys, d2l_bn; sys.exit('d2l_bn.checks' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    code = "import sys; sys.modules['mxnet'] = None; import d2l_bn.checks, d2l_bn.reference"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


STORE = "self.moving_mean.set_data(new_mean)\n            self.moving_var.set_data(new_var)"
TRAINED = ', "grad_req": "null" -> '


UNBIASED = of_function(VAR, f"{VAR} * n / (n - 1)")


def test_a_wrong_output_is_told_before_its_gradient():
    failed = fails(UNBIASED, "gradient")
    assert failed.property.endswith("and so is the output.")
    assert 'Mend what the part "dense" says first' in failed.cause.replace("mend", "Mend", 1)


def test_a_wrong_formula_of_training_is_not_counted_again_in_prediction():
    checks.batch_norm(UNBIASED, "prediction")


@pytest.mark.parametrize("part", ["dense", "gradient"])
def test_what_is_returned_is_told_in_each_part(part):
    nothing = of_function(RETURN, "pass")
    assert fails(nothing, part).property == "your function returns nothing (None)."
    one = of_function(RETURN, "return Y")
    assert fails(one, part).property == "your function must return three values."


def test_swapped_gradients_are_told_in_either_part():
    swapped = corpus.solution("gradient", "dgamma, dbeta\n -> dbeta, dgamma\n")
    for part in ("beta", "gamma"):
        assert "swapped" in fails(swapped, part, check=checks.backward).cause


def test_autograd_is_no_gradient_by_hand():
    def by_autograd(dY, X, gamma, eps):
        X, gamma = nd.array(X), nd.array(gamma)
        X.attach_grad()
        with autograd.record():
            centered = X - X.mean(axis=0)
            Y = gamma * centered / nd.sqrt((centered**2).mean(axis=0) + eps)
        Y.backward(nd.array(dY))
        return X.grad, X.grad, X.grad

    assert "autograd.record" in fails(by_autograd, check=checks.backward).property


def test_contexts_are_not_blamed_for_another_mistake():
    layer = corpus.solution("layer", "1e-5, 0.9) -> 1e-5, 0.99)")
    failed = fails(layer, "contexts", check=checks.layer)
    assert failed.property == "moving_mean is wrong after one step, before the context changes."


def in_part(part, *edits):
    return fails(corpus.solution("BatchNorm", *edits), part, check=checks.layer)


def test_each_part_of_a_layer_says_which_part_to_mend_first():
    assert in_part("parameters", TRAINED).received == 'grad_req "write"'
    for part in ("modes", "statistics", "independence", "contexts", "saving"):
        assert 'make it with grad_req="null"' in in_part(part, TRAINED).cause
    for part in ("contexts", "saving"):
        failed = in_part(part, f"{STORE} -> pass")
        assert failed.cause.endswith('Mend what the part "statistics" says first.')


@pytest.mark.parametrize(
    "edit",
    [
        'shape=shape, init="ones" -> shape=shape, init="normal"',
        "if autograd.is_training() -> Y = Y + mean.copy()\n        if autograd.is_training()",
    ],
)
def test_layers_are_not_said_to_share_what_they_do_not(edit):
    checks.layer(corpus.solution("BatchNorm", edit), "independence")


def test_an_unsolved_cell_is_told_as_such():
    def unsolved(*given):
        raise NotImplementedError("write your solution here, in place of this line")

    for check in (checks.batch_norm, checks.channels_last, checks.backward):
        failed = fails(unsolved, check=check)
        assert failed.cause.startswith("the cell still has the line that it came with.")


def test_a_plain_array_is_told_also_where_gradients_are_checked():
    gamma = 'self.params.get("gamma", shape=shape, init=init.One())'
    edits = f"{gamma} -> nd.ones(shape)", "self.gamma.data(X.context) -> self.gamma"
    layer = corpus.solution("layer", *edits)
    failed = fails(layer, "modes", check=checks.layer)
    assert failed.property == "gamma is not a parameter, so it has no gradient."


def test_a_function_for_dense_inputs_alone(capsys):
    dense = of_function("axis = 0 if X.ndim == 2 else (0, 2, 3)", "assert X.ndim == 2; axis = 0")
    checks.batch_norm(dense, dense_only=True)
    assert "images" not in capsys.readouterr().out.lower()
    with pytest.raises(ValueError, match="images"):
        checks.batch_norm(dense, "images", dense_only=True)
    stays = of_function(
        "        moving_mean = momentum * moving_mean + (1 - momentum) * mean\n", ""
    )
    failed = fails(stays, "statistics", check=lambda *a: checks.batch_norm(*a, dense_only=True))
    assert "the moving mean came back as it was" in failed.cause
