"""Rendering of blur at a known strength: point spread functions, sensor noise, JPEG quantisation.

Every width is a root-mean-square radius sqrt(E[x^2 + y^2]) of the point spread function (PSF), in
image widths: the images are face crops, so a width means the same at every resolution. Convolution
is done in linear light, where light adds up; borders are mirrored, so that no dark frame gives a
blur away.

A PSF is a cloud of weighted points, the places where the light of one scene point lands. Shared out
bilinearly among pixels, a cloud gives a non-negative PSF of sum one whose second moment is an
exact, increasing function of the cloud's scale; solving for the scale makes the moment of the
*discrete* PSF the requested one, for any shape and down to widths far below a pixel.

Why the convolution is an FFT: benchmarks/degradations.py.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from scipy.fft import next_fast_len

FAMILIES = ("defocus", "motion", "gaussian", "anisotropic", "downup")

_REACH = 3.5  # no PSF here reaches further than this many times its r.m.s. radius
_GAUSSIAN_CUT = 3.5  # standard deviations
_ASPECTS = (0.2, 0.6)  # minor over major axis of the anisotropic Gaussians
_ROUGHNESS = 1.5  # r.m.s. change of the camera's velocity, in initial velocities
_MIN_FACTOR = 1 / 3  # up to this factor down-and-up sampling is the identity

# fmt: off
_JPEG_LUMINANCE = np.array([  # ITU-T T.81, table K.1
    [16, 11, 10, 16, 24, 40, 51, 61],
    [12, 12, 14, 19, 26, 58, 60, 55],
    [14, 13, 16, 24, 40, 57, 69, 56],
    [14, 17, 22, 29, 51, 87, 80, 62],
    [18, 22, 37, 56, 68, 109, 103, 77],
    [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101],
    [72, 92, 95, 98, 112, 100, 103, 99],
], np.float32)
# fmt: on


class Degradation(NamedTuple):
    """One draw. A pytree of arrays, so `jax.vmap` of `from_rms` or `sample` gives a batch of draws.

    Attributes:
      rms: float32 `[]`, r.m.s. radius of the total PSF, in image widths.
      psf: float32 `[K, K]`, odd K: optical blur; non-negative, sums to one, centred.
      rows: float32 `[S, S]`, down-and-up sampling along the height; else the identity.
      columns: float32 `[S, S]`, the same along the width.
      noise: float32 `[S, S, 3]`, sensor noise in linear light at white; None: no noise.
      jpeg_quality: float32 `[]` in [1, 100]; None: no JPEG.
    """

    rms: jax.Array
    psf: jax.Array
    rows: jax.Array
    columns: jax.Array
    noise: jax.Array | None = None
    jpeg_quality: jax.Array | None = None


def from_rms(key, family, rms, *, image_size, max_rms, noise=None, jpeg_quality=None):
    """A degradation of known strength; orientation, trajectory and sampling phase come from `key`.

    Args:
      key: a `jax.random` key.
      family: int32 index into `FAMILIES`; may be traced.
      rms: float32 r.m.s. radius of the total PSF in image widths; may be traced. Above `max_rms`
        it is lowered to `max_rms`, and the result's `rms` says so.
      image_size: static int S, height and width of the images in pixels.
      max_rms: static float, the largest `rms` there is room for, in image widths.
      noise: standard deviation of the sensor noise at white, in linear light; None: no noise.
      jpeg_quality: quality in [1, 100]; None: no JPEG.

    Returns:
      A `Degradation`. The r.m.s. radius of its discrete PSF is `rms` to within 0.1 %. Down-and-up
      sampling has another PSF at each pixel; there it is the mean over sampling phases that has it.
    """
    # Few calls of jax.random, since each adds a third of a second to the compilation on a CPU.
    uniform_key, motion_key, noise_key = jax.random.split(key, 3)
    aspect, angle, row_phase, column_phase = jax.random.uniform(uniform_key, (4,))
    aspect = _ASPECTS[0] + (_ASPECTS[1] - _ASPECTS[0]) * aspect
    rms = jnp.minimum(jnp.asarray(rms, jnp.float32), max_rms)
    rms_pixels = rms * image_size
    size = support(max_rms * image_size)
    count = _point_count(size)

    clouds = {
        "defocus": _disk_cloud(count),
        "motion": _motion_cloud(motion_key, count),
        "gaussian": _gaussian_cloud(count, 1.0, 0.0),
        "anisotropic": _gaussian_cloud(count, aspect, math.pi * angle),
        "downup": _disk_cloud(count),  # of no width: a single pixel
    }
    points = jnp.stack([clouds[name][0] for name in FAMILIES])[family]
    weights = jnp.stack([clouds[name][1] for name in FAMILIES])[family]

    # Strength goes to the optics or to the sampling; at strength zero either is the identity.
    is_downup = family == FAMILIES.index("downup")
    psf = _rasterize(points, weights, jnp.where(is_downup, 0.0, rms_pixels), size)
    factor = downup_factor(jnp.where(is_downup, rms_pixels, 0.0), max_rms * image_size)
    if noise is not None:
        noise = noise * jax.random.normal(noise_key, (image_size, image_size, 3))
    if jpeg_quality is not None:
        jpeg_quality = jnp.asarray(jpeg_quality, jnp.float32)
    return Degradation(
        rms=rms,
        psf=psf,
        rows=downup_operator(factor, row_phase, image_size),
        columns=downup_operator(factor, column_phase, image_size),
        noise=noise,
        jpeg_quality=jpeg_quality,
    )


def sample(key, *, image_size, families=FAMILIES, rms_min, rms_max, noise_max=0.0, jpeg_min_quality=100):
    """A random degradation: family uniform, strength log-uniform; see `from_rms`.

    Args:
      key: a `jax.random` key.
      image_size: static int S, in pixels.
      families: static, names out of `FAMILIES`.
      rms_min, rms_max: static range of the r.m.s. radius in image widths, `0 < rms_min <= rms_max`.
      noise_max: static; noise is uniform in [0, noise_max] (see `from_rms`); 0 leaves noise out.
      jpeg_min_quality: static; quality is uniform in [jpeg_min_quality, 100]; 100 leaves JPEG out.

    Raises:
      ValueError: an unknown or missing family, or an impossible range.
    """
    unknown = [name for name in families if name not in FAMILIES]
    if unknown or not families:
        raise ValueError(f"families={families!r}: need one or more of {', '.join(FAMILIES)}")
    if not 0 < rms_min <= rms_max:
        raise ValueError(f"need 0 < rms_min <= rms_max, found rms_min={rms_min}, rms_max={rms_max}")
    if noise_max < 0 or not 1 <= jpeg_min_quality <= 100:
        raise ValueError(
            "need noise_max >= 0 and jpeg_min_quality in [1, 100], "
            f"found noise_max={noise_max}, jpeg_min_quality={jpeg_min_quality}"
        )
    uniform_key, draw_key = jax.random.split(key)
    which, strength, grain, loss = jax.random.uniform(uniform_key, (4,))
    indices = jnp.array([FAMILIES.index(name) for name in families], jnp.int32)
    return from_rms(
        draw_key,
        indices[jnp.floor(which * len(families)).astype(jnp.int32)],
        rms_min * (rms_max / rms_min) ** strength,
        image_size=image_size,
        max_rms=rms_max,
        noise=noise_max * grain if noise_max > 0 else None,
        jpeg_quality=100 - (100 - jpeg_min_quality) * loss if jpeg_min_quality < 100 else None,
    )


def apply(degradation, images):
    """Degrades images, all by the same draw (the same noise pattern included).

    Args:
      degradation: one `Degradation` for images of size S. For a batch of draws, `jax.vmap(apply)`.
      images: float32 `[n, S, S, 3]`, sRGB in [0, 1].

    Returns:
      float32 `[n, S, S, 3]`, sRGB in [0, 1].

    Raises:
      ValueError: `images` do not have the shape the draw was made for.
    """
    size = degradation.rows.shape[-1]
    if images.ndim != 4 or images.shape[1:] != (size, size, 3):
        raise ValueError(f"images of shape {images.shape}: the degradation was drawn for [n, {size}, {size}, 3]")
    light = jnp.clip(_blur(degradation, srgb_to_linear(images)), 0.0, 1.0)
    if degradation.noise is not None:  # shot noise: its variance is proportional to the light
        light = jnp.clip(light + degradation.noise[None] * jnp.sqrt(light), 0.0, 1.0)
    images = linear_to_srgb(light)
    if degradation.jpeg_quality is not None:
        images = jpeg(images, degradation.jpeg_quality)
    return images


def _blur(degradation, light):
    """Down-and-up sampling, then the PSF; `[n, S, S, 3]` to `[n, S, S, 3]`."""
    size, half = light.shape[1], degradation.psf.shape[0] // 2
    light = light.transpose(0, 3, 1, 2)
    light = jnp.matmul(degradation.rows, light, precision=lax.Precision.HIGHEST)
    light = jnp.matmul(light, degradation.columns.T, precision=lax.Precision.HIGHEST)
    period = next_fast_len(size + 2 * half, real=True)
    border = (half, period - size - half)
    light = jnp.pad(light, ((0, 0), (0, 0), border, border), mode="symmetric")
    transfer = jnp.fft.rfft2(degradation.psf, s=(period, period))
    blurred = jnp.fft.irfft2(jnp.fft.rfft2(light) * transfer[None, None], s=(period, period))
    # One shift by `half` for the border and one because the PSF's centre sits at `half`.
    inner = slice(2 * half, 2 * half + size)
    return blurred[:, :, inner, inner].transpose(0, 2, 3, 1)


# Point spread functions. Widths in pixels.


def disk(rms, size):
    """Defocus: a uniform disk of radius sqrt(2) * rms.

    Args:
      rms: float32, r.m.s. radius in pixels, at most `size / 7 - 1`, so that there is room for it.
      size: static odd int K.

    Returns:
      float32 `[K, K]`, non-negative, sums to one; `rms_radius` of it equals `rms`.
    """
    return _rasterize(*_disk_cloud(_point_count(size)), rms, size)


def gaussian(rms, size, aspect=1.0, angle=0.0):
    """A Gaussian; isotropic, of standard deviation rms / sqrt(2), unless `aspect` says otherwise.

    Args:
      rms, size: as in `disk`.
      aspect: minor over major standard deviation, in [0.2, 1].
      angle: of the major axis, in radians, from the x axis towards the y axis (which points down).
    """
    return _rasterize(*_gaussian_cloud(_point_count(size), aspect, angle), rms, size)


def motion(key, rms, size):
    """Motion blur along a random trajectory: a camera whose velocity does a random walk.

    Args:
      key: a `jax.random` key; it fixes the trajectory, whatever `rms` and `size`.
      rms, size: as in `disk`.
    """
    return _rasterize(*_motion_cloud(key, _point_count(size)), rms, size)


def rms_radius(psf):
    """R.m.s. radius of a PSF `[K, K]`, odd K, about its central pixel, in pixels."""
    taps = jnp.arange(psf.shape[0], dtype=jnp.float32) - psf.shape[0] // 2
    return jnp.sqrt(jnp.sum(psf * (taps[:, None] ** 2 + taps[None, :] ** 2)) / jnp.sum(psf))


def support(max_rms):
    """Side (odd, pixels) of a PSF that has room for every family up to `max_rms` pixels."""
    return 2 * (math.ceil(_REACH * max_rms) + 1) + 1


def _point_count(size):
    """Enough points to keep their grain below 1 % of the contrast at the largest width."""
    return max(256, 4 * (size // 2) ** 2)


def _sunflower(count):
    """`count` points that cover the unit disk evenly, [count, 2] (Vogel, 1979)."""
    index = np.arange(count)
    radius, turn = np.sqrt((index + 0.5) / count), index * math.pi * (3 - math.sqrt(5))
    return np.stack([radius * np.cos(turn), radius * np.sin(turn)], axis=-1).astype(np.float32)


def _normalized(points, weights):
    """Weights of sum one; points centred, of unit r.m.s. radius."""
    weights = weights / jnp.sum(weights)
    points = points - jnp.sum(weights[:, None] * points, axis=0, keepdims=True)
    square = jnp.sum(weights[:, None] * points**2)
    return points / jnp.sqrt(square), weights


def _disk_cloud(count):
    return _normalized(jnp.asarray(_sunflower(count)), jnp.ones(count))


def _gaussian_cloud(count, aspect, angle):
    points = _GAUSSIAN_CUT * _sunflower(count)
    weights = jnp.asarray(np.exp(-0.5 * np.sum(points**2, axis=-1)))
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    major, minor = points[:, 0], aspect * points[:, 1]
    points = jnp.stack([cos * major - sin * minor, sin * major + cos * minor], axis=-1)
    return _normalized(points, weights)


def _motion_cloud(key, count, terms=16):
    # Velocity is a normal vector plus Brownian motion, the latter by its Karhunen-Loeve series on
    # [0, 1], sqrt(2) sin(f t) / f with f = (k - 1/2) pi; so position has t and
    # sqrt(2) (1 - cos(f t)) / f^2.
    time = (np.arange(count)[:, None] + 0.5) / count
    frequency = (np.arange(terms) + 0.5) * np.pi
    wander = _ROUGHNESS * math.sqrt(2) * (1 - np.cos(time * frequency)) / frequency**2
    basis = np.concatenate([time, wander], axis=1).astype(np.float32)
    series = jax.random.normal(key, (1 + terms, 2))
    points = jnp.matmul(basis, series, precision=lax.Precision.HIGHEST)
    return _normalized(points, jnp.ones(count))


def _rasterize(points, weights, rms, size):
    """Shares a normalised cloud out among `[size, size]` pixels, at the scale that gives `rms`."""
    half = size // 2
    # A coordinate u falls to pixels floor(u) and floor(u) + 1 with the weights that keep its mean,
    # so its square becomes the chord of x^2 through these two. The sum of chords is convex and
    # increasing in the scale and never below scale^2: Newton's method from scale = rms comes down
    # to the root.
    radius = jnp.abs(points)
    weight = weights[:, None]

    def newton(_, scale):
        reach = scale * radius
        cell = jnp.floor(reach)
        excess = jnp.sum(weight * (reach * (2 * cell + 1) - cell * (cell + 1))) - rms**2
        return scale - excess / jnp.sum(weight * radius * (2 * cell + 1))

    scale = lax.fori_loop(0, 8, newton, jnp.asarray(rms, jnp.float32))
    taps = jnp.arange(-half, half + 1, dtype=jnp.float32)
    place = jnp.clip(scale * points, -half, half)  # never lose light, whatever is asked
    share = jnp.maximum(0.0, 1.0 - jnp.abs(place[:, :, None] - taps[None, None]))
    return jnp.matmul((weight * share[:, 1]).T, share[:, 0], precision=lax.Precision.HIGHEST)


# Down-and-up sampling.


def downup_operator(factor, phase, size):
    """Down-sampling by area average, then linear up-sampling: a `[size, size]` matrix for an axis.

    Low-resolution samples are `factor` pixels apart and each is the mean light over an interval of
    that length; the edge pixels go on beyond the border. A pixel's value is interpolated between
    its two neighbouring samples.

    Averaged over phases, a pixel's weight of the pixel j places off is the probability that
    factor * B rounds to j, where B has the quadratic B-spline's density (a box for the area
    average, a triangle for the interpolation). So for factors up to 1/3 nothing changes, and the second
    moment per axis tends to factor^2 / 4 + 1 / 12 for large ones.

    Args:
      factor: float32 > 0, need not be whole.
      phase: float32 in [0, 1), position of the low-resolution grid in grid steps.
      size: static int.

    Returns:
      float32 `[size, size]`, non-negative, rows sum to one.
    """
    pixel = jnp.arange(size, dtype=jnp.float32)
    position = pixel / factor - phase
    after = (position - jnp.floor(position))[:, None]  # grid steps since the sample before
    offset = pixel[None, :] - pixel[:, None]
    left = jnp.where(pixel[None, :] == 0, -jnp.inf, offset - 0.5)
    right = jnp.where(pixel[None, :] == size - 1, jnp.inf, offset + 0.5)

    def share(center):
        start, stop = center - factor / 2, center + factor / 2
        overlap = jnp.minimum(stop, right) - jnp.maximum(start, left)
        return jnp.maximum(0.0, overlap) / factor

    return (1 - after) * share(-after * factor) + after * share((1 - after) * factor)


def downup_factor(rms, max_rms):
    """The factor at which down-and-up sampling, averaged over phases, has this r.m.s. radius.

    Args:
      rms: float32, in pixels, over both axes; 0 gives a factor that changes nothing.
      max_rms: static float, the largest `rms`.

    Returns:
      float32 `[]`, for `downup_operator`.
    """
    largest = max(1.0, math.sqrt(2) * max_rms)
    factors = np.linspace(_MIN_FACTOR, largest, 2048)
    # E[round(u)^2] = sum_j (2j - 1) P(|u| >= j - 1/2)
    steps = np.arange(1, math.ceil(1.5 * largest) + 2)
    moments = 2 * _spline_tail((steps - 0.5) / factors[:, None]) @ (2 * steps - 1)
    return jnp.interp(rms**2, (2 * moments).astype(np.float32), factors.astype(np.float32))


def _spline_tail(x):
    """P(B > x) for x >= 0 and B with the quadratic B-spline's density on [-1.5, 1.5]."""
    outer = np.clip(1.5 - x, 0, None) ** 3 / 6
    return np.where(x < 0.5, 0.5 - 0.75 * x + x**3 / 3, outer)


