"""Known mistakes in a student's function: what each of them gives, with its cause.

Whoever compares tries them all, and tells the cause whose numbers are those received. Most are
lines in place of the right ones. What no table has is sought by altering those, `formulas.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, permutations

import numpy as np

from d2l_bn.checks import formulas
from d2l_bn.checks.cases import Case
from d2l_bn.checks.formulas import altered, listed

Mistakes = Iterator[tuple[str, np.ndarray]]
ORDER = "return Y, moving_mean, moving_var"
RULE = "momentum * old + (1 - momentum) * batch"
_NEW_MEAN = "(momentum * moving_mean + (1 - momentum) * mean)"
_NEW_VAR = "(momentum * moving_var + (1 - momentum) * var)"


def of_training(case: Case) -> Mistakes:
    """Yield what mistaken code would return in training mode, each with its cause."""
    known, statistics = formulas.names(case), formulas.statistics(case)
    lines = (*statistics, formulas.output(case))
    plain = (*statistics, formulas.OUTPUT)
    yield from listed(_OF_TRAINING, plain, known)
    yield from listed(_of_scale("mean", "var"), plain, known)
    yield from altered(lines, known)
    if case.mask is None:
        yield from altered((*statistics, formulas.APART), known)


_AROUND_MOVING = (
    "your variance is taken around the moving mean. Take it around the mean of the batch."
)
_OF_TRAINING = {
    "var = average((X - mean) ** 2) * n / maximum(1, n - 1)": "your variance divides by n - 1. "
    "Batch normalization divides by n, the number of values of a channel: ((X - mean) ** 2)"
    ".mean(...).",
    "var = average(X ** 2)": "your variance is the mean of X ** 2. Subtract the mean before you "
    "square: ((X - mean) ** 2).mean(...).",
    "var = average((X - mean) ** 2) * n": "your variance is a sum. Divide it by n, the number of "
    "values of a channel.",
    "Y = gamma * (X - mean) + beta": "nothing divides by the standard deviation: (X - mean) / "
    "nd.sqrt(var + eps).",
    "Y = X": "X comes back as it was. Normalize it with the mean and the variance of the batch.",
    "var = average(abs(X - mean))": "your variance is the mean of |X - mean|. Square the "
    "differences: ((X - mean) ** 2).",
    "Y = gamma * (X - var) / sqrt(mean + eps) + beta": "the mean and the variance are in each "
    "other's place: (X - mean) / nd.sqrt(var + eps).",
    "var = average((X - moving_mean) ** 2)": _AROUND_MOVING,
    f"var = average((X - {_NEW_MEAN}) ** 2)": _AROUND_MOVING,
    "var = average((X - mean) ** 2) / n": "your variance is divided by n twice: mean() has done "
    "it already.",
    "Y = gamma * (X - low) / (high - low + eps) + beta": "you scale X to the range 0 to 1. "
    "Subtract the mean and divide by the standard deviation.",
    "mean = moving_mean; var = moving_var": "you normalize with the moving averages in training "
    "mode. Use the mean and the variance of the batch while autograd.is_training() is True.",
    f"Y = gamma * (X - {_NEW_MEAN}) / sqrt({_NEW_VAR} + eps) + beta": "you normalize with the new "
    "moving averages in training mode. Use the mean and the variance of the batch; the averages "
    "are for prediction.",
}


def _of_scale(m: str, v: str) -> dict[str, str]:
    """The mistakes in scaling and shifting by the statistics of these names."""
    the_mean, the_var = (m, v) if m != "mean" else ("the mean", "the variance")
    right = f"gamma * (X - {m}) / nd.sqrt({v} + eps) + beta"
    table = {
        "gamma * X / S + beta": f"{the_mean} is not subtracted. Normalize X - {m}, not X.",
        "gamma * (X - M / S) + beta": f"{m} / std is subtracted from X. Put parentheses around "
        f"the difference, which is what is divided: (X - {m}) / nd.sqrt({v} + eps).",
        "(gamma * X - M) / S + beta": f"gamma multiplies X before {the_mean} is subtracted. Put "
        f"parentheses around the difference: {right}.",
        "gamma * X - M / S + beta": f"gamma * X - {m} is another thing than gamma * (X - {m}): "
        f"put parentheses around the difference, and divide it by nd.sqrt({v} + eps).",
        "gamma * X - M + beta": f"gamma * X - {m} is another thing than gamma * (X - {m}), and "
        f"nothing divides it: Y = {right}.",
        "gamma * (X - M) / (V + eps) + beta": f"you divide by {the_var}. Divide by its square "
        f"root: nd.sqrt({v} + eps).",
        "gamma * (X - M) * S + beta": "you multiply by the standard deviation. Divide by it.",
        "gamma * (X + M) / S + beta": f"{the_mean} is added. Subtract it: X - {m}.",
        "gamma * (X - M) / sqrt(V) + beta": "eps is missing. Add it to the variance: nd.sqrt(var + "
        "eps).",
        "gamma * (X - M) / (sqrt(V) + eps) + beta": "eps stands outside the root. Add it to the "
        "variance: nd.sqrt(var + eps), not nd.sqrt(var) + eps.",
        "gamma * (X - M) / sqrt(V + 1e-5) + beta": "eps is fixed at 1e-5 in your code. Use the "
        "argument eps.",
        "(X - M) / S": "gamma and beta are not used: Y = gamma * X_hat + beta.",
        "(X - M) / S + beta": "gamma is not used: Y = gamma * X_hat + beta.",
        "gamma * (X - M) / S": "beta is not used: Y = gamma * X_hat + beta.",
        "beta * (X - M) / S + gamma": "gamma and beta are swapped. gamma multiplies and beta is "
        "added: gamma * X_hat + beta.",
        "gamma * ((X - M) / S + beta)": "beta is scaled too: you return gamma * (X_hat + beta). "
        "It is gamma * X_hat + beta.",
        "gamma * (X - M) / sqrt(gamma ** 2 * V + eps) + beta": "gamma is applied before the "
        "normalization, which takes it out again. Normalize first: Y = gamma * X_hat + beta.",
        "gamma * (X - M) / sqrt(gamma ** 2 * V + eps)": "gamma and beta are applied before the "
        "normalization, which takes them out again. Normalize first, then return gamma * X_hat + "
        "beta.",
        "gamma * (X - M + beta) / S": "beta is divided by the standard deviation, too. Add it "
        "last: gamma * X_hat + beta.",
        "gamma ** 2 * (X - M) / S + beta": "gamma multiplies twice. Y = gamma * X_hat + beta.",
        "gamma * (X - M) / S - beta": "beta is subtracted. It is added: gamma * X_hat + beta.",
        "(X - M) / S / gamma + beta": "you divide by gamma. It multiplies: gamma * X_hat + beta.",
    }
    short = {"M": m, "V": v, "S": f"sqrt({v} + eps)"}
    return {
        "Y = " + "".join(short.get(letter, letter) for letter in line): words
        for line, words in table.items()
    }


def of_axes(case: Case) -> Mistakes:
    """Yield the mistakes in what is averaged, for dense inputs and for images."""
    X = case.X
    rows, columns = X.shape[0], X.shape[-1]
    if X.ndim == 2:
        right = "Average over the batch, axis 0: one mean for each feature."
        yield f"you average over axis 1, the features of each example. {right}", _over(case, (1,))
        yield f"you average over all values at once. {right}", _over(case, (0, 1))
        var = ((X - X.mean()) ** 2).mean(0)
        yield f"your mean is one number, that of all values. {right}", case.output(X.mean(), var)
        if rows == columns:
            mean = X.mean(1)
            for var in (X.var(1), ((X - mean) ** 2).mean(1)):
                yield (
                    "you average over axis 1, and without keepdims the result is then spread over "
                    f"the wrong axis. {right}",
                    case.output(mean, var),
                )
            turned = case._replace(gamma=case.gamma.T, beta=case.beta.T)
            yield _TURNED, turned.output(*case.moments())
            mean, var = case.moments()
            yield _TURNED_STATISTICS, case.output(mean.T, var.T)
        return
    right = "Average over axes (0, 2, 3): one mean for each channel."
    for axes, words in (
        ((0,), "axis 0 alone, so that each pixel has a mean of its own"),
        ((2, 3), "axes (2, 3) alone, so that each image has a mean of its own"),
        ((1, 2, 3), "axes (1, 2, 3), which is layer normalization"),
        ((1,), "axis 1, the channels"),
        ((0, 1), "axes (0, 1)"),
        ((0, 1, 2), "axes (0, 1, 2), as if the channels were last (they are axis 1 in MXNet)"),
        ((0, 1, 2, 3), "all values at once"),
        ((0, 2), "axes (0, 2) and forget axis 3"),
        ((0, 3), "axes (0, 3) and forget axis 2"),
    ):
        yield f"you average over {words}. {right}", _over(case, axes)
    if X.shape[1] == columns:
        mean = X.mean(case.axes)
        for var in (X.var(case.axes), ((X - mean) ** 2).mean(case.axes)):
            yield KEEPDIMS, case.output(mean, var)
    flat = X.reshape(-1, X.shape[1])
    flat = (flat - flat.mean(0)) / np.sqrt(flat.var(0) + case.eps)
    yield FLATTENED, case.gamma * flat.reshape(X.shape) + case.beta
    yield FLATTENED, (case.gamma.reshape(-1) * flat + case.beta.reshape(-1)).reshape(X.shape)


KEEPDIMS = (
    "your mean and variance have shape (channels,), so they are lined up with the last axis of X, "
    "the width. Keep the averaged axes: X.mean(axis=(0, 2, 3), keepdims=True)."
)
FLATTENED = (
    "X.reshape((-1, channels)) mixes the channels, since they are axis 1, not the last. Move them "
    "last before you flatten, X.transpose((0, 2, 3, 1)), and back afterwards."
)
FLATTENED_ANY = (
    "X.reshape((-1, channels)) mixes the channels unless their axis is the last. Move it there "
    "before you flatten, and back afterwards."
)
_TURNED = (
    "gamma and beta are spread over the examples, not over the features. They belong to axis 1: "
    "leave their shape (1, features) as it is."
)
_TURNED_STATISTICS = (
    "your mean and variance are spread over the examples, not over the features. It shows because "
    "here are as many examples as features. Keep them in shape (1, features)."
)


def _other_axes(case: Case, axis: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the choices of axes that are wrong where the student's channels are at `axis`."""
    ndim = case.X.ndim
    for chosen in range(1, 2**ndim):
        places = tuple(place for place in range(ndim) if chosen >> place & 1)
        if set(places) == set(range(ndim)) - {axis % ndim}:
            continue
        words = f"axis {places[0]}" if len(places) == 1 else f"axes {places}"
        if len(places) == ndim:
            words = "all values at once"
        elif set(places) == set(range(ndim)) - {1}:
            words += ", as if axis 1 had the channels"
        yield f"you average over {words}.", places


