"""Flags of pictures whose scores mean little."""

import numpy as np
import pytest
from PIL import Image

from blur_jax.data.preprocessing import Preprocessing, prepare
from blur_jax.score import flags
from tests.helpers.photos import picture

NOISE = np.random.default_rng(0).normal(0, 1, (120, 160, 3))


def noisy(level, deviation):
    return np.clip(level + deviation * NOISE, 0, 255).astype(np.uint8)


def scaled(low, high):
    """A picture with content, of gray levels from `low` to `high`, clipped to [0, 255]."""
    pixels = np.asarray(picture(1, (160, 120)), float)
    return np.clip(low + (high - low) * pixels / 255, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (noisy(0, 0), "dark blank"),
        (noisy(2, 3), "dark blank"),
        (scaled(0, 60), "dark"),
        (noisy(128, 0), "blank"),
        (noisy(128, 6), "blank"),
        (np.full((90, 90, 3), (250, 220, 40), np.uint8), "blank"),
        (noisy(255, 0), "blank overexposed"),
        (scaled(100, 900), "overexposed"),
        (scaled(240, 252), "blank overexposed"),
        (scaled(0, 255), ""),
        (scaled(100, 150), ""),
        (np.full((90, 90), 65535, np.uint16), "blank overexposed"),
    ],
)
def test_flags_of_what_the_network_sees(pixels, expected):
    assert flags.find(prepare(pixels, None, Preprocessing(image_size=64))) == expected


def test_flags_are_those_of_the_crop():
    pixels = np.concatenate([np.zeros((100, 100, 3), np.uint8), np.asarray(picture(2, (100, 100)))], axis=1)
    found = [flags.find(prepare(pixels, (x, 0, 100, 100), Preprocessing(image_size=32))) for x in (0, 100)]
    assert found == ["dark blank", ""]


def test_a_transparent_picture_is_white():
    clear = Image.new("RGBA", (50, 50), (0, 0, 0, 0))
    assert flags.find(prepare(clear, None, Preprocessing(image_size=32))) == "blank overexposed"
