"""Blur shapes of known width: point spread functions and down-and-up sampling. Widths are in pixels.

A point spread function (PSF) is a cloud of weighted points where the light of one scene point lands. Distributing the
cloud bilinearly over pixels produces a non-negative PSF that sums to one. Its second moment is an exact, increasing
function of the cloud's scale, so solving for the scale gives the *discrete* PSF the requested moment, for any shape and
for widths far below a pixel.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

Cloud = tuple[jax.Array, jax.Array]  # points [count, 2] (x, y), centered, with unit r.m.s. radius; weights [count]

_REACH = 3.5  # Largest reach of a PSF, in r.m.s. radii.
_GAUSSIAN_CUT = 3.5  # Gaussian cutoff, in standard deviations.
_ROUGHNESS = 1.5  # R.m.s. change of the camera's velocity, relative to its initial velocity.
_MIN_FACTOR = 1 / 3  # Up to this factor, down-and-up sampling is the identity.


def support(max_rms: float) -> int:
    """Returns the PSF side length (odd, in pixels) that fits every family up to `max_rms` pixels."""
    return 2 * (math.ceil(_REACH * max_rms) + 1) + 1


def point_count(size: int) -> int:
    """Returns a point count that keeps the cloud's grain below 1% of the contrast at the largest width."""
    return max(256, 4 * (size // 2) ** 2)


def _sunflower(count: int) -> np.ndarray:
    """Returns points, [count, 2], that cover the unit disk evenly (Vogel, 1979)."""
    index = np.arange(count)
    radius, turn = np.sqrt((index + 0.5) / count), index * math.pi * (3 - math.sqrt(5))
    return np.stack([radius * np.cos(turn), radius * np.sin(turn)], axis=-1).astype(np.float32)


def _normalized(points: jax.Array, weights: jax.Array) -> Cloud:
    """Centers the points, scales them to unit r.m.s. radius, and scales the weights to sum to one."""
    weights = weights / jnp.sum(weights)
    points = points - jnp.sum(weights[:, None] * points, axis=0, keepdims=True)
    square = jnp.sum(weights[:, None] * points**2)
    return points / jnp.sqrt(square), weights


def disk_cloud(count: int) -> Cloud:
    """Returns the point cloud of defocus: a uniform disk, whose radius is sqrt(2) times the r.m.s. radius."""
    return _normalized(jnp.asarray(_sunflower(count)), jnp.ones(count))


def gaussian_cloud(count: int, aspect: ArrayLike, angle: ArrayLike) -> Cloud:
    """Returns the point cloud of a Gaussian.

    `aspect`, in [0.2, 1], is the minor standard deviation divided by the major; `angle`, in radians, is the direction
    of the major axis, measured from the x axis toward the y axis, which points down.
    """
    points = _GAUSSIAN_CUT * _sunflower(count)
    weights = jnp.asarray(np.exp(-0.5 * np.sum(points**2, axis=-1)))
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    major, minor = points[:, 0], aspect * points[:, 1]
    points = jnp.stack([cos * major - sin * minor, sin * major + cos * minor], axis=-1)
    return _normalized(points, weights)


def motion_cloud(key: jax.Array, count: int, terms: int = 16) -> Cloud:
    """Returns the point cloud of motion blur: the camera's velocity follows a random walk."""
    # Velocity is a normal vector plus Brownian motion, whose Karhunen-Loeve series on [0, 1] has the terms
    # sqrt(2) sin(f t) / f with f = (k - 1/2) pi; so position has the terms t and sqrt(2) (1 - cos(f t)) / f^2.
    time = (np.arange(count)[:, None] + 0.5) / count
    frequency = (np.arange(terms) + 0.5) * np.pi
    wander = _ROUGHNESS * math.sqrt(2) * (1 - np.cos(time * frequency)) / frequency**2
    basis = np.concatenate([time, wander], axis=1).astype(np.float32)
    series = jax.random.normal(key, (1 + terms, 2))
    points = jnp.matmul(basis, series, precision=lax.Precision.HIGHEST)
    return _normalized(points, jnp.ones(count))


def rasterize(points: jax.Array, weights: jax.Array, rms: ArrayLike, size: int) -> jax.Array:
    """Distributes a `Cloud` over pixels at the scale that produces the requested width.

    Returns a non-negative PSF, float32 [size, size], that sums to one. Its r.m.s. radius about the central pixel is
    `rms` pixels. `size` is odd; `rms` must be at most `size / 7 - 1` for the PSF to fit.
    """
    half = size // 2
    # A coordinate u is split between pixels floor(u) and floor(u) + 1 with weights that keep its mean, so its square
    # becomes the chord of x^2 through these two. The sum of chords is convex and increasing in the scale and never
    # below scale^2, so Newton's method, started at scale = rms, descends to the root.
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
    """Returns Gaussian blur with mirrored borders as a [size, size] matrix for one axis.

    This is the discrete Gaussian (Lindeberg, 1990), which models heat diffusion between pixels. Its variance is exact
    at any width, and it attenuates a cosine of frequency w, which itself has mirrored borders, by
    exp(variance (cos w - 1)). The float32 matrix is symmetric and, up to rounding, non-negative; each row sums to one.
    `rms` is the r.m.s. radius in pixels, over both axes.
    """
    frequency = np.pi * np.arange(size)[:, None] / size
    cosines = np.cos(frequency * (np.arange(size) + 0.5)) * np.sqrt(np.where(frequency, 2, 1) / size)
    cosines = cosines.astype(np.float32)
    fading = jnp.exp(rms**2 / 2 * (np.cos(frequency) - 1).astype(np.float32))
    return jnp.matmul(cosines.T, fading * cosines, precision=lax.Precision.HIGHEST)


def downup_operator(factor: ArrayLike, phase: ArrayLike, size: int) -> jax.Array:
    """Returns area-average downsampling followed by linear upsampling as a [size, size] matrix for one axis.

    Low-resolution samples are `factor` pixels apart, and each is the mean light over an interval of that length; edge
    pixels are repeated beyond the border. Each pixel is interpolated between its two neighboring samples. The float32
    matrix is non-negative; each row sums to one.

    Averaged over phases, the weight of a pixel j pixels away is the probability that factor * B rounds to j, where B
    has the density of the quadratic B-spline (a box for the area average, convolved with a triangle for the
    interpolation). So factors up to 1/3 change nothing, and the second moment per axis tends to factor^2 / 4 + 1 / 12
    for large factors. `phase`, in [0, 1), is the position of the low-resolution grid in grid steps.
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
    """Returns the factor at which `downup_operator`, averaged over phases, has the requested r.m.s. radius.

    `rms` is in pixels, over both axes, and at most `max_rms`, which is static; 0 yields a factor that changes nothing.
    """
    largest = max(1.0, math.sqrt(2) * max_rms)
    factors = np.linspace(_MIN_FACTOR, largest, 2048)
    # E[round(u)^2] = sum_j (2j - 1) P(|u| >= j - 1/2)
    steps = np.arange(1, math.ceil(1.5 * largest) + 2)
    moments = 2 * _spline_tail((steps - 0.5) / factors[:, None]) @ (2 * steps - 1)
    return jnp.interp(rms**2, (2 * moments).astype(np.float32), factors.astype(np.float32))


def _spline_tail(x: np.ndarray) -> np.ndarray:
    """Returns P(B > x) for x >= 0, where B has the density of the quadratic B-spline on [-1.5, 1.5]."""
    outer = np.clip(1.5 - x, 0, None) ** 3 / 6
    return np.where(x < 0.5, 0.5 - 0.75 * x + x**3 / 3, outer)