def of_any_axes(case: Case, axis: int, right: str) -> Mistakes:
    """Yield what averages over other axes give, where the student's channels are at `axis`."""
    X = np.moveaxis(case.X, 1, axis)
    gamma, beta = np.moveaxis(case.gamma, 1, axis), np.moveaxis(case.beta, 1, axis)
    yield from of_order(case.training(), axis)
    for words, places in _other_axes(case, axis):
        for kept in (True, False):
            mean = X.mean(places, keepdims=kept)
            if mean.ndim and mean.shape[-1] not in (1, X.shape[-1]):
                continue
            try:
                squares = (X - mean) ** 2
            except ValueError:
                continue
            for var in (X.var(places, keepdims=kept), squares.mean(places, keepdims=kept)):
                Y = gamma * (X - mean) / np.sqrt(var + case.eps) + beta
                yield f"{words} {right}", np.moveaxis(Y, axis, 1)
        own = np.moveaxis(case.moments()[0], 1, axis)
        var = ((X - own) ** 2).mean(places, keepdims=True)
        Y = gamma * (X - own) / np.sqrt(var + case.eps) + beta
        yield f"for the variance, {words} {right}", np.moveaxis(Y, axis, 1)
    flat = X.reshape(-1, case.gamma.size)
    flat = (flat - flat.mean(0)) / np.sqrt(flat.var(0) + case.eps)
    for Y in (
        gamma * flat.reshape(X.shape) + beta,
        (case.gamma.reshape(-1) * flat + case.beta.reshape(-1)).reshape(X.shape),
    ):
        yield f"{FLATTENED_ANY} {right}", np.moveaxis(Y, axis, 1)
    for place in range(X.ndim):
        if place != axis % X.ndim and X.shape[place] == case.gamma.size:
            other = np.moveaxis(X, place, 1)
            Y = np.moveaxis(case._replace(X=other).training(), 1, place)
            yield f"you take axis {place} for the channels'. {right}", np.moveaxis(Y, axis, 1)
    mean, var = case.moments()
    yield from of_lining_up(case, axis, mean, var)


