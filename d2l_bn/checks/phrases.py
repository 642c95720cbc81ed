"""What is said of each cause: one table, from its label to its sentence.

A label names a slot and what stands in it, "spread: v + eps". In a sentence, {m} and {v} are the
names of the mean and the variance here, {M} is the mean in a sentence, {what} is what stands in the slot, {where} says
where the channels are. A label with "*" stands for all of its slot that have no sentence.
"""

from __future__ import annotations


class Cause(str):
    """A cause in words, with its label; empty where there is none."""

    label: str

    def __new__(cls, words: str = "", label: str = "") -> Cause:
        """The words, and the label, which tests and translations go by."""
        cause = super().__new__(cls, words)
        cause.label = label
        return cause


_HAT = "Y = gamma * X_hat + beta."
_RULE = "momentum * old + (1 - momentum) * batch"
_FIRST = "Normalize first, then Y = gamma * X_hat + beta."
_WRONG_PAIR = "the moving averages in training mode. Use the mean and the variance of the batch"
_SUM = "dX = (g - mean(g) - X_hat * mean(g * X_hat)) / std with g = gamma * dY"

OUTPUT = {
    "subtracted mean: 0": "{M} is not subtracted. Normalize X - {m}, not X.",
    "subtracted mean: -{m}": "{M} is added. Subtract it: X - {m}.",
    "subtracted mean: {m} / sqrt({v} + eps)": "{m} / std is subtracted from X. Put parentheses "
    "around the difference, which is what is divided: (X - {m}) / sqrt({v} + eps).",
    "subtracted mean: {m} / gamma": "gamma multiplies X before {M} is subtracted. Put parentheses "
    "around the difference: gamma * (X - {m}).",
    "spread: 1 & subtracted mean: {m} / gamma": "gamma * X - {m} is another thing than gamma * (X "
    "- {m}), and nothing divides it by the standard deviation.",
    "spread: 1 & subtracted mean: {m} / gamma / sqrt({v} + eps)": "gamma * X - {m} is another "
    "thing than gamma * (X - {m}): put parentheses around the difference, and divide all of it.",
    "subtracted mean: moving_mean & variance: moving_var": f"you normalize with {_WRONG_PAIR}.",
    "subtracted mean: new_moving_mean & variance: new_moving_var": "you normalize with the new "
    "moving averages in training mode. Use the mean and the variance of the batch; the averages "
    "are for prediction.",
    "mean: mean & variance: var": "you normalize with the mean and the variance of the batch. When "
    "predicting, use moving_mean and moving_var; autograd.is_training(), with its parentheses, "
    "tells the mode.",
    "mean: new_moving_mean & variance: new_moving_var": "the moving averages are updated before "
    "you normalize with them. Leave them alone when predicting.",
    "variance: var": "you use moving_mean, but the variance of the batch. Use moving_var when "
    "predicting.",
    "mean: mean": "you use moving_var, but the mean of the batch. Use moving_mean when predicting.",
    "mean: 0": "{M} is not subtracted. Normalize X - {m}, not X.",
    "mean: moving_var & variance: moving_mean": "moving_mean and moving_var are in each other's "
    "place. Subtract the mean, and divide by the root of the variance.",
    "subtracted mean: var & variance: mean": "the mean and the variance are in each other's place: "
    "(X - mean) / sqrt(var + eps).",
    "variance mean: moving_mean": "your variance is taken around the moving mean. Take it around "
    "the mean of the batch.",
    "variance mean: new_moving_mean": "your variance is taken around the moving mean. Take it "
    "around the mean of the batch.",
    "mean: everything(X)": "your mean is one number, that of all values. {where}",
    "variance n: (n - 1)": "your variance divides by n - 1. Batch normalization divides by n, the "
    "number of values of a channel.",
    "variance n: 1": "your variance is a sum. Divide it by n, the number of values of a channel.",
    "variance n: n ** 2": "your variance is divided by n twice: mean() has done it already.",
    "variance: average(X ** 2)": "your variance is the mean of X ** 2. Subtract the mean before "
    "you square: ((X - mean) ** 2).",
    "variance: average(abs(X - mean))": "your variance is the mean of |X - mean|. Square the "
    "differences: ((X - mean) ** 2).",
    "factor: 1 & spread: 1 & subtracted mean: 0": "X comes back as it was, or with beta added. "
    "Normalize it with the mean and the variance of the batch.",
    "spread: 1": "nothing divides by the standard deviation: (X - {m}) / sqrt({v} + eps).",
    "spread: v + eps": "you divide by {V}. Divide by its square root: sqrt({v} + eps).",
    "spread: v": "you divide by {V}, without eps. Divide by sqrt({v} + eps).",
    "spread: sqrt(v)": "eps is missing. Add it to the variance: sqrt({v} + eps).",
    "spread: sqrt(v) + eps": "eps stands outside the root. Add it to the variance: sqrt({v} + "
    "eps), not sqrt({v}) + eps.",
    "spread: sqrt(v + 1e-05)": "eps is fixed at 1e-5 in your code. Use the argument eps.",
    "spread: 1 / sqrt(v + eps)": "you multiply by the standard deviation. Divide by it.",
    "spread: X.max(...) - X.min(...) + eps & subtracted mean: X.min(...)": "you scale X to the range 0 to 1. Subtract "
    "the mean, and divide by the standard deviation.",
    "factor: 1": f"gamma is not used: {_HAT}",
    "offset: 0": f"beta is not used: {_HAT}",
    "factor: 1 & offset: 0": f"gamma and beta are not used: {_HAT}",
    "factor: beta & offset: gamma": "gamma and beta are swapped. gamma multiplies and beta is "
    f"added: {_HAT}",
    "offset: gamma * beta": "beta is scaled too: you return gamma * (X_hat + beta). It is gamma * "
    "X_hat + beta.",
    "offset: gamma * beta / sqrt({v} + eps)": "beta is divided by the standard deviation, too. Add "
    f"it last: {_HAT}",
    "factor: gamma ** 2 & offset: gamma * beta": "gamma multiplies the whole output once more: "
    f"{_HAT}",
    "factor: gamma ** 2": f"gamma multiplies twice. {_HAT}",
    "offset: -beta": f"beta is subtracted. It is added: {_HAT}",
    "factor: 1 / gamma": f"you divide by gamma. It multiplies: {_HAT}",
    "variance: gamma ** 2 * {v}": "gamma is applied before the normalization, which takes it out "
    f"again. {_FIRST}",
    "offset: 0 & variance: gamma ** 2 * {v}": "gamma and beta are applied before the "
    f"normalization, which takes them out again. {_FIRST}",
    "axes: * & line up: *": "you take {what} for the channels'. {where}",
    "n: *": "you divide sums by {what}. For {the}, divide by {n}.",
    "some: *": "{the} are those of {what} alone. Take all values of a channel.",
    "input: *": "{the} are those of {what}, not of X.",
    "rows: *": "{what} mixes the channels unless their axis comes first. Move it there before.",
    "sum: *": "you sum over {what} alone, and divide by all. {where}",
    "axes: *": "you average over {what}. {where}",
    "subtracted axes: *": "for the mean, you average over {what}. {where}",
    "variance axes: *": "for the variance, you average over {what}. {where}",
    "line up: *": "{which} {are} lined up with {what}. MXNet lines shapes up from the last axis "
    "on: keep the averaged axes with keepdims=True, or reshape to 1 along all axes but the "
    "channels'.",
    "rows: X.reshape((-1, channels))": "X.reshape((-1, channels)) mixes the channels unless their "
    "axis is the last. Move it there before you flatten, and back afterwards.",
    "n: mask.size": "the sums are divided by the number of all places. Divide them by the sum of "
    "the mask.",
    "variance n: mask.size": "the variance is divided by the number of all places. Divide it by "
    "the sum of the mask.",
    "mask: padding counts": "padded places count in the mean and in the variance. Take both over "
    "the places where the mask is 1.",
    "mask: mean of means": "your mean is the mean of the sentences' means, in which a short "
    "sentence weighs as much as a long one. Sum over the whole batch, then divide by the sum of "
    "the mask.",
    "mask: as indices": "X[mask] takes the ones and zeros of the mask for indices. Multiply by it.",
    "variance: sum((mask * X - mean) ** 2) / n": "padded places count in the variance: X * mask - "
    "mean is not 0 there. Subtract first, square, then multiply by the mask.",
    "mask: reversed": "the mask is taken the other way round. It is 1 where a value counts.",
    "mask: spread": "the mask, (batch, length), is spread over the wrong axes of X, (batch, "
    "length, channels). It needs one more axis, the last: mask.expand_dims(axis=2).",
    "share: 1": "the averages are not divided: moving_mean / (1 - 0.9 ** t), and so for moving_var.",
    "variance share: 1": "moving_var is not divided by 1 - 0.9 ** t.",
    "subtracted share: 1": "moving_mean is not divided by 1 - 0.9 ** t.",
    "share: 1 / (1 - 0.9 ** t)": "the averages are multiplied by 1 - 0.9 ** t. Divide them.",
    "share: 0.9 ** t": "you divide by 0.9 ** t, the share of the start. Divide by 1 - 0.9 ** t.",
    "share: 1 - 0.1 ** t": "you divide by 1 - 0.1 ** t. Divide by 1 - 0.9 ** t.",
    "share: *": "you divide the averages by {what}. Divide them by 1 - 0.9 ** t.",
    "subtracted share: *": "you divide moving_mean by {what}. Divide it by 1 - 0.9 ** t.",
    "variance share: *": "you divide moving_var by {what}. Divide it by 1 - 0.9 ** t.",
    "factor share: 1 - 0.9 ** t": "gamma is divided by 1 - 0.9 ** t, too. Divide the averages "
    "alone.",
    "factor share: 1 - 0.9 ** t & share: 1": "what is normalized is divided by 1 - 0.9 ** t, not "
    "the averages. Divide moving_mean and moving_var.",
    "padding: not 0": "the output is not 0 where the mask is. Multiply it by the mask.",
    "padding: beta": "the output is beta where the mask is 0. Multiply by the mask after beta has "
    "been added.",
    "padding: X": "the padding keeps its input. The output is 0 where the mask is 0.",
}
_MASKED_MEAN = (
    "padded places count in the mean. Divide the sum over the places where the mask is 1 by the "
    "sum of the mask."
)
_MASKED_VARIANCE = (
    "padded places count in the variance: multiply the squared differences by the mask before you "
    "sum them."
)
OUTPUT.update(
    {
        f"{prefix}{key}": words
        for words, labels in (
            (_MASKED_MEAN, ("mask: sum(X) / n", "mask: padding counts")),
            (
                _MASKED_VARIANCE,
                (
                    ": sum((X - mean) ** 2) / n",
                    ": sum((X - mean) ** 2) / mask.size",
                    " mask: padding counts",
                ),
            ),
        )
        for key in labels
        for prefix in (("", "subtracted ") if words is _MASKED_MEAN else ("variance",))
        if f"{prefix}{key}" != "mask: padding counts"
    }
)
AVERAGE = {
    "momentum: 1": f"the moving {{word}} came back as it was. Return the new value: {_RULE}.",
    "momentum: (1 - momentum)": f"momentum is reversed. It weighs the old value: {_RULE}.",
    "momentum: 0": f"you return the {{word}} of the batch. Return the moving average: {_RULE}.",
    "new weight: 1": f"(1 - momentum) is missing before the {{word}} of the batch: {_RULE}.",
    "new weight: 0": f"the {{word}} of the batch is not added: {_RULE}.",
    "old weight: 1": f"momentum is missing before the old {{word}}: {_RULE}.",
    "old weight: 0": f"the old moving {{word}} is forgotten: {_RULE}.",
    "momentum: 0.9": f"momentum is fixed at 0.9 in your code. Use the argument: {_RULE}.",
    "momentum: momentum ** 2": "the moving {word} is updated twice in one call. Update it once.",
    "new: (1 - momentum * {new}) / (1 - momentum)": "1 - momentum * {new} lacks parentheses around "
    f"1 - momentum: {_RULE}.",
    "old: new_{own}": "the moving {word} is updated twice in one call. Update it once.",
    "old: {other}": "the moving {word} takes its old value from the other average. Take its own.",
    "old: new_{other}": "the moving {word} takes its old value from the other average. Take its "
    "own.",
    "swapped: {other}": "the moving mean and the moving variance are swapped: return Y, "
    "moving_mean, moving_var.",
    "moving_var, swapped: {other}": "the moving mean comes in the place of the moving variance: "
    "return Y, moving_mean, moving_var.",
    "moving_mean, new: var": "the moving mean follows the variance. Average the mean of X.",
    "moving_var, new: mean": "the moving variance follows the mean. Average the variance of X.",
    "new: the output": "the moving {word} follows the output, not the input. Average the {word} of "
    "X, before it is normalized.",
    "new: X_hat": "the moving {word} follows the normalized values. Average the {word} of X.",
    "new: X - mean": "the moving mean follows X - mean, whose mean is 0. Average the mean of X.",
    "new: sqrt(var)": "the moving variance follows the standard deviation. Average the variance "
    "itself.",
    "new: sqrt(var + eps)": "the moving variance follows sqrt(var + eps). Average var.",
    "new: (var + eps)": "the moving variance has eps in it. Add eps when you divide, not when you "
    "average.",
    "moving_var, n: (n - 1)": "your moving variance divides by n - 1, as some frameworks do. Here "
    "it follows the same variance that normalizes, which divides by n.",
    "moving_var, mean: moving_mean": "the variance for the moving average is taken around the "
    "moving mean. Take it around the mean of the batch.",
    "moving_var, mean: new_moving_mean": "the variance for the moving average is taken around the "
    "moving mean. Take it around the mean of the batch.",
    "mask: padding counts": "padded places count in it. Take it over the places where the mask is "
    "1.",
    "mask: sum(X) / n": "padded places count in it: multiply by the mask before you sum.",
    "n: mask.size": "it is divided by the number of all places. Divide by the sum of the mask.",
    "n: *": "the {word} that it follows is a sum divided by {what}. Divide by {n}.",
    "some: *": "the {word} that it follows is that of {what} alone. Take all values of a channel.",
    "axes: *": "the {word} that it follows is averaged over {what}. {where}",
}

