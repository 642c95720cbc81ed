"""Batch normalization on one sheet: a poster."""

from __future__ import annotations

import json
import os
from pathlib import Path

from d2l_bn.figures.drawings import Drawing, cube

WIDTH, HEIGHT = 540, 716
MIDDLE = WIDTH / 2
LETTERS = ".drawing .strong{font-weight:bold}.drawing .large{font-size:20px}"
ALT = (
    "Batch normalization on one sheet. A cube of images, channels and pixels: the values of one "
    "channel, over all images and pixels, share one mean and one variance. Training: the mean and "
    "the variance are those of this batch; it reads the batch and writes the moving averages. "
    "Prediction: the mean and the variance are the moving averages; it reads them and writes "
    "nothing. Both modes then normalize, x hat = (x - mean) / root of (variance + epsilon), and "
    "scale and shift, y = gamma x hat + beta. The gradient of x in training: gamma over the root, "
    "times dy, minus its mean, minus x hat times the mean of dy x hat."
)
SHARED = (
    ("What shares a mean", "ink strong"),
    ("One channel, over all images and all pixels:", "ink"),
    ("these m values x₁ … xₘ share a mean μ and", "one"),
    ("a variance σ². Dense layers: one feature,", "ink"),
    ("over all examples.", "ink"),
)
TRAINING = (
    ("Training", "one strong"),
    ("uses this batch", "one strong"),
    ("μ = (1/m) Σ xᵢ", "ink"),
    ("σ² = (1/m) Σ (xᵢ − μ)²", "ink"),
    ("reads: the batch", "one"),
    ("writes: the moving averages", "one"),
)
PREDICTION = (
    ("Prediction", "two strong"),
    ("uses the moving averages", "two strong"),
    ("μ = moving mean", "ink"),
    ("σ² = moving variance", "ink"),
    ("reads: the moving averages", "two"),
    ("writes: nothing", "two"),
)
BOTH = (
    ("both, value by value", "ink strong"),
    ("x̂ᵢ = (xᵢ − μ) / √(σ² + ε)", "ink"),
    ("yᵢ = γ x̂ᵢ + β", "ink"),
)
GRADIENT = (
    ("The gradient in training flows through μ and σ², too", "one strong"),
    ("dxᵢ = γ / √(σ² + ε) · (dyᵢ − mean of dy − x̂ᵢ · mean of dy x̂)", "one"),
    ("In prediction, μ and σ² are constants: dxᵢ = γ / √(σ² + ε) · dyᵢ", "two"),
)


def poster(language: str = "") -> Drawing:
    """The whole of batch normalization as one drawing, for a wall or a first page.

    Its words are in the language, by default that of the variable ``D2L_BN_LANGUAGE``, if there is
    a table of them.
    """
    language = language or os.environ.get("D2L_BN_LANGUAGE", "")
    table = Path(__file__).with_name(f"sheet.{language}.json")
    say = json.loads(table.read_text(encoding="utf-8")) if table.exists() else {}
    drawing = Drawing(WIDTH, HEIGHT, ALT, say)
    drawing.parts.append(f"<style>{LETTERS}</style>")
    drawing.text(MIDDLE, 26, "Batch normalization on one sheet", "ink strong large")
    cube(drawing, 24, 106, {0, 1, 2, 3}, {3}, "one")
    drawing.text(14, 222, "→ channels   ↗ images   ↓ pixels", "soft", "start")
    _lines(drawing, 212, 78, SHARED, "start")
    _modes(drawing)
    _moving_averages(drawing)
    drawing.box(MIDDLE, 566, WIDTH - 28, 92, fill="fill")
    _lines(drawing, MIDDLE, 540, BOTH)
    drawing.text(WIDTH - 26, 592, "γ, β are trained", "three", "end")
    _lines(drawing, MIDDLE, 640, GRADIENT)
    return drawing


def _modes(drawing: Drawing) -> None:
    """The two modes side by side, and the way from each to what both do."""
    for x, edge, look, lines in ((139, 30, "one", TRAINING), (401, 510, "two", PREDICTION)):
        drawing.box(x, 326, 250, 168, fill="paper", line=look)
        _lines(drawing, x, 262, lines)
        drawing.arrow((edge, 411), (edge, 518), line=look)


def _moving_averages(drawing: Drawing) -> None:
    """What is kept between the two modes: one writes it, the other reads it."""
    y = 456
    drawing.box(MIDDLE, y, 288, 36, "kept: moving mean, moving variance", "fill", "two", "two")
    drawing.arrow((86, 411), (86, y), (124, y), line="one")
    drawing.text(78, 434, "writes", "one", "end")
    drawing.arrow((415, y), (454, y), (454, 413), line="two")
    drawing.text(462, 434, "reads", "two", "start")
    rule = "momentum · old + (1 − momentum) · the batch's"
    drawing.text(MIDDLE, y + 32, rule, "one")


def _lines(drawing: Drawing, x: float, y: float, lines, anchor: str = "middle") -> None:
    for row, (words, look) in enumerate(lines):
        drawing.text(x, y + 26 * row, words, look, anchor)