def of_order(Y: np.ndarray, axis: int) -> Mistakes:
    """Yield the right output with its axes in another order, where the shape is the same."""
    there = np.moveaxis(Y, 1, axis)
    for order in permutations(range(Y.ndim)):
        turned = there.transpose(order)
        if turned.shape == there.shape:
            yield ORDER_OF_AXES, np.moveaxis(turned, axis, 1)


ORDER_OF_AXES = (
    "the axes of Y are in another order than those of X. Bring them back: swapaxes is undone by "
    "the same swapaxes, transpose(order) by the inverse of order."
)


def of_lining_up(case: Case, axis: int, mean, var) -> Mistakes:
    """Yield what comes of values of shape (channels,) that meet another axis than `axis`.

    Without a shape that says where they belong, they meet the last.
    """
    X = np.moveaxis(case.X, 1, axis)
    rest = tuple(place for place in range(X.ndim) if place != axis % X.ndim)
    ours = tuple(np.moveaxis(each, 1, axis) for each in (mean, var, case.gamma, case.beta))
    for place in reversed(rest):
        if X.shape[place] != mean.size:
            continue
        theirs = tuple(np.moveaxis(each, 1, place) for each in (mean, var, case.gamma, case.beta))
        around = np.moveaxis(((X - theirs[0]) ** 2).mean(rest).reshape(mean.shape), 1, place)
        for words, used in (
            ("the mean and the variance", (*theirs[:2], *ours[2:])),
            ("the mean and the variance", (theirs[0], around, *ours[2:])),
            ("gamma and beta", (*ours[:2], *theirs[2:])),
            ("gamma, beta, the mean and the variance", theirs),
            ("gamma, beta, the mean and the variance", (theirs[0], around, *theirs[2:])),
        ):
            where = "the last axis" if place == X.ndim - 1 else f"axis {place}"
            m, v, gamma, beta = used
            Y = gamma * (X - m) / np.sqrt(v + case.eps) + beta
            yield (
                f"{words} are lined up with {where}. The channels are axis {axis}: reshape what "
                "has the shape (channels,) to 1 along every other axis.",
                np.moveaxis(Y, axis, 1),
            )


