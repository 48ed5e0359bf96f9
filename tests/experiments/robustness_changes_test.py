import math
import statistics

import numpy as np
import pytest

from experiments.robustness_changes import CHANGES
from tests.helpers.faces import grainy

# 20 x 20, columns from the 11th on lighter.
EDGE = np.full((20, 20, 3), 50, np.uint8)
EDGE[:, 10:] = 150
FLAT = np.full((64, 64, 3), 128, np.uint8)


def apply(name, face, strength):
    """By the start of the change's name."""
    (change,) = (change for key, change in CHANGES.items() if key.startswith(name))
    return change.apply(face, strength)


@pytest.mark.parametrize("name", CHANGES)
def test_only_the_neutral_strength_leaves_a_face_as_it_is(name):
    change, face = CHANGES[name], grainy(0)
    if not name.startswith("crop"):
        np.testing.assert_array_equal(change.apply(face, change.neutral), face)
    images = [change.apply(face, strength) for strength in change.strengths]
    assert {(image.dtype.name, image.shape) for image in images} == {("uint8", (32, 32, 3))}
    assert len({image.tobytes() for image in images}) == len(change.strengths)
    np.testing.assert_array_equal(face, grainy(0))
    np.testing.assert_array_equal(change.apply(face, change.strengths[-1]), images[-1])


def test_brightness_multiplies_and_clips():
    assert (apply("brightness", FLAT, 0.5) == 64).all()
    assert (apply("brightness", FLAT, 2) == 255).all()


def test_contrast_is_about_the_mean_gray():
    # The mean is 100; 50 and 150 are 50 away from it.
    halved = apply("contrast", EDGE, 0.5)
    assert (halved[:, :10] == 75).all() and (halved[:, 10:] == 125).all()
    more = apply("contrast", EDGE, 1.4)
    assert (more[:, :10] == 30).all() and (more[:, 10:] == 170).all()


def test_noise_has_the_deviation_it_says_and_differs_between_channels_and_faces():
    grain = apply("noise", FLAT, 10) - 128.0
    # 12,288 draws: the mean is good to 10 / sqrt(12288) = 0.09, the deviation to 0.07.
    assert abs(grain.mean()) < 0.4 and abs(grain.std() - 10) < 0.3
    other = apply("noise", FLAT - 1, 10) - 127.0
    for a, b in ((grain[..., 0], grain[..., 1]), (grain, other)):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.08


def test_sharpening_overshoots_at_an_edge_and_nowhere_else():
    once, twice = (apply("over-sharpening", EDGE, percent)[0, :, 0].astype(int) for percent in (100, 200))
    dark, light = 50 - once[9], once[10] - 150
    # What a Gaussian of 2 pixels brings over the edge, Phi(-0.5 / 2) of 100 at the center of the next pixel.
    assert dark == pytest.approx(100 * statistics.NormalDist().cdf(-0.25), abs=3)
    assert abs(dark - light) <= 1
    assert 50 - twice[9] == pytest.approx(min(2 * dark, 50), abs=1)
    assert twice[10] - 150 == pytest.approx(2 * light, abs=1)
    assert once[0] == twice[0] == 50 and once[-1] == twice[-1] == 150


def test_jpeg_keeps_mid_gray_and_loses_more_at_lower_quality():
    assert (apply("JPEG", FLAT, 30) == 128).all()  # All of its coefficients are 0.
    losses = [np.abs(apply("JPEG", grainy(1), q) - grainy(1).astype(float)).mean() for q in (90, 70, 50, 30)]
    assert 0 < losses[0] < losses[1] < losses[2] < losses[3]


def test_upscaling_loses_what_is_finer_than_its_pixels():
    checkers = np.uint8(np.indices((32, 32)).sum(axis=0) % 2 * 200)
    changed = apply("down and up", np.stack([checkers] * 3, axis=-1), 2)
    # Each reduced pixel weighs even and odd columns alike.
    assert (np.abs(changed[8:-8, 8:-8] - 100.0) <= 1).all()
    assert (apply("down and up", FLAT, 3) == 128).all()


def test_crop_shift_moves_the_crop():
    # The central crop has columns 2 to 17: 8 of its 16 are light. Moved by 10% of 20 it has 10 or 6 of them.
    for percent, light in ((0, 8), (10, 10), (-10, 6)):
        right, down = (apply(f"crop shifted {way}", EDGE, percent).mean() for way in ("right", "down"))
        assert right == pytest.approx(50 + 100 * light / 16, abs=1)
        assert down == pytest.approx(100, abs=1)
    turned = apply("crop shifted down", EDGE.transpose(1, 0, 2), 10).mean()
    assert turned == pytest.approx(50 + 100 * 10 / 16, abs=1)


@pytest.mark.parametrize("side", [32, 33, 96, 128])
def test_crops_stay_inside_the_face(side):
    face = grainy(2, side=128)[:side, :side]
    for way in ("right", "down"):
        for percent in (-10, 10):
            assert apply(f"crop shifted {way}", face, percent).shape == (side, side, 3)


def test_gaussian_blur_of_an_edge_in_linear_light():
    face = np.zeros((64, 64, 3), np.uint8)
    face[:, 32:] = 255
    # R.m.s. radius sqrt(2) times the deviation along an axis, here 2 pixels.
    changed = apply("Gaussian blur", face, 2 * math.sqrt(2) / 64)
    for column in (29, 31, 32, 34, 36):
        light = statistics.NormalDist(mu=31.5, sigma=2).cdf(column)
        expected = 255 * (1.055 * light ** (1 / 2.4) - 0.055)
        assert np.ptp(changed[:, column]) == 0
        assert changed[0, column, 0] == pytest.approx(expected, abs=3)