# What is said of a slip that has no sentence of its own, where it is the only one.
ALONE = {
    "mean: *": "you take {what} for {M}, and normalize with it.",
    "subtracted mean: *": "you subtract {what} from X. Subtract {M}: X - {m}.",
    "variance mean: *": "your variance is taken around {what}. Take it around the mean.",
    "variance: *": "you take {what} for {V}, where it is the mean of (X - mean) ** 2.",
    "spread: *": "you divide by {what}, with v = {v}. Divide by sqrt({v} + eps).",
    "factor: *": f"X_hat is multiplied by {{what}}. It is multiplied by gamma: {_HAT}",
    "offset: *": f"{{what}} is added at the end, where it is beta: {_HAT}",
    "new: *": "the moving {word} follows {what}. Average the {word} of X.",
    "old: *": f"the moving {{word}} takes {{what}} for its old value. Take {{own}}: {_RULE}.",
    "momentum: *": f"you use {{what}} in the place of momentum: {_RULE}.",
    "old weight: *": f"the old {{word}} is weighed by {{what}}. Weigh it by momentum: {_RULE}.",
    "new weight: *": "the {word} of the batch is weighed by {what}. Weigh it by (1 - momentum): "
    f"{_RULE}.",
}


def sentence(table: dict[str, str], label: str, **words: str) -> str:
    """The sentence of a label in a table, with these words put in, or ""."""
    filled = {}
    for key, text in table.items():
        filled.setdefault(_put(key, words), text)
    what = label.rsplit(": ", 1)[-1]
    the = {"subtracted": "the mean", "variance": "the variance"}.get(label.split(" ")[0])
    words = {"the": the or "the mean and the variance", **words}
    *_, rest = label.partition(", ") if label.startswith("moving_") else ("", "", label)
    slot = " & ".join(f"{each.split(': ')[0]}: *" for each in rest.split(" & "))
    bare = slot.removeprefix("subtracted ").removeprefix("variance ") if the else slot
    for name in (label, rest, slot, bare):
        if name in filled:
            return _put(filled[name], {**words, "what": what}).strip()
    return ""