def of_average_axes(case: Case, axis: int, right: str, old, which: int) -> Mistakes:
    """Yield the moving mean (`which` 0) or variance (1) over other axes, where that fits."""
    X = np.moveaxis(case.X, 1, axis)
    for words, places in _other_axes(case, axis):
        for new in (X.mean(places), X.var(places))[which : which + 1]:
            if new.size == old.size:
                yield f"{words} {right}", case.moving(old, new.reshape(old.shape))


def of_mask(case: Case) -> Mistakes:
    """Yield what becomes of padded places that count somewhere, each with its cause."""
    yield from listed(_OF_MASK, (*formulas.MASKED, formulas.OUTPUT), formulas.names(case))
    mask = np.asarray(case.mask)
    for words, places in _other_axes(case, -1):
        axes = tuple((0, 2, 1)[place] for place in places)
        if not (mask.sum(axes) == 0).any():
            mean = np.average(case.X, axes, np.broadcast_to(mask, case.X.shape), keepdims=True)
            squares = mask * (case.X - mean) ** 2
            var = squares.sum(axes, keepdims=True) / mask.sum(axes, keepdims=True)
            yield f"{words} {_OVER_PLACES}", case.output(mean, var)
    lengths = mask.sum(2, keepdims=True)
    mean = ((case.X * mask).sum(2, keepdims=True) / lengths).mean(0, keepdims=True)
    squares = (case.X - mean) ** 2 * mask
    each = (squares.sum(2, keepdims=True) / lengths).mean(0, keepdims=True)
    for var in (case.average((case.X - mean) ** 2), each):
        yield (
            "your mean is the mean of the sentences' means, in which a short sentence weighs as "
            "much as a long one. Sum over the whole batch, then divide by the sum of the mask.",
            case._replace(mask=None).output(mean, var),
        )