# Encoding.


def srgb_to_linear(images):
    """Linear light of sRGB values (IEC 61966-2-1); any shape, both in [0, 1]."""
    # exp(log) because XLA's general power costs several times as much on a CPU.
    curve = jnp.exp(2.4 * jnp.log((jnp.maximum(images, 0.04) + 0.055) / 1.055))
    return jnp.where(images <= 0.04045, images / 12.92, curve)


def linear_to_srgb(light):
    """sRGB values (IEC 61966-2-1) of linear light; any shape, both in [0, 1]."""
    curve = 1.055 * jnp.exp(jnp.log(jnp.maximum(light, 0.003)) / 2.4) - 0.055
    return jnp.where(light <= 0.0031308, light * 12.92, curve)


def jpeg(images, quality):
    """The loss of JPEG in luminance: its 8 x 8 DCT coefficients rounded as a baseline encoder does.

    The quantisation table is ITU-T T.81's K.1, scaled with `quality` as the Independent JPEG
    Group's software scales it. Chrominance is left alone.

    Args:
      images: float32 `[n, S, S, 3]`, sRGB in [0, 1].
      quality: float32 in [1, 100].

    Returns:
      float32 `[n, S, S, 3]` in [0, 1].
    """
    percent = jnp.where(quality < 50, 5000 / quality, 200 - 2 * quality)
    table = jnp.clip(jnp.floor((_JPEG_LUMINANCE * percent + 50) / 100), 1, 255)[None, None, :, None]
    frequency = np.arange(8)[:, None] * (2 * np.arange(8) + 1) * np.pi / 16
    dct = (np.cos(frequency) * np.where(np.arange(8)[:, None], 0.5, 0.125**0.5)).astype(np.float32)

    size = images.shape[1]
    luma = jnp.einsum("nhwc,c->nhw", images, jnp.array([0.299, 0.587, 0.114]), precision="highest")
    fill = -size % 8
    blocks = 255 * jnp.pad(luma, ((0, 0), (0, fill), (0, fill)), mode="edge") - 128
    blocks = blocks.reshape(-1, (size + fill) // 8, 8, (size + fill) // 8, 8)
    coefficients = jnp.einsum("ui,vj,nhiwj->nhuwv", dct, dct, blocks, precision="highest")
    coefficients = table * jnp.round(coefficients / table)
    blocks = jnp.einsum("ui,vj,nhuwv->nhiwj", dct, dct, coefficients, precision="highest")
    coded = ((blocks + 128) / 255).reshape(-1, size + fill, size + fill)[:, :size, :size]
    return jnp.clip(images + (coded - luma)[..., None], 0.0, 1.0)