def _put(text: str, words: dict[str, str]) -> str:
    for name, word in words.items():
        text = text.replace("{" + name + "}", word)
    return text


def explained(table: dict[str, str], labels: list[str], **words: str) -> str:
    """The sentences of several labels: one of them together, or one each, or ""."""
    if len(labels) == 1:
        return sentence({**table, **ALONE}, labels[0], **words)
    whole = sentence(table, " & ".join(sorted(labels)), **words)
    each = [sentence(table, label, **words) for label in labels]
    if whole or not all(each):
        return whole
    return " Also, ".join(each)


_CUT = (
    "Leave detach(), asnumpy() and autograd.pause() out of what normalizes X: the gradient goes "
    "through both. The moving averages may be detached."
)
_MEAN_WAY, _VAR_WAY = "path through the mean", "path through the variance"
_STDS = {
    "n - 1": "the variance divides by m - 1. It divides by m, as in the forward pass.",
    "sqrt(var)": "eps is missing in the standard deviation: sqrt(var + eps).",
    "sqrt(var) + eps": "eps stands outside the root. The standard deviation is sqrt(var + eps).",
    "var + eps": "the square root is missing. The standard deviation is sqrt(var + eps).",
    "sqrt(sum + eps)": "the variance is a sum. Divide it by m.",
    "n - 1, without eps": "the variance divides by m - 1, and eps is missing: sqrt(var + eps).",
    "sqrt(average(X ** 2) + eps)": "the variance is the mean of X ** 2. Subtract the mean before "
    "you square.",
    "sqrt(sqrt(var) + eps)": "the root is taken twice. The standard deviation is sqrt(var + eps).",
    "sqrt(var + eps ** 2)": "eps is squared. The standard deviation is sqrt(var + eps).",
    "1": "the division by the standard deviation is missing. X_hat is (X - mean) / std.",
}
GRADIENT = {
    **{f"std: {std}": words for std, words in _STDS.items()},
    **{f"dgamma, std: {std}": f"{words} It belongs to X_hat in dgamma." for std, words in
       _STDS.items()},
    "dbeta, times: / n": "dbeta is a mean over the batch. It is a sum: each example adds its dY.",
    "dbeta, times: * gamma": "dbeta has gamma in it. beta is added after gamma has multiplied.",
    "dbeta, 0": "dbeta is 0. beta is added to each example: sum their dY.",
    "dbeta, sum: sum(dY * X_hat)": "dbeta has X_hat in it, as dgamma has. beta is added: sum dY "
    "alone.",
    "dbeta, axis 1": "dbeta is summed over the features. Sum over the batch, axis 0.",
    "dgamma, sum: sum(dY)": "X_hat is missing in dgamma. gamma multiplies X_hat, so each dY counts "
    "X_hat times.",
    "dgamma, sum: sum(dY * X)": "dgamma uses X. gamma multiplies the normalized values, X_hat.",
    "dgamma, sum: sum(dY * (X - mean))": "dgamma uses X - mean, which is not divided by the "
    "standard deviation. It takes X_hat.",
    "dgamma, times: / n": "dgamma is a mean over the batch. It is a sum: each example adds its "
    "own.",
    "dgamma, times: * gamma": "dgamma has gamma in it. The derivative of gamma * X_hat by gamma is "
    "X_hat alone.",
    "dgamma, 0": "dgamma is 0. gamma multiplies X_hat: sum dY * X_hat over the batch.",
    f"{_MEAN_WAY}, 0 & {_VAR_WAY}, 0": "the mean and the variance count as constants. But X "
    "reaches the output by three ways: directly, through the mean, and through the variance.",
    f"{_MEAN_WAY}, 0": "the path through the mean is forgotten. Each x moves the mean by 1 / m of "
    "itself, and the mean moves every output of that feature.",
    f"{_VAR_WAY}, 0": "the path through the variance is forgotten. Each x moves the variance, and "
    "the variance scales every output of that feature.",
    f"{_MEAN_WAY}, times: / gamma": "gamma is missing in the path through the mean. dX_hat = gamma "
    "* dY goes through all three ways.",
    f"{_VAR_WAY}, times: / gamma": "gamma is missing in the path through the variance. dX_hat = "
    "gamma * dY goes through all three ways.",
    f"{_MEAN_WAY}, times: * n": "dY is summed, not averaged, in the path through the mean: / m is "
    "missing.",
    f"{_VAR_WAY}, times: * n": "dY * X_hat is summed, not averaged, in the path through the "
    "variance: / m is missing.",
    f"{_MEAN_WAY}, times: * n & {_VAR_WAY}, times: * n": "/ m is missing in both paths, through "
    "the mean and through the variance.",
    f"{_MEAN_WAY}, times: * n / (n - 1) & {_VAR_WAY}, times: * n / (n - 1)": "the paths through "
    "the mean and the variance divide by m - 1. They divide by m.",
    f"{_MEAN_WAY}, times: -1 & {_VAR_WAY}, times: -1": "the paths through the mean and the "
    "variance are added. Both are subtracted: they take away what normalization undoes.",
    f"{_MEAN_WAY}, times: -1": "the path through the mean has the wrong sign.",
    f"{_VAR_WAY}, times: -1": "the path through the variance has the wrong sign.",
    f"{_VAR_WAY}, times: 0.5": "the path through the variance is halved: the factor 2 of the "
    "square is forgotten.",
    f"{_VAR_WAY}, times: 2": "the path through the variance counts 2 times. It counts once.",
    f"{_MEAN_WAY}, times: 2": "the path through the mean counts 2 times. It counts once.",
    "dX, times: / gamma": "gamma is missing in dX. The output is gamma * X_hat + beta.",
    "dX, times: / gamma ** 2": "gamma divides dX. It multiplies, as in the forward pass.",
    "dX, times: * gamma": "gamma multiplies dX twice. It multiplies once.",
    "dX, times: * std": "the division by the standard deviation is missing in dX. X_hat = (X - "
    "mean) / std.",
    "dX, times: * std ** 2": "dX is multiplied by the standard deviation. Divide by it.",
    "dX, times: / std": "dX is divided by the variance. Divide by the standard deviation.",
    "dX, times: * n": "dX is m times too large: divide by m.",
    f"{_MEAN_WAY}, sum: mean of all gamma * dY": "the mean of dY goes over everything. Take it "
    "over the batch, axis 0.",
    f"{_VAR_WAY}, sum: mean of all gamma * dY * X_hat": "the mean of dY * X_hat goes over "
    "everything. Take it over the batch, axis 0.",
    f"{_MEAN_WAY}, and: sum(dY * X_hat) & {_VAR_WAY}, 0": "X_hat is missing in the path through "
    "the variance. The variance moves each output in proportion to its own X_hat.",
    f"{_MEAN_WAY}, times: / features & {_VAR_WAY}, times: / features": "the paths through the mean "
    "and the variance are divided by X.size. Divide by m, the number of examples.",
    "dX, times: / std ** 2": "dX is divided by std ** 3. Divide by the standard deviation once.",
    f"direct way, times: * std & {_MEAN_WAY}, 0 & {_VAR_WAY}, 0": "dX is gamma * dY, as if nothing were "
    "normalized. X_hat depends on X.",
    f"{_MEAN_WAY}: mean of g over axis 1": "the mean of dY goes over the features. Take it over "
    "the batch, axis 0.",
    f"{_MEAN_WAY}: mean of all g": "the mean of dY goes over everything. Take it over the batch, "
    "axis 0.",
    f"{_VAR_WAY}: X_hat * mean of all g * X_hat": "the mean of dY * X_hat goes over everything. "
    "Take it over the batch, axis 0.",
    f"{_VAR_WAY}: X_hat * mean of g * X_hat over axis 1": "the mean of dY * X_hat goes over the "
    "features. Take it over the batch, axis 0.",
    f"{_VAR_WAY}: mean(g * X_hat)": "X_hat is missing in the path through the variance. The "
    "variance moves each output in proportion to its own X_hat.",
    "graph: mean and variance": f"the mean and the variance are cut from the graph. {_CUT}",
    "graph: mean": f"the mean is cut from the graph. {_CUT}",
    "graph: variance": f"the variance is cut from the graph. {_CUT}",
    "graph: padding": "a gradient goes to the padding. Where the mask is 0, Y is 0 whatever X is: "
    "multiply by the mask, or use nd.where, and cut none of it from the graph.",
}  # fmt: skip
