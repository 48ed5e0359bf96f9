"""Point spread functions and down-and-up sampling have the widths that they are asked for."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import ive

from blur_jax.data import psf
from tests.helpers.moments import moments, operator_moments, rms_radius


@functools.partial(jax.jit, static_argnames="size")
def disk(rms, size):
    return psf.rasterize(*psf.disk_cloud(psf.point_count(size)), rms, size)


@functools.partial(jax.jit, static_argnames="size")
def gaussian(rms, size, aspect=1.0, angle=0.0):
    return psf.rasterize(*psf.gaussian_cloud(psf.point_count(size), aspect, angle), rms, size)


@functools.partial(jax.jit, static_argnames="size")
def motion(key, rms, size):
    return psf.rasterize(*psf.motion_cloud(key, psf.point_count(size)), rms, size)


WIDTHS = np.array([0.02, 0.1, 0.3, 0.5, 0.7, 1.0, 1.5, 2.5, 4.0, 6.4], np.float32)  # pixels
SHAPES = {
    "disk": disk,
    "gaussian": gaussian,
    "elongated": lambda rms, size: gaussian(rms, size, 0.2, 0.7),
    "motion": lambda rms, size: motion(jax.random.key(2), rms, size),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_psf_is_non_negative_sums_to_one_and_has_the_requested_second_moment(shape):
    size = psf.support(float(WIDTHS[-1]))
    psfs = np.asarray(jax.jit(jax.vmap(lambda rms: SHAPES[shape](rms, size)))(WIDTHS), np.float64)
    assert psfs.min() >= 0
    np.testing.assert_allclose(psfs.sum((1, 2)), 1, atol=1e-5)
    np.testing.assert_allclose([rms_radius(kernel) for kernel in psfs], WIDTHS, rtol=1e-4)
    # Centered: the mean position is the central pixel.
    offset = np.arange(size) - size // 2
    np.testing.assert_allclose([psfs.sum(axis) @ offset for axis in (1, 2)], 0, atol=1e-4)


def test_psf_of_no_width_is_a_single_pixel():
    expected = np.zeros((9, 9), np.float32)
    expected[4, 4] = 1
    np.testing.assert_allclose(disk(0.0, 9), expected, atol=1e-6)
    np.testing.assert_allclose(motion(jax.random.key(0), 0.0, 9), expected, atol=1e-6)


def test_there_is_room_for_every_random_trajectory():
    size = psf.support(4.0)
    keys = jax.random.split(jax.random.key(5), 500)
    psfs = jax.jit(jax.vmap(lambda key: motion(key, 4.0, size)))(keys)
    np.testing.assert_allclose([rms_radius(kernel) for kernel in psfs], 4.0, rtol=1e-3)


def test_disk_is_flat_with_a_radius_of_root_two_rms():
    kernel = np.asarray(disk(4.0, psf.support(4.0)))
    distance = np.hypot(*(np.mgrid[: len(kernel), : len(kernel)] - len(kernel) // 2))
    inside = kernel[distance < 4]  # the radius is 5.66; the rim is two pixels wide at most
    np.testing.assert_allclose(inside, 1 / (32 * np.pi), rtol=0.06)  # the area is pi 2 rms^2
    assert kernel[distance > 7.1].max() == 0


def test_gaussian_has_a_gaussian_profile():
    # rms 3: variance 4.5 per axis; 1 / (2 pi 4.5) at the center, exp(-1) of it 3 pixels away.
    kernel = np.asarray(gaussian(3.0, psf.support(3.0)))
    middle = kernel.shape[0] // 2
    peak = kernel[middle, middle]
    np.testing.assert_allclose(peak, 0.03537, rtol=0.04)
    np.testing.assert_allclose([kernel[middle, middle + 3], kernel[middle - 3, middle]], 0.3679 * peak, rtol=0.04)


@pytest.mark.parametrize(
    ("angle", "expected"), [(0, (12.8, 3.2, 0)), (np.pi / 2, (3.2, 12.8, 0)), (np.pi / 4, (8, 8, 4.8))]
)
def test_anisotropic_gaussian_is_elongated_along_its_angle(angle, expected):
    # rms 4 and aspect 1/2: 16 is shared out as 4 to 1.
    kernel = gaussian(4.0, psf.support(4.0), 0.5, angle)
    np.testing.assert_allclose(moments(kernel), expected, atol=0.15)


def test_trajectory_does_not_depend_on_the_support_and_scales_with_the_width():
    key = jax.random.key(3)
    np.testing.assert_allclose(motion(key, 2.0, 17), motion(key, 2.0, 41)[12:29, 12:29], atol=1e-3)
    ratio = moments(motion(key, 5.0, 41)) / moments(motion(key, 2.5, 41))
    np.testing.assert_allclose(ratio, 4, rtol=0.15)


@pytest.mark.parametrize("rms", [0.0, 0.02, 0.3, 1.0, 2.5, 4.0])
def test_gaussian_operator_is_the_discrete_gaussian_with_mirrored_borders(rms):
    size, variance = 24, rms**2 / 2
    taps = np.arange(-size, size + 1)
    mirrored = np.pad(np.eye(size), ((size, size), (0, 0)), mode="symmetric")
    expected = [ive(np.abs(taps), variance) @ mirrored[row : row + 2 * size + 1] for row in range(size)]
    operator = np.asarray(psf.gaussian_operator(rms, size))
    np.testing.assert_allclose(operator, expected, atol=1e-6)
    np.testing.assert_allclose(operator_moments(operator)[size // 2], variance, rtol=2e-3, atol=2e-5)


def test_downup_operator_by_hand():
    # Factor 2, phase 1/4: samples at 0.5, 2.5, 4.5, each the mean of two pixels. Pixel 2 lies 3/4
    # of the way from the first to the second; pixel 0 between the first and the repeated edge.
    operator = np.asarray(jax.jit(psf.downup_operator, static_argnames="size")(2.0, 0.25, size=6))
    np.testing.assert_allclose(operator[2], [0.125, 0.125, 0.375, 0.375, 0, 0], atol=1e-6)
    np.testing.assert_allclose(operator[0], [0.625, 0.375, 0, 0, 0, 0], atol=1e-6)


@jax.jit
def operators_of(factor, phases):
    return jax.vmap(lambda phase: psf.downup_operator(factor, phase, 36))(phases)


@pytest.mark.parametrize("rms", [0.0, 0.02, 0.1, 0.3, 0.5, 0.7, 1.0, 1.5, 2.5, 4.0])
def test_downup_second_moment_averaged_over_phases(rms):
    phases = jnp.asarray((np.arange(512) + 0.5) / 512, jnp.float32)
    operators = operators_of(psf.downup_factor(rms, 4.0), phases)
    assert operators.min() >= 0
    np.testing.assert_allclose(operators.sum(-1), 1, atol=1e-5)
    inner = operator_moments(operators)[:, 12:-12].mean()
    np.testing.assert_allclose(np.sqrt(2 * inner), rms, rtol=1e-3, atol=2e-4)