_OVER_PLACES = "Here the channels are axis -1: average over axes (0, 1), where the mask is 1."
_IN_MEAN = (
    "padded places count in the mean. Divide the sum over the places where the mask is 1 by the "
    "sum of the mask."
)
_IN_VAR = (
    "padded places count in the variance: multiply the squared differences by the mask before you "
    "sum them."
)
_OF_MASK = {
    "mean = sum(X) / places; var = sum((X - mean) ** 2) / places": "padded places count in the "
    "mean and in the variance. Take both over the places where the mask is 1.",
    "mean = sum(mask * X) / places; var = sum((mask * X - mean) ** 2) / places": "padded places "
    "count as zeros in the mean and in the variance. Divide the sums by the sum of the mask, not "
    "by the number of places.",
    "mean = sum(X) / places": _IN_MEAN,
    "mean = sum(mask * X) / places": _IN_MEAN,
    "mean = sum(X) / n": _IN_MEAN,
    "var = sum((X - mean) ** 2) / n": _IN_VAR,
    "var = sum((X - mean) ** 2) / places": _IN_VAR,
    "var = sum((mask * X - mean) ** 2) / n": "padded places count in the variance: X * mask - mean "
    "is not 0 there. Subtract first, square, then multiply by the mask.",
    "mean = sum(mask * X) / places; var = sum(mask * (X - mean) ** 2) / places": "the sums are "
    "divided by the number of all places. Divide them by the sum of the mask.",
    "var = sum(mask * (X - mean) ** 2) / places": "the variance is divided by the number of all "
    "places. Divide it by the sum of the mask.",
}


def of_padding(case: Case, m: str = "mean", v: str = "var") -> Mistakes:
    """Yield outputs whose padding is wrong, with the statistics of these names."""
    if case.mask is None:
        return
    right = f"gamma * (X - {m}) / sqrt({v} + eps) + beta"
    table = {
        f"Y = {right}": "the output is not 0 where the mask is. Multiply it by the mask.",
        f"Y = mask * ({right} - beta) + beta": "the output is beta where the mask is 0. Multiply "
        "by the mask after beta has been added.",
        f"Y = mask * ({right}) + (1 - mask) * X": "the padding keeps its input. The output is 0 "
        "where the mask is 0.",
    }
    if (case.mask == 0).any():
        reversed = "the mask is taken the other way round. It is 1 where a value counts."
        table[f"Y = (1 - mask) * ({right})"] = reversed
        table[
            "mean = sum((1 - mask) * X) / (places - count); "
            "var = sum((1 - mask) * (X - mean) ** 2) / (places - count); "
            f"Y = (1 - mask) * ({right})"
        ] = reversed
    known = formulas.names(case)
    lines = (*formulas.MASKED, f"Y = {right}")
    yield from listed(table, lines, known)
    yield from _of_spread_mask(case, *((case.mean, case.var) if m != "mean" else case.moments()))


def _of_spread_mask(case: Case, mean, var) -> Mistakes:
    """Yield outputs for a mask that is spread over the wrong axes, the student's channels last."""
    X, mask = np.moveaxis(case.X, 1, -1), np.asarray(case.mask)[:, 0]
    gamma, beta, mean, var = (v.reshape(-1) for v in (case.gamma, case.beta, mean, var))
    for spread in (mask[None], mask[:, None], mask.T[:, :, None], mask.T[None]):
        try:
            weights = np.broadcast_to(spread, X.shape)
        except ValueError:
            continue
        own = (weights * X).sum((0, 1)) / mask.sum()
        around = (weights * (X - own) ** 2).sum((0, 1)) / mask.sum()
        for m, v in ((mean, var), (own, around)):
            yield (
                "the mask, (batch, length), is spread over the wrong axes of X, (batch, length, "
                "channels). It needs one more axis, the last: mask.expand_dims(axis=2).",
                np.moveaxis(weights * (gamma * (X - m) / np.sqrt(v + case.eps) + beta), -1, 1),
            )


