"""Augments images without changing their blur, and therefore their rank: flip, exposure, contrast, color and noise.

Only the flip moves light from one pixel to another.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from scipy.special import ndtri

_DISPLAY_GAMMA = 2.2  # Approximates sRGB: a gain g in light is g ** (1 / 2.2) in encoded values.
_QUANTILES = ndtri((np.arange(256) + 0.5) / 256)  # Of the normal distribution.
_LEVELS = np.float32(_QUANTILES / _QUANTILES.std())  # Noise levels.


class Augmentation(NamedTuple):
    """A random augmentation, as a pytree of arrays; `jax.vmap` of `sample` returns a batch of them.

    Attributes:
        is_flipped: bool [], whether to mirror the image left to right.
        gains: float32 [3], one factor per channel.
        stretch: float32 [], relative increase in contrast.
        deviation: float32 [], standard deviation of the noise; None means no noise.
        words: uint32 [S, S], random bits; the low three bytes select the noise level of each channel.
    """

    is_flipped: jax.Array
    gains: jax.Array
    stretch: jax.Array
    deviation: jax.Array | None = None
    words: jax.Array | None = None


def sample(
    key: jax.Array, *, image_size: int, flip: bool, exposure: float, contrast: float, color: float, noise: float
) -> Augmentation:
    """Draws a random augmentation for one image; `image_size`, `flip` and `noise` are static.

    A flip mirrors the image left to right with probability 1/2. Exposure multiplies the light by 2^e, with e uniform in
    [-exposure, exposure] stops. Contrast multiplies differences from the image's mean by 1 + c, with c uniform in
    [-contrast, contrast]. Color multiplies each channel by 1 + g, with an independent g uniform in [-color, color].
    `contrast` and `color` are in [0, 1). Noise, independent for every pixel and channel, is added to the encoded
    values; its standard deviation is uniform in [0, noise]. A scorer trained without noise mistakes grain for detail.
    """
    flip_key, exposure_key, contrast_key, color_key, noise_key = jax.random.split(key, 5)
    stops = jax.random.uniform(exposure_key, minval=-exposure, maxval=exposure)
    gains = 1 + jax.random.uniform(color_key, (3,), minval=-color, maxval=color)
    draw = Augmentation(
        is_flipped=jax.random.bernoulli(flip_key) if flip else jnp.array(False),
        gains=gains * 2 ** (stops / _DISPLAY_GAMMA),
        stretch=jax.random.uniform(contrast_key, minval=-contrast, maxval=contrast),
    )
    if not noise:
        return draw
    deviation_key, field_key = jax.random.split(noise_key)
    return draw._replace(
        deviation=jax.random.uniform(deviation_key, maxval=noise),
        words=jax.random.bits(field_key, (image_size, image_size)),
    )


def apply(augmentation: Augmentation, image: jax.Array) -> jax.Array:
    """Applies an augmentation to one image, float32 [S, S, 3], sRGB in [0, 1]; clips to [0, 1] like a sensor."""
    # `jnp.where` would mirror every image on a CPU.
    image = lax.cond(augmentation.is_flipped, lambda image: image[:, ::-1], lambda image: image, image)
    image = image * augmentation.gains[None, None]
    # Because this is an addition, a stretch of zero leaves the image bit-identical.
    image = image + augmentation.stretch * (image - jnp.mean(image))
    return add_noise(augmentation, image)


def add_noise(augmentation: Augmentation, image: jax.Array) -> jax.Array:
    """Adds only the noise, then clips; shapes and range are the same as in `apply`."""
    if augmentation.deviation is not None and augmentation.words is not None:
        image = image + augmentation.deviation * _grain(augmentation.words)
    return jnp.clip(image, 0.0, 1.0)


def without_noise(augmentation: Augmentation) -> Augmentation:
    return augmentation._replace(deviation=None, words=None)


def _grain(words: jax.Array) -> jax.Array:
    """Converts one word per pixel to normal noise, float32 [S, S, 3], with mean 0 and standard deviation 1."""
    indices = lax.bitcast_convert_type(words, jnp.uint8)[..., :3]
    return lax.platform_dependent(indices, cpu=_look_up, default=_compute)


def _look_up(indices: jax.Array) -> jax.Array:
    return jnp.asarray(_LEVELS)[indices]


def _compute(indices: jax.Array) -> jax.Array:
    """Computes what `_look_up` returns. A TPU looks values up one by one; a CPU computes them much more slowly."""
    quantiles = math.sqrt(2) * lax.erf_inv((2 * indices.astype(jnp.float32) + 1) / 256 - 1)
    return quantiles / np.float32(_QUANTILES.std())
