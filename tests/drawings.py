"""Digits drawn with the fonts that matplotlib brings, as a data set and as photographs of paper."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from d2l_bn.data import Dataset
from d2l_bn.data.framing import box, centre_of_mass

SIDE = 140
FONTS = sorted(Path(matplotlib.get_data_path(), "fonts", "ttf").glob("[DS]*[!y]*.ttf"))
SANS = [path for path in FONTS if "Sans" in path.name]  # without hairlines


def draw(digit: int, rng: np.random.Generator, fonts=FONTS) -> np.ndarray:
    """A digit in a random hand: white on black, (140, 140), from 0 to 1."""
    while True:
        font = ImageFont.truetype(str(rng.choice(fonts)), 90)
        page = Image.new("L", (SIDE, SIDE))
        ImageDraw.Draw(page).text((SIDE // 2, SIDE // 2), str(digit), 255, font, anchor="mm")
        shear, wide, high = rng.uniform(-0.2, 0.2), *rng.uniform(0.85, 1.15, 2)
        middle = SIDE / 2
        matrix = (wide, shear, middle * (1 - wide - shear), 0, high, middle * (1 - high))
        page = page.rotate(rng.uniform(-8, 8)).transform(page.size, Image.Transform.AFFINE, matrix)
        if np.asarray(page).max() > 0:  # a font may lack the digits
            return np.asarray(page).astype(np.float32) / 255


def framed(drawing: np.ndarray) -> np.ndarray:
    """The drawing as MNIST has it: 20 of 28 pixels, its centre of mass in the middle."""
    top, bottom, left, right = box(drawing)
    piece = Image.fromarray(drawing[top:bottom, left:right])
    scale = 20 / max(piece.size)
    size = (max(1, round(piece.width * scale)), max(1, round(piece.height * scale)))
    small = np.asarray(piece.resize(size, Image.Resampling.BOX))
    row, column = centre_of_mass(small)
    y, x = round(14 - row), round(14 - column)
    image = np.zeros((28, 28), np.float32)
    y, x = min(max(y, 0), 28 - small.shape[0]), min(max(x, 0), 28 - small.shape[1])
    image[y : y + small.shape[0], x : x + small.shape[1]] = small
    return np.round(image * 255).astype(np.uint8)


def digits(train: int, test: int) -> tuple[Dataset, list[np.ndarray]]:
    """A data set like MNIST, and the large drawings of its test images."""
    rng = np.random.default_rng(0)
    labels = np.arange(train + test) % 10
    drawings = [draw(label, rng) for label in labels]
    images = np.stack([framed(drawing) for drawing in drawings])
    y = labels.astype(np.uint8)
    names = tuple("0123456789")
    parts = images[:train], y[:train], images[train:], y[train:]
    return Dataset("drawn", "made for the tests", *parts, names), drawings[train:]


def paper(drawing: np.ndarray, rng: np.random.Generator, ink: float = 40, shade: float = 255):
    """The drawing somewhere on a page of 400 by 300 pixels, in shades from 0 to 255."""
    large = np.asarray(Image.fromarray(drawing).resize((210, 210), Image.Resampling.BICUBIC))
    page = np.zeros((300, 400), np.float32)
    y, x = rng.integers(0, 300 - 210), rng.integers(0, 400 - 210)
    page[y : y + 210, x : x + 210] = np.clip(large, 0, 1)
    return shade + (ink - shade) * page


def stroked(drawing: np.ndarray, by: int) -> np.ndarray:
    """The drawing at twice its size, (280, 280), each edge of a stroke moved by so many pixels."""
    large = Image.fromarray(drawing).resize((2 * SIDE, 2 * SIDE), Image.Resampling.BICUBIC)
    shades = Image.fromarray((np.clip(large, 0, 1) * 255).astype(np.uint8))
    kind = ImageFilter.MaxFilter if by > 0 else ImageFilter.MinFilter
    for _ in range(abs(by)):  # as one large filter, in a third of the time
        shades = shades.filter(kind(3))
    return np.asarray(shades).astype(np.float32) / 255


def cropped(drawing: np.ndarray, margin: float, longest: int, ink: float, shade: float):
    """A page around the drawing; `margin` is a share of its longer side, `longest` in pixels."""
    top, bottom, left, right = box(drawing)
    piece = np.pad(drawing[top:bottom, left:right], int(margin * max(bottom - top, right - left)))
    scale = longest / max(piece.shape)
    size = (round(piece.shape[1] * scale), round(piece.shape[0] * scale))
    small = np.asarray(Image.fromarray(piece).resize(size, Image.Resampling.BICUBIC))
    return shade + (ink - shade) * np.clip(small, 0, 1)


def noisy(page: np.ndarray, rng: np.random.Generator, noise: float = 4):
    return np.clip(page + rng.normal(0, noise, page.shape), 0, 255)


def shadow(page: np.ndarray, rng: np.random.Generator, width: float):
    """Half the light from a line across the page on; `width` is that of the line, in pixels."""
    y, x = np.mgrid[: page.shape[0], : page.shape[1]]
    angle = rng.uniform(0, np.pi)
    distance = (x - page.shape[1] / 2) * np.cos(angle) + (y - page.shape[0] / 2) * np.sin(angle)
    return page * (1 - 0.5 / (1 + np.exp(-distance / width)))


LIGHTS = {
    **{
        f"paper {shade}": lambda drawing, rng, shade=shade: noisy(
            paper(drawing, rng, 40, shade), rng
        )
        for shade in (255, 235, 215, 200)
    },
    "pencil": lambda drawing, rng: noisy(paper(drawing, rng, 150, 215), rng, 3),
    "chalk": lambda drawing, rng: noisy(paper(drawing, rng, 200, 60), rng, 8),
    "soft shadow": lambda drawing, rng: noisy(shadow(paper(drawing, rng, 40, 225), rng, 90), rng),
    "hard shadow": lambda drawing, rng: noisy(shadow(paper(drawing, rng, 40, 225), rng, 3), rng),
}

HANDS = {  # name: how far each edge is moved, margin, longest side
    "thin": (-3, 0.5, 300),
    "thin, tiny picture": (-3, 0.3, 33),
    "thick": (4, 0.3, 300),
    "thick, cut close": (4, 0.1, 150),
    "thick, tiny picture": (4, 0.1, 33),
    "tiny picture": (0, 0.3, 33),
}


def handed(hand: str, strokes: np.ndarray, rng: np.random.Generator, ink=40, shade=220):
    """What `stroked` gives for one of these hands, on a page cut out around it."""
    _, margin, longest = HANDS[hand]
    return noisy(cropped(strokes, margin, longest, ink, shade), rng)