def _over(case: Case, axes: tuple[int, ...]) -> np.ndarray:
    """Return the output when the averages are taken over these axes."""
    return case.output(case.X.mean(axes, keepdims=True), case.X.var(axes, keepdims=True))


def of_moving_mean(case: Case) -> Mistakes:
    """Yield what mistaken code would return as the moving mean, each with its cause."""
    new = "moving_mean = momentum * moving_mean + (1 - momentum) *"
    yield from _of_average(
        case,
        formulas.MOVING_MEAN,
        {
            **_of_update("moving_mean", "mean", "moving_var", "var", "mean"),
            f"{new} var": "the moving mean follows the variance. Average the mean of X.",
            f"{new} average({formulas.OUTPUT[4:]})": "the moving mean follows the output, not the "
            f"input. Average the mean of X: {RULE}, before X is normalized.",
            "moving_mean = momentum * moving_mean": "the moving mean follows the normalized "
            "values, whose mean is 0. Average the mean of X.",
        },
    )


def of_moving_var(case: Case) -> Mistakes:
    """Yield what mistaken code would return as the moving variance, each with its cause."""
    around = (
        "the variance for the moving average is taken around the moving mean. Take it around the "
        "mean of the batch."
    )
    new = {
        "mean": "the moving variance follows the mean. Average the variance of X.",
        "sqrt(var)": "the moving variance follows the standard deviation. Average the variance "
        "itself.",
        "var * n / maximum(1, n - 1)": "your moving variance divides by n - 1, as some frameworks "
        "do. Here it follows the same variance that normalizes, which divides by n.",
        "(var + eps)": "the moving variance has eps in it. Add eps when you divide, not when you "
        "average.",
        "(var + (mean - moving_mean) ** 2)": around,
        f"(var + (mean - {_NEW_MEAN}) ** 2)": around,
        "gamma ** 2 * var / (var + eps)": "the moving variance follows the output, not the input. "
        "Average the variance of X.",
        "var / (var + eps)": "the moving variance follows the normalized values, whose variance is "
        "1. Average the variance of X.",
        "sqrt(var + eps)": "the moving variance follows sqrt(var + eps). Average var.",
    }
    rest = {
        f"moving_var = momentum * moving_var + (1 - momentum) * {value}": words
        for value, words in new.items()
    }
    of_update = _of_update("moving_var", "var", "moving_mean", "mean", "variance")
    yield from _of_average(case, formulas.MOVING_VAR, {**of_update, **rest})


def _of_average(case: Case, line: str, table: dict[str, str]) -> Mistakes:
    known, lines = formulas.names(case), (*formulas.statistics(case), line)
    if case.mask is not None:
        words = "padded places count in it. Take it over the places where the mask is 1."
        counted = "mean = sum(X) / places; var = sum((X - mean) ** 2) / places"
        table = {**table, counted: words, counted.replace("X", "(mask * X)"): words}
    return chain(listed(table, lines, known), altered(lines, known))


