"""Shapes of blur at a known width: point spread functions, and down-and-up sampling. Widths are in pixels.

A point spread function (PSF) is a cloud of weighted points, the places where the light of one scene point lands. Shared
out bilinearly among pixels, a cloud gives a non-negative PSF of sum one whose second moment is an exact, increasing
function of the cloud's scale. Solving for the scale gives the *discrete* PSF the requested moment, for any shape and
for widths far below a pixel.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

Cloud = tuple[jax.Array, jax.Array]  # points [count, 2] (x, y), centered and of unit r.m.s. radius; weights [count]

_REACH = 3.5  # Largest reach of a PSF, in r.m.s. radii.
_GAUSSIAN_CUT = 3.5  # Standard deviations.
_ROUGHNESS = 1.5  # R.m.s. change of the camera's velocity, in initial velocities.
_MIN_FACTOR = 1 / 3  # Up to this factor, down-and-up sampling is the identity.


def support(max_rms: float) -> int:
    """Returns the side (odd, in pixels) of a PSF that has room for every family up to `max_rms` pixels."""
    return 2 * (math.ceil(_REACH * max_rms) + 1) + 1


def point_count(size: int) -> int:
    """Returns the number of points that keeps the grain of a cloud below 1 % of the contrast at the largest width."""
    return max(256, 4 * (size // 2) ** 2)


def _sunflower(count: int) -> np.ndarray:
    """Returns `count` points that cover the unit disk evenly, [count, 2] (Vogel, 1979)."""
    index = np.arange(count)
    radius, turn = np.sqrt((index + 0.5) / count), index * math.pi * (3 - math.sqrt(5))
    return np.stack([radius * np.cos(turn), radius * np.sin(turn)], axis=-1).astype(np.float32)


def _normalized(points: jax.Array, weights: jax.Array) -> Cloud:
    """Returns the points centered and of unit r.m.s. radius, and the weights at a sum of one."""
    weights = weights / jnp.sum(weights)
    points = points - jnp.sum(weights[:, None] * points, axis=0, keepdims=True)
    square = jnp.sum(weights[:, None] * points**2)
    return points / jnp.sqrt(square), weights


def disk_cloud(count: int) -> Cloud:
    """Returns the point cloud of defocus: a uniform disk, whose radius is sqrt(2) of the r.m.s. radius."""
    return _normalized(jnp.asarray(_sunflower(count)), jnp.ones(count))


def gaussian_cloud(count: int, aspect: ArrayLike, angle: ArrayLike) -> Cloud:
    """Returns the point cloud of a Gaussian.

    `aspect`, in [0.2, 1], is the minor over the major standard deviation; `angle`, in radians, is the direction of the
    major axis, from the x axis towards the y axis, which points down.
    """
    points = _GAUSSIAN_CUT * _sunflower(count)
    weights = jnp.asarray(np.exp(-0.5 * np.sum(points**2, axis=-1)))
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    major, minor = points[:, 0], aspect * points[:, 1]
    points = jnp.stack([cos * major - sin * minor, sin * major + cos * minor], axis=-1)
    return _normalized(points, weights)


def motion_cloud(key: jax.Array, count: int, terms: int = 16) -> Cloud:
    """Returns the point cloud of motion blur: the velocity of the camera follows a random walk."""
    # Velocity is a normal vector plus Brownian motion, whose Karhunen-Loeve series on [0, 1] has the terms
    # sqrt(2) sin(f t) / f with f = (k - 1/2) pi; so position has t and sqrt(2) (1 - cos(f t)) / f^2.
    time = (np.arange(count)[:, None] + 0.5) / count
    frequency = (np.arange(terms) + 0.5) * np.pi
    wander = _ROUGHNESS * math.sqrt(2) * (1 - np.cos(time * frequency)) / frequency**2
    basis = np.concatenate([time, wander], axis=1).astype(np.float32)
    series = jax.random.normal(key, (1 + terms, 2))
    points = jnp.matmul(basis, series, precision=lax.Precision.HIGHEST)
    return _normalized(points, jnp.ones(count))


def rasterize(points: jax.Array, weights: jax.Array, rms: ArrayLike, size: int) -> jax.Array:
    """Shares a `Cloud` out among pixels, at the scale that produces the requested width.

    Returns a PSF, float32 [size, size], `size` odd, non-negative, of sum one, whose r.m.s. radius about the central
    pixel is `rms`, in pixels, at most `size / 7 - 1`, so that the PSF fits.
    """
    half = size // 2
    # Pixels floor(u) and floor(u) + 1 share a coordinate u with weights that keep its mean, so its square becomes the
    # chord of x^2 through these two. The sum of chords is convex and increasing in the scale and never below scale^2:
    # Newton's method from scale = rms descends to the root.
    radius = jnp.abs(points)
    weight = weights[:, None]

    def newton(_: jax.Array, scale: jax.Array) -> jax.Array:
        reach = scale * radius
        cell = jnp.floor(reach)
        excess = jnp.sum(weight * (reach * (2 * cell + 1) - cell * (cell + 1))) - rms**2
        return scale - excess / jnp.sum(weight * radius * (2 * cell + 1))

    scale = lax.fori_loop(0, 8, newton, jnp.asarray(rms, jnp.float32))
    taps = jnp.arange(-half, half + 1, dtype=jnp.float32)
    place = jnp.clip(scale * points, -half, half)  # Keeps all light at any width.
    share = jnp.maximum(0.0, 1.0 - jnp.abs(place[:, :, None] - taps[None, None]))
    return jnp.matmul((weight * share[:, 1]).T, share[:, 0], precision=lax.Precision.HIGHEST)


def gaussian_operator(rms: ArrayLike, size: int) -> jax.Array:
    """Returns Gaussian blur with mirrored borders as a [size, size] matrix for an axis.

    It is the discrete Gaussian (Lindeberg, 1990), heat that spreads from pixel to pixel: its variance is exact at any
    width, and a cosine of frequency w, which has mirrored borders itself, fades by exp(variance (cos w - 1)). The
    matrix, float32, is symmetric and non-negative within rounding; each row sums to one. `rms` is the r.m.s. radius in
    pixels, over both axes.
    """
    frequency = np.pi * np.arange(size)[:, None] / size
    cosines = np.cos(frequency * (np.arange(size) + 0.5)) * np.sqrt(np.where(frequency, 2, 1) / size)
    cosines = cosines.astype(np.float32)
    fading = jnp.exp(rms**2 / 2 * (np.cos(frequency) - 1).astype(np.float32))
    return jnp.matmul(cosines.T, fading * cosines, precision=lax.Precision.HIGHEST)


def downup_operator(factor: ArrayLike, phase: ArrayLike, size: int) -> jax.Array:
    """Returns down-sampling by area average, then linear up-sampling, as a [size, size] matrix for an axis.

    Low-resolution samples are `factor` pixels apart and each is the mean light over an interval of that length; the
    edge pixels continue beyond the border. A pixel's value is interpolated between its two neighboring samples. The
    matrix, float32, is non-negative; each row sums to one.

    Averaged over phases, the weight of the pixel j places away is the probability that factor * B rounds to j, where B
    has the quadratic B-spline's density (a box for the area average, a triangle for the interpolation). So factors up
    to 1/3 change nothing, and the second moment per axis tends to factor^2 / 4 + 1 / 12 for large factors. `phase`, in
    [0, 1), is the position of the low-resolution grid in grid steps.
    """
    pixel = jnp.arange(size, dtype=jnp.float32)
    position = pixel / factor - phase
    after = (position - jnp.floor(position))[:, None]  # Grid steps since the previous sample.
    offset = pixel[None, :] - pixel[:, None]
    left = jnp.where(pixel[None, :] == 0, -jnp.inf, offset - 0.5)
    right = jnp.where(pixel[None, :] == size - 1, jnp.inf, offset + 0.5)

    def share(center: jax.Array) -> jax.Array:
        start, stop = center - factor / 2, center + factor / 2
        overlap = jnp.minimum(stop, right) - jnp.maximum(start, left)
        return jnp.maximum(0.0, overlap) / factor

    return (1 - after) * share(-after * factor) + after * share((1 - after) * factor)


def downup_factor(rms: ArrayLike, max_rms: float) -> jax.Array:
    """Returns the factor at which `downup_operator`, averaged over phases, has this r.m.s. radius.

    `rms` is in pixels, over both axes, and at most `max_rms`, which is static; 0 yields a factor that changes nothing.
    """
    largest = max(1.0, math.sqrt(2) * max_rms)
    factors = np.linspace(_MIN_FACTOR, largest, 2048)
    # E[round(u)^2] = sum_j (2j - 1) P(|u| >= j - 1/2)
    steps = np.arange(1, math.ceil(1.5 * largest) + 2)
    moments = 2 * _spline_tail((steps - 0.5) / factors[:, None]) @ (2 * steps - 1)
    return jnp.interp(rms**2, (2 * moments).astype(np.float32), factors.astype(np.float32))


def _spline_tail(x: np.ndarray) -> np.ndarray:
    """Returns P(B > x) for x >= 0 and B with the quadratic B-spline's density on [-1.5, 1.5]."""
    outer = np.clip(1.5 - x, 0, None) ** 3 / 6
    return np.where(x < 0.5, 0.5 - 0.75 * x + x**3 / 3, outer)
