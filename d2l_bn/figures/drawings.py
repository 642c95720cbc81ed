"""Drawings that explain: what is averaged, what flows, what is kept. Vector graphics made by code.

Each function returns a `Drawing`, which a notebook shows as it is. The colours follow the reader's
choice of light or dark, and the book puts its own in their place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from types import MappingProxyType

LIGHT = {
    "paper": "#ffffff",
    "ink": "#24292f",
    "soft": "#8c959f",
    "fill": "#eef1f4",
    "one": "#0072b2",
    "two": "#c04f00",
    "three": "#00785a",
}
DARK = {
    "paper": "#1b1f24",
    "ink": "#e6e9ec",
    "soft": "#7d8590",
    "fill": "#2d333b",
    "one": "#56b4e9",
    "two": "#ff9d4d",
    "three": "#3fc79a",
}
SIZE = 14  # of the letters, in pixels
Point = tuple[float, float]


class Drawing:
    """Shapes and words on a sheet of `width` by `height` pixels, which `alt` puts into words.

    `say` has words of another language for the English; what isn't in it stays as it is.
    """

    def __init__(
        self, width: int, height: int, alt: str, say: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self.width = width
        self.height = height
        self.say = say
        self.alt = say.get(alt, alt)
        self.parts: list[str] = []

    def text(self, x: float, y: float, words: str, look: str = "ink", anchor: str = "middle"):
        """Words around the point (x, y); several lines if they hold line breaks."""
        lines = self.say.get(words, words).split("\n")
        top = y + 0.35 * SIZE - 0.6 * SIZE * (len(lines) - 1)
        for number, line in enumerate(lines):
            place = f'x="{x:.1f}" y="{top + 1.2 * SIZE * number:.1f}" text-anchor="{anchor}"'
            self.parts.append(f'<text class="f-{look}" {place}>{escape(line)}</text>')

    def polygon(self, points: Iterable[Point], fill: str = "fill", line: str = "ink"):
        """A filled shape with an outline."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polygon class="f-{fill} l-{line}" points="{path}"/>')

    def box(self, x, y, width, height, words="", fill="fill", line="ink", look="ink"):
        """A rectangle around (x, y), with words in it."""
        place = f'x="{x - width / 2:.1f}" y="{y - height / 2:.1f}"'
        size = f'width="{width:.1f}" height="{height:.1f}" rx="5"'
        self.parts.append(f'<rect class="f-{fill} l-{line}" {place} {size}/>')
        if words:
            self.text(x, y, words, look)

    def path(self, points: Sequence[Point], line: str = "ink", head: bool = False, dash: str = ""):
        """A line through points, with an arrow head at its end if asked for."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        style = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(f'<polyline class="f-none l-{line}" points="{path}"{style}/>')
        if head:
            (x0, y0), (x1, y1) = points[-2:]
            length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
            dx, dy = 8 * (x1 - x0) / length, 8 * (y1 - y0) / length
            tips = [(x1, y1)] + [(x1 - dx + s * dy / 2, y1 - dy - s * dx / 2) for s in (1, -1)]
            self.polygon(tips, fill=line, line=line)

    def arrow(self, *points: Point, line: str = "ink", dash: str = ""):
        """A line with a head."""
        self.path(points, line, head=True, dash=dash)

    def svg(self) -> str:
        """The drawing as a text that browsers understand."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="drawing" role="img" '
            f'viewBox="0 0 {self.width} {self.height}" width="{self.width}" '
            f'height="{self.height}" aria-label="{escape(self.alt)}">'
        )
        sheet = f'<rect class="f-paper l-none" width="{self.width}" height="{self.height}" rx="8"/>'
        return "\n".join([head, f"<style>{style()}</style>", sheet, *self.parts, "</svg>"])

    def _repr_svg_(self) -> str:
        return self.svg()

    def __repr__(self) -> str:
        return self.alt


def style() -> str:
    """The style of what is in an element of the class `drawing`, in light and dark."""
    looks = "".join(
        f".drawing .f-{name}{{fill:var(--{name})}}.drawing .l-{name}{{stroke:var(--{name})}}"
        for name in LIGHT
    )
    return (
        f".drawing{{{_colours(LIGHT)};font:{SIZE}px sans-serif}}"
        f"@media(prefers-color-scheme:dark){{.drawing{{{_colours(DARK)}}}}}"
        f"html[data-theme=light] .drawing{{{_colours(LIGHT)}}}"
        f"html[data-theme=dark] .drawing{{{_colours(DARK)}}}"
        ".drawing .f-none{fill:none}.drawing .l-none{stroke:none}.drawing text{stroke:none}"
        ".drawing{stroke-width:1.3;stroke-linejoin:round}" + looks
    )