def _of_update(a: str, b: str, other: str, other_b: str, word: str) -> dict[str, str]:
    """The mistakes that either moving average can have: `a` follows `b`."""
    table = {
        f"{a}": f"the moving {word} came back as it was. Assign {RULE} to it in training mode and "
        f"return the new value: {ORDER}.",
        f"(1 - momentum) * {a} + momentum * {b}": "momentum is reversed. It weighs the old value: "
        f"{RULE}.",
        f"{b}": f"you return the {word} of the batch. Return the moving average: {RULE}.",
        f"momentum * {a} + {b}": f"(1 - momentum) is missing before the {word} of the batch: "
        f"{RULE}.",
        f"{a} + (1 - momentum) * {b}": f"momentum is missing before the old {word}: {RULE}.",
        f"(1 - momentum) * {b}": f"the old moving {word} is forgotten: {RULE}.",
        f"0.9 * {a} + 0.1 * {b}": "momentum is fixed at 0.9 in your code. Use the argument: "
        f"{RULE}.",
        f"momentum * {a} + 1 - momentum * {b}": f"1 - momentum * {word} lacks parentheses around "
        f"1 - momentum: {RULE}.",
        f"momentum * {other} + (1 - momentum) * {b}": f"the moving {word} takes its old value "
        f"from the other average. Take its own: {RULE}.",
        f"momentum * (momentum * {a} + (1 - momentum) * {b}) + (1 - momentum) * {b}": "the moving "
        f"{word} is updated twice in one call. Update it once.",
        f"momentum * {other} + (1 - momentum) * {other_b}": "the moving mean and the moving "
        f"variance are swapped: {ORDER}.",
    }
    if a == "moving_var":  # the mean is right, and has been updated when the variance is
        table["momentum * moving_mean + (1 - momentum) * mean"] = (
            f"the moving mean comes in the place of the moving variance: {ORDER}."
        )
        table[f"momentum * {_NEW_MEAN} + (1 - momentum) * var"] = table[
            "momentum * moving_mean + (1 - momentum) * var"
        ]
    return {f"{a} = {right}": words for right, words in table.items()}


def of_prediction(case: Case) -> Mistakes:
    """Yield what mistaken code would return in prediction mode, each with its cause."""
    known = formulas.names(case)
    known["mean"], known["var"] = case.moments()
    lines = (formulas.prediction(case),)
    plain = (formulas.PREDICTION,)
    yield from listed(_OF_PREDICTION, plain, known)
    yield from listed(_of_scale("moving_mean", "moving_var"), plain, known)
    yield from altered(lines, known)


_OF_PREDICTION = {
    formulas.OUTPUT: "you normalize with the mean and the variance of the batch. When predicting, "
    "use moving_mean and moving_var; autograd.is_training(), with its parentheses, tells the mode.",
    f"Y = gamma * (X - {_NEW_MEAN}) / sqrt({_NEW_VAR} + eps) + beta": "the moving averages are "
    "updated before you normalize with them. Leave them alone when predicting.",
    "Y = gamma * (X - moving_mean) / sqrt(var + eps) + beta": "you use moving_mean, but the "
    "variance of the batch. Use moving_var when predicting.",
    "Y = gamma * (X - mean) / sqrt(moving_var + eps) + beta": "you use moving_var, but the mean of "
    "the batch. Use moving_mean when predicting.",
    "Y = X": "X comes back as it was. Normalize it with moving_mean and moving_var.",
    "Y = gamma * (X - moving_var) / sqrt(moving_mean + eps) + beta": "moving_mean and moving_var "
    "are in each other's place. Subtract the mean and divide by the root of the variance, and hand "
    "them over in the order that the function has.",
}


def of_cut(case: Case, dY: np.ndarray) -> Mistakes:
    """Yield the gradient of X when a statistic counts as a constant, each with its cause."""
    mean, var = case.moments()
    if case.mask is not None:
        std, slope = np.sqrt(var + case.eps), case.gamma * dY
        X_hat, share = (case.X - mean) / std, case.mask / case.size
        total, along = (each.sum(case.axes, keepdims=True) for each in (slope, slope * X_hat))
        yield (
            "the gradient of the padded places isn't 0: what makes the output 0 there is cut from "
            "the graph. Multiply by the mask, or use nd.where.",
            (slope - share * (total + X_hat * along)) / std,
        )
    dY = case.shown(dY)
    scale = case.gamma / np.sqrt(var + case.eps)
    X_hat = (case.X - mean) / np.sqrt(var + case.eps)
    through_var = X_hat * case.average(dY * X_hat)
    through_mean = case.average(dY)
    rule = (
        "Leave detach(), asnumpy() and autograd.pause() out of the mean and the variance that "
        "normalize X: the gradient goes through both. The moving averages may be detached."
    )
    for words, gradient in (
        ("the mean and the variance are cut from the graph.", scale * dY),
        ("the mean is cut from the graph.", scale * (dY - through_var)),
        ("the variance is cut from the graph.", scale * (dY - through_mean)),
    ):
        yield f"{words} {rule}", case.shown(gradient)
