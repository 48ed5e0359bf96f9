"""Scores a picture tile by tile at full size, to find fine blur that is lost when the whole picture is reduced."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image

from blur_jax.data.preprocessing import Box, Preprocessing, crop_and_resize, crop_square

_CELLS = 16  # The largest number of cells along each side of the focus map.


class Tiles(NamedTuple):
    """The blur, in [0, 1], of a picture's best (least blurred) and worst tiles, and its focus map.

    `focus` is the blur of the best tile in each cell of a grid over the tiled region, in percent, row by row from the
    top; there are at most 16 rows and columns.
    """

    best: float
    worst: float
    focus: list[list[int]]


def score(
    image: Image.Image, box: Box | None, preprocessing: Preprocessing, forward: Callable[[np.ndarray], np.ndarray]
) -> Tiles:
    """Scores tiles of image_size x image_size pixels that cover an RGB picture or, with a box, its crop.

    Tiles are not reduced; neighbors overlap if they do not fit evenly. A region that is smaller than a tile is enlarged
    to one tile. `forward` maps uint8 [n, S, S, 3] to float32 [n].
    """
    side = preprocessing.image_size
    left, top, width, height = 0, 0, *image.size
    if box is not None:
        left, top, width = crop_square(image.size, box, preprocessing.context)
        height = width
    if min(width, height) < side:
        blur = forward(crop_and_resize(image, box, preprocessing)[None])[None]
    else:
        region = np.asarray(image.crop((left, top, left + width, top + height)))
        columns = _starts(width, side)
        blur = np.stack(
            [
                forward(np.stack([region[y : y + side, x : x + side] for x in columns]))  # One row saves memory.
                for y in _starts(height, side)
            ]
        )
    return Tiles(float(blur.min()), float(blur.max()), np.rint(100 * _pooled(_pooled(blur).T).T).astype(int).tolist())


def _starts(length: int, side: int) -> list[int]:
    return np.linspace(0, length - side, math.ceil(length / side)).round().astype(int).tolist()


def _pooled(blur: np.ndarray) -> np.ndarray:
    """Returns the least blur in each of at most `_CELLS` groups of rows."""
    starts = np.linspace(0, len(blur), min(_CELLS, len(blur)), endpoint=False).astype(int)
    return np.minimum.reduceat(blur, starts, axis=0)