def _colours(colours: Mapping[str, str]) -> str:
    return ";".join(f"--{name}:{value}" for name, value in colours.items())


def normalizations() -> Drawing:
    """Which values share a mean and a variance: batch, layer, instance and group normalization."""
    drawing = Drawing(
        780,
        280,
        "Four cubes, each of 4 images by 4 channels by 4 pixels. The values that share one mean "
        "and one variance are shaded. Batch normalization: one channel, over all images and all "
        "pixels. Layer normalization: one image, over all channels and pixels. Instance "
        "normalization: one channel of one image. Group normalization: some channels of one image.",
    )
    kinds = {
        "batch": ({0, 1, 2, 3}, {3}),
        "layer": ({0}, {0, 1, 2, 3}),
        "instance": ({0}, {3}),
        "group": ({0}, {2, 3}),
    }
    for number, (name, (images, channels)) in enumerate(kinds.items()):
        left = 28 + 188 * number
        cube(drawing, left, 112, images, channels)
        drawing.text(left + 72, 28, f"{name} normalization")
    drawing.text(28, 226, "→ channels   ↗ images   ↓ pixels of a channel", "soft", "start")
    drawing.text(28, 252, "shaded: the values that share one mean and one variance", "two", "start")
    return drawing


def cube(
    drawing: Drawing, left: float, top: float, images: set, channels: set, look: str = "two"
) -> None:
    """A cube of 4 x 4 x 4 cells from the front, the top and the right, shaded in `look`."""
    side, dx, dy = 24.0, 12.0, -12.0

    def corner(channel, pixel, image):
        return left + side * channel + dx * image, top + side * pixel + dy * image

    def cell(points, image, channel):
        shaded = image in images and channel in channels
        drawing.polygon([corner(*p) for p in points], look if shaded else "fill", "ink")

    for a in range(4):
        for b in range(4):
            # front: channel a, pixel b, image 0
            cell([(a, b, 0), (a + 1, b, 0), (a + 1, b + 1, 0), (a, b + 1, 0)], 0, a)
            # top: channel a, pixel 0, image b
            cell([(a, 0, b), (a + 1, 0, b), (a + 1, 0, b + 1), (a, 0, b + 1)], b, a)
            # right: channel 3, pixel b, image a
            cell([(4, b, a), (4, b, a + 1), (4, b + 1, a + 1), (4, b + 1, a)], a, 3)


def data_flow() -> Drawing:
    """What goes through the layer in training mode and in prediction mode, and what is kept."""
    drawing = Drawing(
        780,
        400,
        "Two rows. Training: the batch X gives its mean and variance; X is normalized with them, "
        "scaled by gamma and shifted by beta, and leaves as Y; the mean and the variance also "
        "move the two moving averages. Prediction: X is normalized with the moving averages, "
        "scaled and shifted; nothing changes. Gamma and beta are trained by the optimizer; the "
        "moving averages are kept and saved.",
    )
    for y, mode in ((90, "training"), (330, "prediction")):
        drawing.text(18, y - 52, mode, "ink", "start")
        drawing.box(50, y, 50, 40, "X")
        drawing.box(385, y, 190, 40, "(X − mean) / √(var + ε)")
        drawing.box(590, y, 110, 40, "γ · X̂ + β")
        drawing.box(735, y, 50, 40, "Y")
        drawing.arrow((75, y), (289, y))
        drawing.arrow((481, y), (533, y))
        drawing.arrow((647, y), (708, y))
    drawing.box(200, 146, 150, 40, "mean, variance\nof the batch", "fill", "one")
    drawing.arrow((120, 90), (120, 146), (124, 146), line="one")
    drawing.arrow((276, 146), (385, 146), (385, 112), line="one")
    drawing.box(200, 226, 214, 44, "moving mean and variance", "paper", "two", "two")
    drawing.arrow((200, 167), (200, 202), line="two")
    drawing.text(214, 185, "momentum · old + (1 − momentum) · new", "two", "start")
    drawing.text(14, 226, "kept:", "two", "start")
    drawing.arrow((308, 226), (385, 226), (385, 308), line="two")
    drawing.box(590, 212, 110, 40, "γ, β", "paper", "three", "three")
    drawing.text(660, 212, "trained by\nthe optimizer", "three", "start")
    drawing.arrow((590, 191), (590, 112), line="three")
    drawing.arrow((590, 233), (590, 308), line="three")
    drawing.text(385, 384, "prediction changes nothing that is kept", "soft")
    return drawing


