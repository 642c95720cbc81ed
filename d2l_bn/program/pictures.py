"""Pictures of one's own, made into what a network was trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from d2l_bn.system.errors import InputError


def read_picture(path: Path, image_shape: tuple[int, int]) -> np.ndarray:
    """A picture as the network expects it: grey, bright on black, of the right size.

    Parameters
    ----------
    path : Path
        A PNG file. Transparent pixels count as white. A bright picture is inverted, since the
        training images are bright things on black and photographs are mostly the other way round.
    image_shape : (int, int)
        Height and width of the training images.

    Returns
    -------
    ndarray, shape (height, width), uint8

    Raises
    ------
    InputError
        If the file can't be read as a picture.
    """
    from PIL import Image, UnidentifiedImageError

    height, width = image_shape
    try:
        with Image.open(path) as file:
            picture = file.convert("RGBA")
            white = Image.new("RGBA", picture.size, "white")
            grey = Image.alpha_composite(white, picture).convert("L")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, ValueError) as error:
        raise InputError(f"{path} can't be read as a picture: {error}") from error
    grey.thumbnail((width, height))
    edge = np.asarray(grey)
    edge = np.concatenate([edge[0], edge[-1], edge[:, 0], edge[:, -1]])
    background = int(np.median(edge))
    image = Image.new("L", (width, height), background)
    image.paste(grey, ((width - grey.width) // 2, (height - grey.height) // 2))
    array = np.asarray(image)
    return 255 - array if background > 127 else array
