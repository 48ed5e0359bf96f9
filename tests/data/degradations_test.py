"""Draws have the strength they are asked for, and images come out as computed by hand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from blur_jax.data import degradations
from blur_jax.data.degradations import FAMILIES
from tests.helpers.moments import moments, operator_moments, rms_radius

SIZE = 32
MAX_RMS = 0.1  # image widths: 3.2 pixels
MOTION = FAMILIES.index("motion")
GAUSSIAN = FAMILIES.index("gaussian")
DOWNUP = FAMILIES.index("downup")

draw = jax.jit(
    functools.partial(degradations.from_rms, image_size=SIZE, max_rms=MAX_RMS), static_argnames=("families",)
)
apply = jax.jit(degradations.apply)
draw_batch = jax.jit(jax.vmap(draw, in_axes=(0, None, 0)))
apply_batch = jax.jit(jax.vmap(degradations.apply, in_axes=(0, None)))
jpeg = jax.jit(degradations.jpeg)


def texture(count, seed=0, size=SIZE):
    return np.random.default_rng(seed).random((count, size, size, 3), np.float32)


@pytest.mark.parametrize("family", range(len(FAMILIES)))
def test_draw_has_exactly_the_requested_strength(family):
    keys = jax.random.split(jax.random.key(1), 64)
    rms = jnp.linspace(0.003, MAX_RMS, 64)
    draws = draw_batch(keys, family, rms)
    np.testing.assert_array_equal(draws.rms, rms)
    of_psf = np.array([moments(psf)[:2].sum() for psf in draws.psf])
    of_operators = sum(operator_moments(operators)[:, 10:-10].mean(-1) for operators in (draws.rows, draws.columns))
    np.testing.assert_array_equal(draws.is_separable, family in (GAUSSIAN, DOWNUP))
    if family in (GAUSSIAN, DOWNUP):
        np.testing.assert_array_equal(of_psf, 0)
    else:
        np.testing.assert_array_equal([draws.rows, draws.columns], np.broadcast_to(np.eye(SIZE), (2, 64, SIZE, SIZE)))
    ratio = np.sqrt(of_psf + of_operators) / (SIZE * np.asarray(rms))
    if family == DOWNUP:  # one phase a draw: right on average only
        np.testing.assert_allclose(np.median(ratio), 1, atol=0.02)
    else:
        np.testing.assert_allclose(ratio, 1, rtol=1e-3)


def test_strength_is_limited_to_what_there_is_room_for():
    result = draw(jax.random.key(0), 0, 0.5)
    np.testing.assert_allclose(result.rms, MAX_RMS)
    np.testing.assert_allclose(rms_radius(result.psf), SIZE * MAX_RMS, rtol=1e-3)


def test_sample_draws_families_and_quality_uniformly_and_strength_log_uniformly():
    keys = jax.random.split(jax.random.key(2), 600)
    options = {"families": ("defocus", "downup"), "rms_min": 0.01, "rms_max": 0.16, "jpeg_min_quality": 60}
    draws = jax.jit(jax.vmap(functools.partial(degradations.sample, image_size=16, **options)))(keys)
    assert draws.noise is None
    counts = np.histogram(draws.jpeg_quality, [60, 70, 80, 90, 100])[0]
    np.testing.assert_allclose(counts / 600, 0.25, atol=0.06)
    assert draws.rms.min() >= 0.01 * 0.99999 and draws.rms.max() <= 0.16 * 1.00001
    # Log-uniform: a quarter of the draws in each factor of two.
    counts = np.histogram(draws.rms, [0, 0.02, 0.04, 0.08, 1])[0]
    np.testing.assert_allclose(counts / 600, 0.25, atol=0.06)
    is_delta = draws.psf.max((1, 2)) > 0.9999
    resampled = jnp.abs(draws.rows - jnp.eye(16)[None]).max((1, 2)) > 1e-3
    np.testing.assert_array_equal(is_delta, resampled)
    assert 0.4 < resampled.mean() < 0.6


@pytest.mark.parametrize("families", [("gaussian", "downup"), ("defocus", "motion"), ("downup", "motion")])
def test_what_is_drawn_does_not_depend_on_the_families_that_are_not(families):
    images = texture(1)
    for family in (FAMILIES.index(name) for name in families):
        of_all = draw(jax.random.key(5), family, 0.07)
        of_some = draw(jax.random.key(5), family, 0.07, families=families)
        assert (of_some.psf is None) == (families == ("gaussian", "downup"))
        for name in ("psf", "rows", "columns"):
            if getattr(of_some, name) is not None:
                np.testing.assert_allclose(getattr(of_some, name), getattr(of_all, name), atol=1e-6)
        np.testing.assert_allclose(apply(of_some, images), apply(of_all, images), atol=1e-6)


def test_sample_draws_no_quality_only_where_jpeg_is_off():
    sample = functools.partial(degradations.sample, image_size=16, rms_min=0.01, rms_max=0.1)
    for quality in (100, None):
        draw = jax.eval_shape(functools.partial(sample, jpeg_min_quality=quality), jax.random.key(0))
        assert (draw.jpeg_quality is None) == (quality is None)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"families": ("defocus", "defcus")}, "defcus"),
        ({"families": ()}, "list one or more of"),
        ({"rms_min": 0.0}, "rms_min=0.0"),
        ({"rms_min": 0.2}, "rms_max=0.1"),
        ({"noise_max": -0.1}, "noise_max=-0.1"),
        ({"jpeg_min_quality": 0}, "jpeg_min_quality=0"),
    ],
)
def test_sample_says_what_is_wrong(wrong, message):
    options = {"image_size": 16, "rms_min": 0.01, "rms_max": 0.1} | wrong
    with pytest.raises(ValueError, match=message):
        degradations.sample(jax.random.key(0), **options)


def test_draws_are_a_function_of_the_key():
    first, again, other = (draw(jax.random.key(seed), MOTION, 0.08) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.psf, again.psf)
    assert np.abs(first.psf - other.psf).max() > 0.01


@pytest.mark.parametrize("family", range(len(FAMILIES)))
def test_constant_image_stays_constant(family):
    images = np.broadcast_to(np.array([0.02, 0.3, 1.0], np.float32), (1, SIZE, SIZE, 3))
    result = apply(draw(jax.random.key(4), family, MAX_RMS), images)
    np.testing.assert_allclose(result, images, atol=2e-5)


def test_point_of_light_becomes_the_psf_in_place_and_not_mirrored():
    degradation = draw(jax.random.key(8), MOTION, 0.08)
    psf = np.asarray(degradation.psf)
    assert np.abs(psf - psf[::-1, ::-1]).max() > 0.01  # else the test could not see a mirror image
    images = np.zeros((1, SIZE, SIZE, 3), np.float32)
    images[0, 13, 18] = 1
    expected = np.zeros((SIZE, SIZE, 3), np.float32)
    expected[:27, 5:32] = psf[:, :, None]  # Of 27 x 27 pixels.
    np.testing.assert_allclose(degradations.srgb_to_linear(apply(degradation, images))[0], expected, atol=1e-5)


def test_light_averages_in_linear_light():
    # Black and white stripes: half of the light, which sRGB writes as 1.055 * 0.5^(1/2.4) - 0.055.
    images = np.zeros((1, SIZE, SIZE, 3), np.float32)
    images[:, :, ::2] = 1
    result = apply(draw(jax.random.key(0), GAUSSIAN, MAX_RMS), images)
    np.testing.assert_allclose(result[:, :, 12:-12], 0.7354, atol=5e-3)


def test_srgb_curve_by_hand():
    encoded = np.array([0, 0.02, 0.04045, 0.5, 1], np.float32)
    light = np.array([0, 0.00154799, 0.00313080, 0.21404114, 1], np.float32)
    np.testing.assert_allclose(degradations.srgb_to_linear(encoded), light, atol=1e-6)
    np.testing.assert_allclose(degradations.linear_to_srgb(light), encoded, atol=2e-6)


@pytest.mark.parametrize("family", range(len(FAMILIES)))
def test_more_width_leaves_less_detail(family):
    images = texture(1)
    keys = jax.random.split(jax.random.key(6), 8)
    energies = []
    for rms in (0.0, 0.01, 0.02, 0.04, 0.07, 0.1):
        results = np.asarray(apply_batch(draw_batch(keys, family, np.full(8, rms)), images))
        if rms == 0:
            np.testing.assert_allclose(results, np.stack(8 * [images]), atol=1e-4)
        energies.append(sum(np.mean(np.diff(results, axis=axis) ** 2) for axis in (2, 3)))
    assert np.all(np.diff(energies) < 0), energies


def test_one_draw_serves_several_images_alike():
    degradation = draw(jax.random.key(0), MOTION, 0.05, noise=0.1, jpeg_quality=30.0)
    images = texture(3)
    together = apply(degradation, images)
    assert np.abs(together - images).max() > 0.1
    for i in range(3):
        np.testing.assert_allclose(together[i], apply(degradation, images[i][None])[0], atol=1e-4)


def test_batch_equals_loop():
    # Without JPEG: its rounding turns a difference in the last bit into a visible one.
    keys, rms = jax.random.split(jax.random.key(0), 8), np.linspace(0.01, MAX_RMS, 8)
    images = texture(1)
    batch = apply_batch(draw_batch(keys, MOTION, rms), images)
    for i in (0, 5):
        np.testing.assert_allclose(batch[i], apply(draw(keys[i], MOTION, rms[i]), images), atol=2e-5)


def test_images_of_another_size_are_refused():
    degradation = draw(jax.random.key(0), 0, 0.05)
    with pytest.raises(ValueError, match=r"\(1, 16, 16, 3\).*\[n, 32, 32, 3\]"):
        degradations.apply(degradation, texture(1, size=16))


def test_noise_has_its_standard_deviation_in_linear_light():
    # Light 0.25 (sRGB 0.5371): shot noise of 0.04 at white is 0.04 * sqrt(0.25) = 0.02 there.
    images = np.full((2, SIZE, SIZE, 3), 0.53710, np.float32)
    degradation = draw(jax.random.key(0), 0, 0.01, noise=0.04)
    result = apply(degradation, images)
    light = np.asarray(degradations.srgb_to_linear(result))
    np.testing.assert_allclose(light.std(), 0.02, rtol=0.05)  # 3072 values: 1.3 % standard error
    np.testing.assert_allclose(light.mean(), 0.25, atol=0.0015)
    np.testing.assert_array_equal(result[0], result[1])  # one draw, one pattern


# The DC coefficient is 8 (level - 128); its step is 16 at quality 50, 80 at 10, 1 at 100.
@pytest.mark.parametrize(
    ("quality", "level", "expected"),
    [(50, 128.7, 128), (50, 129.3, 130), (10, 134, 138), (10, 132, 128), (100, 128.7, 128.75)],
)
def test_jpeg_of_a_flat_image_by_hand(quality, level, expected):
    images = np.full((1, 8, 8, 3), level / 255, np.float32)
    np.testing.assert_allclose(255 * jpeg(images, quality), expected, atol=1e-3)


def test_jpeg_of_one_frequency_by_hand():
    # An amplitude of 3 is a coefficient of 3 * sqrt(32) = 16.97. At quality 50 the step along x is
    # 11, so it becomes 22; along y it is 12, so it becomes 12.
    wave = np.cos((2 * np.arange(8) + 1) * np.pi / 16)
    for axis, amplitude in ((1, 22 / np.sqrt(32)), (0, 12 / np.sqrt(32))):
        pattern = np.broadcast_to(np.expand_dims(wave, (1 - axis, 2)), (1, 8, 8, 3)).astype(np.float32)
        result = jpeg((128 + 3 * pattern) / 255, 50)
        np.testing.assert_allclose(255 * result, 128 + amplitude * pattern, atol=1e-3)


def test_jpeg_loses_more_at_lower_quality():
    images = 0.2 + 0.6 * texture(2, size=20)  # not a whole number of blocks
    errors = [float(np.abs(jpeg(images, quality) - images).mean()) for quality in (100, 90, 60, 30, 10)]
    assert errors[0] < 0.5 / 255
    assert np.all(np.diff(errors) > 0), errors