def lenet_shapes() -> Drawing:
    """LeNet from the image to the ten outputs, with the shape of what goes through it."""
    drawing = Drawing(
        780,
        300,
        "LeNet from left to right. An image of 1 x 28 x 28. A convolution with a 5 x 5 window "
        "gives 6 x 24 x 24, followed by normalization and sigmoid; pooling halves the sides to "
        "6 x 12 x 12. "
        "A second convolution gives 16 x 8 x 8, normalization, sigmoid; pooling gives 16 x 4 x 4. "
        "Dense layers give 120 and 84 numbers, each with normalization and sigmoid; the last dense "
        "layer gives 10 outputs.",
    )
    planes = [  # x, planes to draw, side in pixels, shape
        (56, 1, 84, "1 × 28 × 28"),
        (176, 4, 72, "6 × 24 × 24"),
        (296, 4, 40, "6 × 12 × 12"),
        (400, 6, 30, "16 × 8 × 8"),
        (496, 6, 18, "16 × 4 × 4"),
    ]
    for x, count, side, shape in planes:
        for k in range(count):
            shift = 5 * (k - (count - 1) / 2)
            drawing.box(x + shift, 150 + shift, side, side, fill="fill")
        drawing.text(x, 232, shape)
    for x, height, shape in ((588, 130, "120"), (656, 96, "84"), (724, 40, "10")):
        drawing.box(x, 150, 14, height, fill="fill")
        drawing.text(x, 232, shape)
    convolution, dense = "conv 5×5\nnorm\nsigmoid", "dense\nnorm\nsigmoid"
    for x0, x1, words in (
        (102, 124, convolution),
        (226, 258, "pool"),
        (330, 362, convolution),
        (432, 466, "pool"),
        (524, 576, dense),
        (600, 644, dense),
        (668, 712, "dense"),
    ):
        drawing.arrow((x0, 150), (x1, 150))
        drawing.text((x0 + x1) / 2, 52, words, "one")
    words = "channels × height × width, then numbers; a batch has one more axis, in front"
    drawing.text(390, 276, words, "soft")
    return drawing


def memory() -> Drawing:
    """How much each of the last batches weighs in a moving average, for three momenta."""
    drawing = Drawing(
        780,
        270,
        "Three rows of bars: the weight of each of the last 40 batches in a moving average. With "
        "momentum 0.5 nearly all of the weight lies on the last three batches. With 0.9 the bars "
        "fall slowly: half of the weight lies on the last seven. With 0.99 the oldest bar is two "
        "thirds as tall as the newest, and all forty together hold a third of the weight.",
    )
    for row, (momentum, colour) in enumerate(((0.5, "one"), (0.9, "two"), (0.99, "three"))):
        base = 84 + 76 * row
        drawing.text(14, base - 20, f"momentum {momentum}", colour, "start")
        tallest = 1 - momentum
        for age in range(40):
            height = 56 * (tallest * momentum**age) / tallest
            x = 730 - 11 * age
            if height > 0.4:
                drawing.box(x, base - height / 2, 8, height, fill=colour, line="none")
        drawing.path([(290, base), (740, base)], "soft")
        held = 1 - momentum**7
        drawing.text(
            14, base - 2, f"last batch {tallest:.0%}, last seven {held:.0%}", "soft", "start"
        )
    drawing.text(730, 254, "now", "soft")
    drawing.text(730 - 11 * 39, 254, "40 batches ago", "soft", "start")
    return drawing


def _halves(drawing: Drawing, name: str) -> Iterator[tuple[int, str]]:
    """Draw a batch of eight images cut in two; the place and the colour of each half, in turn."""
    halves = (84, "one"), (204, "three")
    for y, colour in halves:
        for k in range(4):
            drawing.box(40 + 26 * k, y, 20, 26, fill=colour)
    for number, (y, colour) in enumerate(halves):
        drawing.text(79, y - 32, name.format(number), colour)
        yield y, colour


