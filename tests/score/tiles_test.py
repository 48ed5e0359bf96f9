"""Scores at full size."""

import numpy as np
import pytest
from PIL import Image

from blur_jax.data.preprocessing import Preprocessing, reduction
from blur_jax.score import tiles

PROTOCOL = Preprocessing(image_size=16)


def darkest(images):
    """Stands for a network: the least value of each image, as a share."""
    assert images.dtype == np.uint8 and images.shape[1:] == (16, 16, 3)
    return images.min(axis=(1, 2, 3)).astype(np.float32) / 100


def score(pixels, box=None):
    return tiles.score(Image.fromarray(pixels), box, PROTOCOL, darkest)


def test_every_pixel_is_in_a_tile():
    for x, y in [(0, 0), (16, 7), (39, 0), (0, 20), (39, 20)]:
        pixels = np.full((21, 40, 3), 90, np.uint8)
        pixels[y, x] = 10
        found = score(pixels)
        assert (found.best, found.worst) == (pytest.approx(0.1), pytest.approx(0.9))
        assert np.shape(found.focus) == (2, 3)


def test_the_map_shows_where():
    pixels = np.full((32, 48, 3), 80, np.uint8)
    pixels[20, 40] = 20
    assert score(pixels).focus == [[80, 80, 80], [80, 80, 20]]


def test_a_box_limits_the_tiles_to_its_crop():
    pixels = np.full((64, 64, 3), 10, np.uint8)
    pixels[:32, :32] = 70
    assert score(pixels, (0, 0, 32, 32)) == (pytest.approx(0.7), pytest.approx(0.7), [[70, 70], [70, 70]])


def test_what_is_smaller_than_a_tile_is_one():
    assert score(np.full((12, 60, 3), 50, np.uint8)).focus == [[50]]


def test_a_large_map_keeps_the_best_tile_of_each_cell():
    pixels = np.full((16, 16 * 40, 3), 80, np.uint8)
    pixels[0, 16 * 39] = 20
    found = score(pixels)
    assert np.shape(found.focus) == (1, 16) and found.focus[0] == [80] * 15 + [20]


@pytest.mark.parametrize(
    ("size", "box", "expected"),
    [
        ((4000, 3000), None, 187.5),
        ((4000, 3000), (0, 0, 100, 160), 10),
        ((8, 12), None, 0.5),
        ((40, 32), (0, 0, 39, 1), 2),
    ],
)
def test_the_reduction_is_that_of_the_crop(size, box, expected):
    """Its side over 16; a crop is at most as large as the picture's shorter side."""
    assert reduction(size, box, PROTOCOL) == expected
