"""Pictures as people have them, made into what a network was trained on."""

from __future__ import annotations

import os
import stat
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Callable, NoReturn, Optional

import numpy as np
from PIL import Image, ImageFilter, ImageOps, UnidentifiedImageError
from tqdm import tqdm

from d2l_bn.data.framing import INK, Framing, box, centre_of_mass
from d2l_bn.system.errors import InputError

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")
LARGEST = 50_000_000  # pixels; each takes up to 8 bytes while a picture is read
WORKING = 112  # pixels of the longer side, to look for the object in
FAINTEST = 0.04  # of the range from black to white: how much an object has to stand out


def read_picture(path: Path, shape: tuple[int, int], framing: Optional[Framing]) -> np.ndarray:
    """A picture as the network expects it: bright on black, cut out, scaled and centred.

    `shape` is (height, width) of the training images, and of the answer, uint8; `framing` None
    leaves the whole picture as it is framed. InputError if the file can't be read as a picture, or
    nothing can be seen in it.
    """
    grey = _grey(path)
    raised = _raised(grey)
    ready = grey.shape == shape and _border(raised) < 0.04  # an image such as the training images
    if framing is None or ready:
        return _bytes(_fitted(raised, shape))
    return _bytes(_framed(_object(path, grey, framing.strokes), shape, framing))


def read_pictures(
    paths: Iterable[Path], shape: tuple[int, int], framing: Optional[Framing]
) -> np.ndarray:
    """The same for several, (n, height, width), with a bar on a terminal."""
    bar = tqdm(list(paths), unit="picture", leave=False, disable=None)
    return np.stack([read_picture(path, shape, framing) for path in bar])


def sorted_by_class(folder: Path) -> dict[str, list[Path]]:
    """The pictures in folders with the names of classes; InputError if there are none."""
    found = {
        inner.name: sorted(path for path in inner.iterdir() if path.suffix.lower() in SUFFIXES)
        for inner in sorted(folder.iterdir())
        if inner.is_dir() and not inner.name.startswith(".")
    }
    found = {name: paths for name, paths in found.items() if paths}
    if not found:
        raise InputError(
            f"{folder} must have a folder for each class, with pictures in it "
            f"({', '.join(SUFFIXES)}), and has none"
        )
    return found