def two_contexts() -> Drawing:
    """A batch that is cut over two contexts: what each computes, and whose statistics stay."""
    drawing = Drawing(
        780,
        330,
        "A batch of eight images is cut into two shards. The first goes to cpu(0), the second to "
        "cpu(1). Each context has a copy of gamma and beta and normalizes its shard with the "
        "shard's own mean and variance. The gradients of both are added for one step of the "
        "optimizer. The one set of moving averages visits the first shard and then the second, "
        "so that it counts two updates, and the second weighs more.",
    )
    for y, colour in _halves(drawing, "shard on cpu({})"):
        drawing.arrow((136, y), (186, y), line=colour)
        drawing.box(286, y, 196, 48, "mean, variance\nof this shard alone", "fill", colour)
        drawing.arrow((385, y), (432, y), line=colour)
        drawing.box(516, y, 164, 48, "normalize;\nγ, β: a copy here", "fill", colour)
        drawing.arrow((600, y), (650, y), line=colour)
    words = "gradients of\nboth shards,\nadded: one\nstep for γ, β"
    drawing.box(706, 144, 108, 170, words, "paper")
    drawing.box(286, 144, 196, 40, "moving averages", "paper", "two", "two")
    drawing.arrow((256, 109), (256, 123), line="two")
    drawing.arrow((316, 179), (316, 165), line="two")
    drawing.text(240, 116, "1", "two")
    drawing.text(332, 173, "2", "two")
    drawing.text(14, 268, "After the step, with momentum ρ:", "two", "start")
    formula = "moving = ρ² · old + ρ (1 − ρ) · first shard + (1 − ρ) · second shard"
    drawing.text(14, 294, formula, "two", "start")
    return drawing


def shared_statistics() -> Drawing:
    """A batch that is cut over two devices, and normalized as if it were whole."""
    drawing = Drawing(
        780,
        330,
        "A batch of eight images is cut into two shares, one on each device. Each device computes "
        "n, the sum of x and the sum of x squared of its share. The sums of both are added, and "
        "both normalize with the mean and the variance that follow. There is one set of moving "
        "averages. Backward, two other sums are added in the same way.",
    )
    for y, colour in _halves(drawing, "share of device {}"):
        drawing.arrow((136, y), (176, y), line=colour)
        drawing.box(256, y, 156, 48, "n, Σ x, Σ x²\nof this share", "fill", colour)
        drawing.box(646, y, 190, 48, "normalize with\nthe same μ and σ²", "fill", colour)
        near, far = (126, 112) if y < 144 else (162, 176)
        drawing.arrow((334, far), (380, near), line="two")
        drawing.arrow((504, near), (549, far), line="two")
    drawing.box(442, 144, 120, 64, "the sums of\nboth, added", "paper", "two", "two")
    drawing.box(646, 144, 200, 40, "moving averages: one set", "paper", "two", "two")
    drawing.arrow((504, 144), (549, 144), line="two")
    forward = "Forward: μ = Σ x / n and σ² = Σ x² / n − μ², over all shares."
    backward = "Backward, the same way: Σ dx̂ and Σ dx̂ x̂, over all shares."
    drawing.text(14, 268, forward, "two", "start")
    drawing.text(14, 294, backward, "two", "start")
    return drawing


