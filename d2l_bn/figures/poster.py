"""Batch normalization on one sheet: what shares a mean, the two modes, the equations, the gradient."""

from __future__ import annotations

from d2l_bn.figures.drawings import Drawing, cube

WIDTH, HEIGHT = 540, 716
LEFT, RIGHT = 139, 401  # the middles of the two modes
ALT = (
    "Batch normalization on one sheet. A cube of images, channels and pixels: the values of one "
    "channel, over all images and pixels, share one mean and one variance. Training: the mean and "
    "the variance are those of this batch; it reads the batch and writes the moving averages. "
    "Prediction: the mean and the variance are the moving averages; it reads them and writes "
    "nothing. Both modes then normalize, x hat = (x - mean) / root of (variance + epsilon), and "
    "scale and shift, y = gamma x hat + beta. The gradient of x in training: gamma over the root, "
    "times dy, minus its mean, minus x hat times the mean of dy x hat."
)


def poster() -> Drawing:
    """The whole of batch normalization as one drawing, for a wall or the first page."""
    drawing = Drawing(WIDTH, HEIGHT, ALT)
    drawing.text(WIDTH / 2, 26, "Batch normalization on one sheet", "ink strong large")
    _what_shares_a_mean(drawing)
    _training(drawing)
    _prediction(drawing)
    _moving_averages(drawing)
    _both(drawing)
    _gradient(drawing)
    return drawing


def _what_shares_a_mean(drawing: Drawing) -> None:
    cube(drawing, 24, 106, {0, 1, 2, 3}, {3}, "one")
    for row, (words, look) in enumerate(
        (
            ("What shares a mean", "ink strong"),
            ("One channel, over all images and all pixels:", "ink"),
            ("these m values x₁ … xₘ share a mean μ and", "one"),
            ("a variance σ². In a dense layer: one feature,", "ink"),
            ("over all examples.", "ink"),
        )
    ):
        drawing.text(212, 82 + 24 * row, words, look, "start")
    drawing.text(14, 222, "→ channels   ↗ images   ↓ pixels", "soft", "start")


def _training(drawing: Drawing) -> None:
    drawing.box(LEFT, 326, 250, 168, fill="paper", line="one")
    _lines(
        drawing,
        LEFT,
        262,
        ("Training", "one strong"),
        ("uses this batch", "one strong"),
        ("μ = (1/m) Σ xᵢ", "ink"),
        ("σ² = (1/m) Σ (xᵢ − μ)²", "ink"),
        ("reads: the batch", "one"),
        ("writes: the moving averages", "one"),
    )


def _prediction(drawing: Drawing) -> None:
    drawing.box(RIGHT, 326, 250, 168, fill="paper", line="two")
    _lines(
        drawing,
        RIGHT,
        262,
        ("Prediction", "two strong"),
        ("uses the moving averages", "two strong"),
        ("μ = moving mean", "ink"),
        ("σ² = moving variance", "ink"),
        ("reads: the moving averages", "two"),
        ("writes: nothing", "two"),
    )


def _moving_averages(drawing: Drawing) -> None:
    """What is kept between the two modes: one writes it, the other reads it."""
    y = 456
    drawing.box(WIDTH / 2, y, 288, 36, "kept: moving mean, moving variance", "fill", "two", "two")
    drawing.arrow((86, 411), (86, y), (124, y), line="one")
    drawing.text(78, 434, "writes", "one", "end")
    drawing.arrow((415, y), (454, y), (454, 413), line="two")
    drawing.text(462, 434, "reads", "two", "start")
    rule = "momentum · old + (1 − momentum) · the batch's"
    drawing.text(WIDTH / 2, y + 32, rule, "one")


def _both(drawing: Drawing) -> None:
    drawing.arrow((30, 411), (30, 518), line="one")
    drawing.arrow((WIDTH - 30, 411), (WIDTH - 30, 518), line="two")
    drawing.box(WIDTH / 2, 566, WIDTH - 28, 92, fill="fill")
    drawing.text(WIDTH / 2, 540, "both, value by value", "ink strong")
    drawing.text(WIDTH / 2, 566, "x̂ᵢ = (xᵢ − μ) / √(σ² + ε)")
    drawing.text(WIDTH / 2, 592, "yᵢ = γ x̂ᵢ + β")
    drawing.text(WIDTH - 26, 592, "γ, β are trained", "three", "end")


def _gradient(drawing: Drawing) -> None:
    drawing.text(
        WIDTH / 2, 638, "The gradient in training flows through μ and σ², too", "one strong"
    )
    drawing.text(
        WIDTH / 2,
        664,
        "dxᵢ = γ / √(σ² + ε) · (dyᵢ − mean of dy − x̂ᵢ · mean of dy x̂)",
        "one",
    )
    constant = "In prediction, μ and σ² are constants: dxᵢ = γ / √(σ² + ε) · dyᵢ"
    drawing.text(WIDTH / 2, 692, constant, "two")


def _lines(drawing: Drawing, x: float, y: float, *lines: tuple[str, str]) -> None:
    for row, (words, look) in enumerate(lines):
        drawing.text(x, y + 26 * row, words, look)