def _grey(path: Path) -> np.ndarray:
    """The picture in shades from 0 to 1, upright, and no larger than it has to be."""
    if path.parts[:1] in (("http:",), ("https:",)):
        _refuse(path, "it is an address; save the picture as a file first")
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as error:
        _refuse(path, getattr(error, "strerror", None) or str(error))
    if not stat.S_ISREG(mode):  # a pipe would never end
        _refuse(
            path, "it is a folder" if stat.S_ISDIR(mode) else "it is not a file; save it as one"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a large picture is refused below
            with Image.open(path, formats=FORMATS) as picture:
                if picture.width * picture.height <= LARGEST:
                    return _shades(picture)
                size = f"{picture.width} by {picture.height} pixels"
    except MemoryError:
        raise
    except UnidentifiedImageError as error:
        _refuse(path, f"it is none of {', '.join(FORMATS)}; save it as one of them", error)
    except Exception as error:  # Pillow's readers raise of every kind for damaged files
        reason = " ".join(str(error).split()) or type(error).__name__
        _refuse(path, f"it is damaged ({reason})", error)
    _refuse(path, f"it has {size}, and at most {LARGEST:,} pixels are read; make it smaller")


def _shades(picture: Image.Image) -> np.ndarray:
    picture.draft("L", (8 * WORKING, 8 * WORKING))  # a JPEG needn't be decoded in full
    turned: Any = ImageOps.exif_transpose(picture)
    if turned.mode.startswith(("I", "F")):  # 16 bits and more
        values = np.asarray(turned).astype(np.float32)
        values = np.nan_to_num(values, posinf=0, neginf=0)
        # Integers are of 16 bits; floating point has no largest value but that of the picture.
        largest = float(np.abs(values).max())
        whole = 65535.0 if turned.mode.startswith("I") else 1.0
        deep = Image.fromarray(values / max(largest, whole))
        return np.asarray(_reduced(deep))
    if "A" in turned.getbands() or "transparency" in turned.info:
        colours = _reduced(turned.convert("RGBA"))
        values = np.asarray(colours).astype(np.float32) / 255
        grey, seen = values[..., :3] @ np.array([0.299, 0.587, 0.114], np.float32), values[..., 3]
        drawn = float((grey * seen).sum() / max(seen.sum(), 1e-6))
        return grey * seen + (1 - seen) * (drawn < 0.5)  # what is clear contrasts with the drawing
    return np.asarray(_reduced(turned.convert("L"))).astype(np.float32) / 255


def _reduced(picture: Image.Image) -> Image.Image:
    """The picture with a longer side of at most four times the working size, for speed."""
    factor = max(picture.size) // (4 * WORKING)
    return picture.reduce(factor) if factor > 1 else picture


def _object(path: Path, grey: np.ndarray, strokes: bool) -> np.ndarray:
    """What stands out from the background, from 0 to 1, brighter or darker than it."""
    scale = WORKING / max(grey.shape)  # small ones grow: what follows needs strokes of some pixels
    height, width = (max(1, round(side * scale)) for side in grey.shape)
    small = _resized(grey, (width, height))
    background = _background(small) if strokes else _border(small)
    # Relative to the brighter of the two, since light multiplies what it falls on.
    apart = (small - background) / np.maximum(np.maximum(small, background), 0.1)
    far = np.percentile(np.abs(apart), 99.5)
    strong = apart[np.abs(apart) > far / 2]
    if far < FAINTEST or strong.size == 0:
        _refuse(path, "it is blank: nothing stands out from its background")
    apart = apart if strong.sum() > 0 else -apart
    if not strokes:  # a garment keeps its shades
        return np.clip(apart / np.percentile(apart, 99.5), 0, 1)
    peak = np.percentile(apart[apart > far / 2], 75)
    noise = 2.5 * np.median(np.abs(apart))
    floor = min(max(noise / peak, 0.15), 0.5)
    return np.clip((apart / peak - floor) / (1 - floor), 0, 1)


def _background(grey: np.ndarray) -> np.ndarray:
    """The paper or the board, in every place: it may lie half in a shadow.

    Closing, the darkest of the brightest shades around, takes away what is dark and nowhere as wide
    as the window, and leaves the edge of a shadow where it is; opening takes away what is bright.
    The more even one is the background, since in the other the strokes stay and grow together.
    """
    window = 2 * (max(grey.shape) // 6) + 1
    shades = Image.fromarray(np.round(grey * 255).astype(np.uint8))
    calm = np.asarray(shades.filter(ImageFilter.MedianFilter(3))) / np.float32(255)
    closed = _extreme(_extreme(calm, window, np.maximum), window, np.minimum)
    opened = _extreme(_extreme(calm, window, np.minimum), window, np.maximum)
    return min(closed, opened, key=_unevenness)


def _extreme(grey: np.ndarray, window: int, of: Callable[..., np.ndarray]) -> np.ndarray:
    """The brightest or the darkest shade in the square of `window` pixels around each pixel."""
    for _ in range(2):  # of each column, then of each row
        grey = np.pad(grey, ((window // 2,) * 2, (0, 0)), mode="edge")
        seen = 1  # then twice as many each time: 47 in six steps, in a ninth of a window's time
        while seen < window:
            more = min(seen, window - seen)
            grey = of(grey[:-more], grey[more:])
            seen += more
        grey = grey.T
    return grey


def _unevenness(grey: np.ndarray) -> float:
    """The sum of all steps from a pixel to its neighbours, below and on the right."""
    return sum(float(np.abs(np.diff(grey, axis=axis)).sum()) for axis in (0, 1))


def _framed(image: np.ndarray, shape: tuple[int, int], framing: Framing) -> np.ndarray:
    """Cut the object out and put it into an image as the data set does it."""
    height, width = shape
    image = _alone(image, 0.25 if framing.strokes else INK)
    top, bottom, left, right = box(image)
    piece = image[top:bottom, left:right]
    scale = framing.longest * max(shape) / max(piece.shape)
    scale = min(scale, height / piece.shape[0], width / piece.shape[1])
    size = max(1, round(piece.shape[1] * scale)), max(1, round(piece.shape[0] * scale))
    array = _resized(piece, size)
    # In MNIST about half of a digit's ink is as bright as can be; a garment keeps its shades.
    full = np.percentile(array[array > INK * array.max()], 60 if framing.strokes else 98)
    array = np.clip(array / full, 0, 1)
    row, column = (array.shape[0] / 2, array.shape[1] / 2)
    if framing.centre == "mass":
        row, column = centre_of_mass(array)
    y = int(np.clip(round(height / 2 - row), 0, height - array.shape[0]))
    x = int(np.clip(round(width / 2 - column), 0, width - array.shape[1]))
    canvas = np.zeros(shape, np.float32)
    canvas[y : y + array.shape[0], x : x + array.shape[1]] = array
    return canvas


def _alone(image: np.ndarray, faintest: float) -> np.ndarray:
    """The object without marks that lie apart from it, such as dust or a corner of the paper.

    It starts where most ink is, and goes on over gaps of up to a twentieth of the picture.
    """
    ink = image > faintest
    ink &= _filtered(ink, ImageFilter.MedianFilter(3))
    edge = np.ones_like(ink)
    edge[1:-1, 1:-1] = False
    inner = ink & ~_grown(ink & edge, ink, 3)
    if inner.sum() > 0.2 * ink.sum():  # what touches the edge of the picture is hardly the object
        ink = inner
    if not ink.any():
        return image
    reach = 2 * (max(image.shape) // 20) + 1
    crowd = _filtered(ink, ImageFilter.BoxBlur(reach), np.uint8)
    start = ink & (crowd == crowd[ink].max())
    found = _grown(start, ink, reach)
    return image * _widened(found, 5)


def _grown(start: np.ndarray, ink: np.ndarray, reach: int) -> np.ndarray:
    """All the ink that can be reached from the start in steps of half of `reach` pixels."""
    found = start
    while True:
        more = ink & _widened(found, reach)
        if (more == found).all():
            return found
        found = more


def _widened(mask: np.ndarray, reach: int) -> np.ndarray:
    """All pixels that have one of the mask in the square of `reach` pixels around them.

    A blur tells, too, and takes the same time however wide it is, unlike the largest value.
    """
    return _filtered(mask, ImageFilter.BoxBlur(reach // 2))


def _filtered(mask: np.ndarray, by: ImageFilter.Filter, kind: type = bool) -> np.ndarray:
    """One of Pillow's filters on a mask."""
    return np.asarray(Image.fromarray(mask.astype(np.uint8) * 255).filter(by)).astype(kind)


def _raised(grey: np.ndarray) -> np.ndarray:
    """Bright things on a dark background, whichever way round the picture is."""
    return 1 - grey if _border(grey) > 0.5 else grey


def _border(grey: np.ndarray) -> float:
    """The shade of the border of a picture."""
    return float(np.median(np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])))


def _resized(grey: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The same in `size`, (width, height): each pixel the mean of what it covers, or between."""
    by = Image.Resampling.BOX if size < grey.shape[::-1] else Image.Resampling.HAMMING
    return np.asarray(Image.fromarray(np.ascontiguousarray(grey)).resize(size, by))


def _fitted(grey: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The whole picture, scaled into the image, on the shade of its own border."""
    height, width = shape
    picture = Image.fromarray(grey)
    picture.thumbnail((width, height))
    canvas = np.full(shape, _border(grey), np.float32)
    y, x = (height - picture.height) // 2, (width - picture.width) // 2
    canvas[y : y + picture.height, x : x + picture.width] = np.asarray(picture)
    return canvas


def _bytes(image: np.ndarray) -> np.ndarray:
    return np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)


def _refuse(path: Path, reason: str, cause: Optional[BaseException] = None) -> NoReturn:
    raise InputError(f"{path} can't be read as a picture: {reason}") from cause