def backward_graph(X=(0, 0, 3, 3), gamma=3, beta=1, dY=(1, 0, 0, 0)) -> Drawing:
    """The layer as a graph of small steps, with the values of one channel and their gradients.

    Parameters
    ----------
    X : sequence of float
        The values of a channel in a batch.
    gamma, beta : float
        Its scale and its shift; epsilon is 0.
    dY : sequence of float
        The gradient of the loss for each output.
    """
    m = len(X)
    mean = sum(X) / m
    D = [x - mean for x in X]
    var = sum(d * d for d in D) / m
    r = var**-0.5  # 1/s
    X_hat = [d * r for d in D]
    Y = [gamma * x + beta for x in X_hat]
    dX_hat = [gamma * g for g in dY]
    dr = sum(g * d for g, d in zip(dX_hat, D))
    dvar = -0.5 * r**3 * dr
    dD = [g * r + 2 * d * dvar / m for g, d in zip(dX_hat, D)]
    dmean = -sum(dD)
    dX = [g + dmean / m for g in dD]
    dgamma, dbeta = sum(g * x for g, x in zip(dY, X_hat)), sum(dY)

    drawing = Drawing(
        810,
        340,
        f"The layer as a graph for the four values {_list(X)}, with each value above its edge and "
        f"the gradient of the loss below it. x minus the mean {_list([mean])} gives {_list(D)}; "
        f"its variance is {_list([var])}; divided by the root: {_list(X_hat)}; times gamma {gamma} "
        f"plus beta {beta}: {_list(Y)}. Backwards from {_list(dY)}: the gradient of beta is "
        f"{_list([dbeta])}, of gamma {_list([dgamma])}, of the variance {_list([dvar])}, of the "
        f"mean {_list([dmean])}, and of x {_list(dX)}.",
    )

    y, low = 104, 236
    for x, words in {236: "x − μ", 470: "· 1/s", 590: "· γ", 668: "+ β"}.items():
        drawing.box(x, y, 58, 38, words)
    for x, width, words in ((124, 70, "mean μ"), (318, 96, "variance σ²"), (470, 62, "1/√σ²")):
        drawing.box(x, low, width, 38, words)
    for x0, x1 in ((14, 206), (266, 440), (500, 560), (620, 638), (698, 790)):
        drawing.arrow((x0, y), (x1, y))
    for x, value, gradient in (
        (100, "x = " + _list(X), _list(dX)),
        (354, _list(D), _list(dD)),
        (532, "x̂ = " + _list(X_hat), _list(dX_hat)),
        (740, "y = " + _list(Y), _list(dY)),
    ):
        # Short edges carry their labels higher and lower, clear of the boxes.
        away = 16 if x < 500 else 36
        drawing.text(x, y - away, value, "one")
        drawing.text(x, y + away, gradient, "two")
    drawing.arrow((40, y), (40, low), (88, low))
    drawing.arrow((160, low), (224, low), (224, y + 20))
    drawing.arrow((286, y), (286, low - 20))
    drawing.arrow((367, low), (438, low))
    drawing.arrow((470, low - 20), (470, y + 20))
    for x, value, gradient in ((192, mean, dmean), (402, var, dvar)):
        drawing.text(x, low - 16, _list([value]), "one")
        drawing.text(x, low + 16, _list([gradient]), "two")
    drawing.text(462, low - 56, _list([r]), "one", "end")
    drawing.text(478, low - 56, _list([dr]), "two", "start")
    for x, name, value, gradient in ((590, "γ", gamma, dgamma), (668, "β", beta, dbeta)):
        drawing.arrow((x, low - 20), (x, y + 20))
        drawing.text(x, low - 6, name, "three")
        drawing.text(x - 8, low - 66, _list([value]), "one", "end")
        drawing.text(x + 8, low - 66, _list([gradient]), "two", "start")
    words = "above an edge, or left of it: the value, on the way forward"
    drawing.text(14, 296, words, "one", "start")
    words = "below, or right: the gradient of the loss, on the way back"
    drawing.text(14, 320, words, "two", "start")
    return drawing


def _list(values: Iterable[float]) -> str:
    """Numbers as a reader writes them: (1, −0.5), or 2.25 where there is one alone."""
    words = [f"{round(value, 3) + 0:g}".replace("-", "−") for value in values]  # + 0: not -0
    return words[0] if len(words) == 1 else f"({', '.join(words)})"


def with_and_without(runs: Mapping[str, Sequence[Sequence[float]]], title: str) -> Drawing:
    """Test accuracy over the epochs of two networks, a line for each seed: for a first page.

    Parameters
    ----------
    runs : mapping of str to sequence of sequences of float
        The label of each network, and for each seed its test accuracy after each epoch.
    title : str
        Above the axes.
    """
    words = "; ".join(
        f"{name}, {len(values)} seeds: {_range(values, 0)} after the first epoch, "
        f"{_range(values, -1)} after the last"
        for name, values in runs.items()
    )
    drawing = Drawing(500, 330, f"Test accuracy after each epoch. {words}.")
    epochs = max(len(values) for seeds in runs.values() for values in seeds)
    x0, x1, y0, y1 = 56, 352, 280, 54

    def place(epoch, value):
        return x0 + 14 + (x1 - x0 - 14) * (epoch - 1) / (epochs - 1), y0 + (y1 - y0) * value

    drawing.text(14, 24, title, "ink", "start")
    for tick in (0, 0.25, 0.5, 0.75, 1):
        _, y = place(1, tick)
        drawing.path([(x0, y), (x1, y)], "fill")
        drawing.text(x0 - 10, y, f"{tick:.2f}", "soft", "end")
    for epoch in range(1, epochs + 1):
        drawing.text(place(epoch, 0)[0], y0 + 18, str(epoch), "soft")
    drawing.text((x0 + x1) / 2, y0 + 38, "epoch", "soft")
    for (name, seeds), colour, side in zip(runs.items(), ("one", "two"), (-12, 18)):
        for values in seeds:
            drawing.path([place(epoch, value) for epoch, value in enumerate(values, 1)], colour)
        end = sum(values[-1] for values in seeds) / len(seeds)
        x, y = place(epochs, end)
        drawing.text(x + 12, y + side, f"{name}: {end:.2f}", colour, "start")
    return drawing


def _range(seeds: Sequence[Sequence[float]], epoch: int) -> str:
    values = [run[epoch] for run in seeds]
    return f"{min(values):.2f} to {max(values):.2f}"
