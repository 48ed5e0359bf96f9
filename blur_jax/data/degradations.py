"""Renders blur of a known strength: point spread functions, sensor noise, JPEG quantization.

Every width is the root-mean-square radius sqrt(E[x^2 + y^2]) of the point spread function (PSF), in image widths.
Images are face crops, so a width means the same thing at every resolution. Images are convolved in linear light.
Borders are mirrored, since a dark frame would reveal blur.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from blur_jax.data import convolution, psf

FAMILIES = ("defocus", "motion", "gaussian", "anisotropic", "downup")
SEPARABLE = ("gaussian", "downup")  # Applied as two matrices; the others are applied as a point spread function.

_ASPECTS = (0.2, 0.6)  # Range of minor axis / major axis for anisotropic Gaussians.

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
    """A random degradation, as a pytree of arrays; `jax.vmap` of `from_rms` or `sample` returns a batch of them.

    Attributes:
        rms: float32 [], r.m.s. radius of the total PSF, in image widths.
        is_separable: bool [], whether `rows` and `columns` blur the image; otherwise `psf` does.
        psf: float32 [K, K], odd K, non-negative, centered, sums to one; None if all families in use are separable.
        rows: float32 [S, S], the matrix that blurs along the height: Gaussian blur or down-and-up sampling.
        columns: float32 [S, S], the same along the width.
        noise: float32 [S, S, 3], sensor noise in linear light at white; None means no noise.
        jpeg_quality: float32 [] in [1, 100]; None means no JPEG.
    """

    rms: jax.Array
    is_separable: jax.Array
    psf: jax.Array | None
    rows: jax.Array
    columns: jax.Array
    noise: jax.Array | None = None
    jpeg_quality: jax.Array | None = None


def from_rms(
    key: jax.Array,
    family: ArrayLike,
    rms: ArrayLike,
    *,
    image_size: int,
    max_rms: float,
    families: Sequence[str] = FAMILIES,
    noise: jax.Array | float | None = None,
    jpeg_quality: jax.Array | float | None = None,
) -> Degradation:
    """Draws a degradation of known strength; orientation, trajectory and sampling phase come from `key`.

    The r.m.s. radius of its discrete PSF is within 0.1% of `rms`, in image widths, clipped to `max_rms`. The PSF of
    down-and-up sampling varies from pixel to pixel; its mean over sampling phases has this radius. `family` is an index
    into `FAMILIES`, and one of `families`. `noise` is the standard deviation of the sensor noise at white, in linear
    light; `jpeg_quality` is in [1, 100]. Only `image_size`, `max_rms` and `families` are static.
    """
    # Each jax.random call adds a third of a second to the compile time on a CPU.
    uniform_key, motion_key, noise_key = jax.random.split(key, 3)
    aspect, angle, *phases = jax.random.uniform(uniform_key, (4,))
    rms = jnp.minimum(jnp.asarray(rms, jnp.float32), max_rms)
    size, identity = psf.support(max_rms * image_size), jnp.eye(image_size)

    convolved = [name for name in families if name not in SEPARABLE]

    def operators() -> list[jax.Array]:
        return _operators(family, phases, rms, image_size, max_rms)

    def separable() -> tuple[jax.Array, ...]:
        return jnp.zeros((size, size)).at[size // 2, size // 2].set(1.0), *operators()

    def inseparable() -> tuple[jax.Array, ...]:
        cloud = _cloud(family, convolved, motion_key, aspect, angle, psf.point_count(size))
        return psf.rasterize(*cloud, rms * image_size, size), identity, identity

    is_separable = jnp.isin(family, _indices(SEPARABLE))
    if convolved:
        kernel, rows, columns = lax.cond(is_separable, separable, inseparable)
    else:
        kernel, (rows, columns) = None, operators()
    grain = None if noise is None else noise * jax.random.normal(noise_key, (image_size, image_size, 3))
    quality = None if jpeg_quality is None else jnp.asarray(jpeg_quality, jnp.float32)
    return Degradation(rms, is_separable, kernel, rows, columns, grain, quality)


def _indices(families: Sequence[str]) -> jax.Array:
    return jnp.array([FAMILIES.index(name) for name in families], jnp.int32)


def _operators(
    family: ArrayLike, phases: Sequence[jax.Array], rms: jax.Array, image_size: int, max_rms: float
) -> list[jax.Array]:
    gaussian = psf.gaussian_operator(rms * image_size, image_size)
    factor = psf.downup_factor(rms * image_size, max_rms * image_size)
    is_gaussian = family == FAMILIES.index("gaussian")
    return [jnp.where(is_gaussian, gaussian, psf.downup_operator(factor, phase, image_size)) for phase in phases]


def _cloud(
    family: ArrayLike, families: Sequence[str], key: jax.Array, aspect: jax.Array, angle: jax.Array, count: int
) -> psf.Cloud:
    """Returns the point cloud of a family in `families`, which are not separable; `aspect` and `angle` in [0, 1)."""
    aspect = _ASPECTS[0] + (_ASPECTS[1] - _ASPECTS[0]) * aspect
    clouds = {
        "defocus": lambda: psf.disk_cloud(count),
        "motion": lambda: psf.motion_cloud(key, count),
        "anisotropic": lambda: psf.gaussian_cloud(count, aspect, math.pi * angle),
    }
    return lax.switch(jnp.argmax(_indices(families) == family), [clouds[name] for name in families])


def sample(
    key: jax.Array,
    *,
    image_size: int,
    families: Sequence[str] = FAMILIES,
    rms_min: float,
    rms_max: float,
    noise_max: float = 0.0,
    jpeg_min_quality: int | None = None,
) -> Degradation:
    """Draws a family uniformly and a strength log-uniformly from [rms_min, rms_max]; see `from_rms`.

    Strengths are r.m.s. radii in image widths. The noise level is uniform in [0, noise_max]; 0 means no noise. JPEG
    quality is uniform in [jpeg_min_quality, 100]; None means no JPEG. All arguments except `key` are static.

    Raises:
        ValueError: a family is unknown, `families` is empty, or a range is invalid.
    """
    if not families or not set(families) <= set(FAMILIES):
        raise ValueError(f"families={families!r} is invalid; list one or more of: {', '.join(FAMILIES)}")
    if not 0 < rms_min <= rms_max:
        raise ValueError(f"expected 0 < rms_min <= rms_max, found rms_min={rms_min}, rms_max={rms_max}")
    if noise_max < 0 or not (jpeg_min_quality is None or 1 <= jpeg_min_quality <= 100):
        raise ValueError(
            "expected noise_max >= 0 and jpeg_min_quality in [1, 100] or None (no JPEG), "
            f"found noise_max={noise_max}, jpeg_min_quality={jpeg_min_quality}"
        )
    uniform_key, draw_key = jax.random.split(key)
    which, strength, grain, loss = jax.random.uniform(uniform_key, (4,))
    return from_rms(
        draw_key,
        _indices(families)[jnp.floor(which * len(families)).astype(jnp.int32)],
        rms_min * (rms_max / rms_min) ** strength,
        image_size=image_size,
        max_rms=rms_max,
        families=families,
        noise=noise_max * grain if noise_max > 0 else None,
        jpeg_quality=None if jpeg_min_quality is None else 100 - (100 - jpeg_min_quality) * loss,
    )


def apply(degradation: Degradation, images: jax.Array) -> jax.Array:
    """Applies the same degradation and noise pattern to all images, float32 [n, S, S, 3], sRGB in [0, 1].

    Raises:
        ValueError: the images do not have the shape that the degradation was drawn for.
    """
    size = degradation.rows.shape[-1]
    if images.ndim != 4 or images.shape[1:] != (size, size, 3):
        raise ValueError(
            f"images have shape {images.shape}, but the degradation was drawn for shape [n, {size}, {size}, 3]"
        )
    light = srgb_to_linear(images)
    if degradation.psf is None:
        light = _multiply(degradation, light)
    else:
        light = lax.cond(degradation.is_separable, _multiply, _convolve, degradation, light)
    light = jnp.clip(light, 0.0, 1.0)
    if degradation.noise is not None:  # Shot noise: its variance is proportional to the light.
        light = jnp.clip(light + degradation.noise[None] * jnp.sqrt(light), 0.0, 1.0)
    images = linear_to_srgb(light)
    if degradation.jpeg_quality is not None:
        images = jpeg(images, degradation.jpeg_quality)
    return images


def _multiply(degradation: Degradation, light: jax.Array) -> jax.Array:
    light = light.transpose(0, 3, 1, 2)
    light = jnp.matmul(degradation.rows, light, precision=lax.Precision.HIGHEST)
    light = jnp.matmul(light, degradation.columns.T, precision=lax.Precision.HIGHEST)
    return light.transpose(0, 2, 3, 1)


def _convolve(degradation: Degradation, light: jax.Array) -> jax.Array:
    kernel: Any = degradation.psf
    return convolution.fastest(light.transpose(0, 3, 1, 2), kernel).transpose(0, 2, 3, 1)


def srgb_to_linear(images: jax.Array) -> jax.Array:
    """Converts sRGB values (IEC 61966-2-1) of any shape to linear light; both are in [0, 1]."""
    # exp(log) because XLA's general power is several times slower on a CPU.
    curve = jnp.exp(2.4 * jnp.log((jnp.maximum(images, 0.04) + 0.055) / 1.055))
    return jnp.where(images <= 0.04045, images / 12.92, curve)


def linear_to_srgb(light: jax.Array) -> jax.Array:
    """Converts linear light of any shape to sRGB values (IEC 61966-2-1); both are in [0, 1]."""
    curve = 1.055 * jnp.exp(jnp.log(jnp.maximum(light, 0.003)) / 2.4) - 0.055
    return jnp.where(light <= 0.0031308, light * 12.92, curve)


def jpeg(images: jax.Array, quality: jax.Array | float) -> jax.Array:
    """Applies JPEG's luminance loss: rounds 8 x 8 DCT coefficients like a baseline encoder.

    The quantization table is table K.1 of ITU-T T.81, scaled by `quality`, in [1, 100], with the formula of the
    Independent JPEG Group's software. Chrominance is unchanged. Images are float32 [n, S, S, 3], sRGB in [0, 1].
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
