"""Known mistakes in a student's function: what each of them gives, with its cause.

Whoever compares tries them all, and tells the cause whose numbers are those received.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from d2l_bn.checks.cases import Case

Mistakes = Iterator[tuple[str, np.ndarray]]


def of_training(case: Case) -> Mistakes:
    """Yield what mistaken code would return in training mode, each with its cause."""
    X, gamma, beta, eps, n = case.X, case.gamma, case.beta, case.eps, case.size
    mean, var = case.moments()
    D = X - mean
    yield (
        "your variance divides by n - 1. Batch normalization divides by n, the number of values "
        "of a channel: ((X - mean) ** 2).mean(...).",
        case.output(mean, var * n / max(1, n - 1)),
    )
    yield (
        "your variance is the mean of X ** 2. Subtract the mean before you square: "
        "((X - mean) ** 2).mean(...).",
        case.output(mean, case.average(X**2)),
    )
    yield (
        "your variance is a sum. Divide it by n, the number of values of a channel.",
        case.output(mean, var * n),
    )
    yield (
        "nothing divides by the standard deviation: (X - mean) / nd.sqrt(var + eps).",
        gamma * D + beta,
    )
    yield "X comes back as it was. Normalize it with the mean and the variance of the batch.", X
    yield (
        "your variance is the mean of |X - mean|. Square the differences: ((X - mean) ** 2).",
        case.output(mean, case.average(np.abs(D))),
    )
    yield (
        "the mean and the variance are in each other's place: (X - mean) / nd.sqrt(var + eps).",
        case.output(var, mean),
    )
    for moving in (case.mean, case.moving(case.mean, mean)):
        yield (
            "your variance is taken around the moving mean. Take it around the mean of the batch.",
            case.output(mean, case.average((X - moving) ** 2)),
        )
    yield (
        "your variance is divided by n twice: mean() has done it already.",
        case.output(mean, var / n),
    )
    low, high = X.min(case.axes, keepdims=True), X.max(case.axes, keepdims=True)
    yield (
        "you scale X to the range 0 to 1. Subtract the mean and divide by the standard deviation.",
        gamma * (X - low) / (high - low + eps) + beta,
    )
    yield (
        "you normalize with the moving averages in training mode. Use the mean and the variance "
        "of the batch while autograd.is_training() is True.",
        case.output(case.mean, case.var),
    )
    yield (
        "you normalize with the new moving averages in training mode. Use the mean and the "
        "variance of the batch; the averages are for prediction.",
        case.output(case.moving(case.mean, mean), case.moving(case.var, var)),
    )
    yield from of_scale(case, mean, var)


def of_scale(case: Case, mean, var, prefix: str = "") -> Mistakes:
    """Yield the mistakes in scaling and shifting by these statistics, whose names have `prefix`."""
    m, v = f"{prefix}mean", f"{prefix}var"
    the_mean, the_var = (m, v) if prefix else ("the mean", "the variance")
    X, gamma, beta, eps = case.X, case.gamma, case.beta, case.eps
    D, std = X - mean, np.sqrt(var + eps)
    X_hat = D / std
    yield (
        f"{the_mean} is not subtracted. Normalize X - {m}, not X.",
        gamma * X / std + beta,
    )
    yield (
        f"{m} / std is subtracted from X. Put parentheses around the difference, which is what is "
        f"divided: (X - {m}) / nd.sqrt({v} + eps).",
        gamma * (X - mean / std) + beta,
    )
    yield (
        f"gamma multiplies X before {the_mean} is subtracted. Put parentheses around the "
        f"difference: gamma * (X - {m}) / nd.sqrt({v} + eps) + beta.",
        (gamma * X - mean) / std + beta,
    )
    yield (
        f"gamma * X - {m} is another thing than gamma * (X - {m}): put parentheses around the "
        f"difference, and divide it by nd.sqrt({v} + eps).",
        gamma * X - mean / std + beta,
    )
    yield (
        f"gamma * X - {m} is another thing than gamma * (X - {m}), and nothing divides it: Y = "
        f"gamma * (X - {m}) / nd.sqrt({v} + eps) + beta.",
        gamma * X - mean + beta,
    )
    yield (
        f"you divide by {the_var}. Divide by its square root: nd.sqrt({v} + eps).",
        gamma * D / (var + eps) + beta,
    )
    yield (
        "you multiply by the standard deviation. Divide by it.",
        gamma * D * std + beta,
    )
    yield (
        f"{the_mean} is added. Subtract it: X - {m}.",
        gamma * (X + mean) / std + beta,
    )
    tiny = "" if np.min(var) < 0.1 else ", or a fixed small number stands in its place"
    yield (
        f"eps is missing{tiny}. Add it to the variance: nd.sqrt(var + eps).",
        gamma * D / np.sqrt(var) + beta,
    )
    yield (
        "eps stands outside the root. Add it to the variance: nd.sqrt(var + eps), not "
        "nd.sqrt(var) + eps.",
        gamma * D / (np.sqrt(var) + eps) + beta,
    )
    yield (
        "eps is fixed at 1e-5 in your code. Use the argument eps.",
        gamma * D / np.sqrt(var + 1e-5) + beta,
    )
    yield "gamma and beta are not used: Y = gamma * X_hat + beta.", X_hat
    yield "gamma is not used: Y = gamma * X_hat + beta.", X_hat + beta
    yield "beta is not used: Y = gamma * X_hat + beta.", gamma * X_hat
    yield (
        "gamma and beta are swapped. gamma multiplies and beta is added: gamma * X_hat + beta.",
        beta * X_hat + gamma,
    )
    yield (
        "beta is scaled too: you return gamma * (X_hat + beta). It is gamma * X_hat + beta.",
        gamma * (X_hat + beta),
    )
    yield (
        "gamma is applied before the normalization, which takes it out again. Normalize first: "
        "Y = gamma * X_hat + beta.",
        gamma * D / np.sqrt(gamma**2 * var + eps) + beta,
    )
    yield (
        "gamma and beta are applied before the normalization, which takes them out again. "
        "Normalize first, then return gamma * X_hat + beta.",
        gamma * D / np.sqrt(gamma**2 * var + eps),
    )
    yield (
        "beta is divided by the standard deviation, too. Add it last: gamma * X_hat + beta.",
        gamma * (D + beta) / std,
    )
    yield "gamma multiplies twice. Y = gamma * X_hat + beta.", gamma**2 * X_hat + beta
    yield "beta is subtracted. It is added: gamma * X_hat + beta.", gamma * X_hat - beta
    yield "you divide by gamma. It multiplies: gamma * X_hat + beta.", X_hat / gamma + beta


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
    mask = np.asarray(case.mask)
    every = case._replace(mask=None)
    mean, var = case.moments()
    filled = every._replace(X=case.shown(case.X))
    mean_of_sums = case.X.sum(case.axes, keepdims=True) / case.size
    yield (
        "padded places count in the mean and in the variance. Take both over the places where the "
        "mask is 1.",
        every.training(),
    )
    yield (
        "padded places count as zeros in the mean and in the variance. Divide the sums by the sum "
        "of the mask, not by the number of places.",
        every.output(*filled.moments()),
    )
    for wrong in (every.moments()[0], filled.moments()[0], mean_of_sums):
        yield (
            "padded places count in the mean. Divide the sum over the places where the mask is 1 "
            "by the sum of the mask.",
            every.output(wrong, case.average((case.X - wrong) ** 2)),
        )
    for count in (case.size, every.size):
        yield (
            "padded places count in the variance: multiply the squared differences by the mask "
            "before you sum them.",
            every.output(mean, ((case.X - mean) ** 2).sum(case.axes, keepdims=True) / count),
        )
    yield (
        "padded places count in the variance: X * mask - mean is not 0 there. Subtract first, "
        "square, then multiply by the mask.",
        every.output(mean, ((filled.X - mean) ** 2).sum(case.axes, keepdims=True) / case.size),
    )
    lengths = mask.sum(2, keepdims=True)
    wrong = ((case.X * mask).sum(2, keepdims=True) / lengths).mean(0, keepdims=True)
    squares = (case.X - wrong) ** 2 * mask
    each = (squares.sum(2, keepdims=True) / lengths).mean(0, keepdims=True)
    for var_of_it in (case.average((case.X - wrong) ** 2), each):
        yield (
            "your mean is the mean of the sentences' means, in which a short sentence weighs as "
            "much as a long one. Sum over the whole batch, then divide by the sum of the mask.",
            every.output(wrong, var_of_it),
        )
    share = case.size / every.size
    yield (
        "the sums are divided by the number of all places. Divide them by the sum of the mask.",
        every.output(mean * share, case.average((case.X - mean * share) ** 2) * share),
    )
    yield (
        "the variance is divided by the number of all places. Divide it by the sum of the mask.",
        every.output(mean, var * share),
    )


def of_padding(case: Case, mean, var) -> Mistakes:
    """Yield outputs whose padding is wrong, with these statistics; none without a mask."""
    if case.mask is None:
        return
    Y = case._replace(mask=None).output(mean, var)
    yield "the output is not 0 where the mask is. Multiply it by the mask.", Y
    yield (
        "the output is beta where the mask is 0. Multiply by the mask after beta has been added.",
        case.shown(Y - case.beta) + case.beta,
    )
    yield (
        "the padding keeps its input. The output is 0 where the mask is 0.",
        np.where(case.mask, Y, case.X),
    )
    inverse = case._replace(mask=1 - case.mask)
    exchanged = "the mask is taken the other way round. It is 1 where a value counts."
    if (case.mask == 0).any():
        for statistics in ((mean, var), inverse.moments()):
            yield exchanged, inverse.output(*statistics)
    yield from _of_spread_mask(case, mean, var)


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


ORDER = "return Y, moving_mean, moving_var"
RULE = "momentum * old + (1 - momentum) * batch"


def of_moving_mean(case: Case) -> Mistakes:
    """Yield what mistaken code would return as the moving mean, each with its cause."""
    mean, var = case.moments()
    yield from _of_average(case, "mean", case.mean, mean)
    yield (
        "the moving mean follows the variance. Average the mean of X.",
        case.moving(case.mean, var),
    )
    yield (
        "the moving mean follows the output, not the input. Average the mean of X: "
        f"{RULE}, before X is normalized.",
        case.moving(case.mean, case.average(case.training())),
    )
    yield (
        "the moving mean follows the normalized values, whose mean is 0. Average the mean of X.",
        case.moving(case.mean, np.zeros_like(mean)),
    )


def of_moving_var(case: Case) -> Mistakes:
    """Yield what mistaken code would return as the moving variance, each with its cause."""
    mean, var = case.moments()
    unbiased = var * case.size / max(1, case.size - 1)
    arounds = [
        case.average((case.X - moving) ** 2) for moving in (case.mean, case.moving(case.mean, mean))
    ]
    yield from _of_average(case, "variance", case.var, var)
    for new, cause in (
        (mean, "the moving variance follows the mean. Average the variance of X."),
        (
            np.sqrt(var),
            "the moving variance follows the standard deviation. Average the variance itself.",
        ),
        (
            unbiased,
            "your moving variance divides by n - 1, as some frameworks do. Here it follows the "
            "same variance that normalizes, which divides by n.",
        ),
        (
            var + case.eps,
            "the moving variance has eps in it. Add eps when you divide, not when you average.",
        ),
        *((around, _AROUND) for around in arounds),
        (
            case.average((case.training() - case.average(case.training())) ** 2),
            "the moving variance follows the output, not the input. Average the variance of X.",
        ),
        (
            var / (var + case.eps),
            "the moving variance follows the normalized values, whose variance is 1. Average the "
            "variance of X.",
        ),
        (np.sqrt(var + case.eps), "the moving variance follows sqrt(var + eps). Average var."),
    ):
        yield cause, case.moving(case.var, new)


_AROUND = (
    "the variance for the moving average is taken around the moving mean. Take it around the mean "
    "of the batch."
)


def _of_average(case: Case, name: str, old, new) -> Mistakes:
    """Yield the mistakes that either moving average can have."""
    p = case.momentum
    yield (
        f"the moving {name} came back as it was. Assign {RULE} to it in training mode and return "
        f"the new value: {ORDER}.",
        old,
    )
    yield (
        f"momentum is reversed. It weighs the old value: {RULE}.",
        (1 - p) * old + p * new,
    )
    yield (
        f"you return the {name} of the batch. Return the moving average: {RULE}.",
        new,
    )
    yield f"(1 - momentum) is missing before the {name} of the batch: {RULE}.", p * old + new
    yield f"momentum is missing before the old {name}: {RULE}.", old + (1 - p) * new
    yield f"the old moving {name} is forgotten: {RULE}.", (1 - p) * new
    yield f"momentum is fixed at 0.9 in your code. Use the argument: {RULE}.", 0.9 * old + 0.1 * new
    yield (
        f"1 - momentum * {name} lacks parentheses around 1 - momentum: {RULE}.",
        p * old + 1 - p * new,
    )
    mean, var = case.moments()
    others = [case.var] if name == "mean" else [case.mean, case.moving(case.mean, mean)]
    for other in others:
        yield (
            f"the moving {name} takes its old value from the other average. Take its own: {RULE}.",
            p * other + (1 - p) * new,
        )
    yield (
        f"the moving {name} is updated twice in one call. Update it once.",
        p * (p * old + (1 - p) * new) + (1 - p) * new,
    )
    other = case.moving(case.var, var) if name == "mean" else case.moving(case.mean, mean)
    yield f"the moving mean and the moving variance are swapped: {ORDER}.", other


def of_prediction(case: Case) -> Mistakes:
    """Yield what mistaken code would return in prediction mode, each with its cause."""
    mean, var = case.moments()
    X = case.X
    yield (
        "you normalize with the mean and the variance of the batch. When predicting, use "
        "moving_mean and moving_var; autograd.is_training(), with its parentheses, tells the mode.",
        case.training(),
    )
    yield (
        "the moving averages are updated before you normalize with them. Leave them alone when "
        "predicting.",
        case.output(case.moving(case.mean, mean), case.moving(case.var, var)),
    )
    yield (
        "you use moving_mean, but the variance of the batch. Use moving_var when predicting.",
        case.output(case.mean, var),
    )
    yield (
        "you use moving_var, but the mean of the batch. Use moving_mean when predicting.",
        case.output(mean, case.var),
    )
    yield "X comes back as it was. Normalize it with moving_mean and moving_var.", X
    yield (
        "moving_mean and moving_var are in each other's place. Subtract the mean and divide by the "
        "root of the variance, and hand them over in the order that the function has.",
        case.output(case.var, case.mean),
    )
    yield from of_scale(case, case.mean, case.var, "moving_")


def of_cut(case: Case, dY: np.ndarray) -> Mistakes:
    """Yield the gradient of X when a statistic counts as a constant, each with its cause."""
    mean, var = case.moments()
    dY = case.shown(dY)
    scale = case.gamma / np.sqrt(var + case.eps)
    X_hat = (case.X - mean) / np.sqrt(var + case.eps)
    through_var = X_hat * case.average(dY * X_hat)
    through_mean = case.average(dY)
    rule = "Leave detach(), asnumpy() and autograd.pause() out: the gradient goes through both."
    for words, gradient in (
        ("the mean and the variance are cut from the graph.", scale * dY),
        ("the mean is cut from the graph.", scale * (dY - through_var)),
        ("the variance is cut from the graph.", scale * (dY - through_mean)),
    ):
        yield f"{words} {rule}", case.shown(gradient)
