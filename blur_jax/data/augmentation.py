"""Changes to an image that keep its blur, and so its rank: flip, exposure, contrast, color, noise.

Nothing here moves light from one pixel to another (a mirror image aside). Image and draw alone determine the result.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from scipy.special import ndtri

_DISPLAY_GAMMA = 2.2  # sRGB, to a power law: a gain g in light is g ** (1 / 2.2) in encoded values
_LEVELS = ndtri((np.arange(256) + 0.5) / 256)  # Of noise: quantiles of the normal distribution.
_LEVELS = np.float32(_LEVELS / _LEVELS.std())


class Augmentation(NamedTuple):
    """One draw, a pytree of arrays: `jax.vmap` of `sample` gives a batch of draws.

    Attributes:
        is_flipped: bool [], whether left and right are mirrored.
        gains: float32 [3], what the channels are multiplied by.
        stretch: float32 [], what the contrast grows by, relative to itself.
        deviation: float32 [], standard deviation of the noise; None: no noise.
        words: uint32 [S, S], random bits, whose low three bytes are the levels of the channels' noise; None: no noise.
    """

    is_flipped: jax.Array
    gains: jax.Array
    stretch: jax.Array
    deviation: jax.Array | None = None
    words: jax.Array | None = None


def sample(
    key: jax.Array, *, image_size: int, flip: bool, exposure: float, contrast: float, color: float, noise: float
) -> Augmentation:
    """Draws the changes of one image.

    Args:
        key: a `jax.random` key.
        image_size: static int S, height and width of the image in pixels.
        flip: static; mirrors left and right with probability one half.
        exposure: the light is multiplied by 2^e, e uniform in [-exposure, exposure] stops.
        contrast: differences from the image's mean are multiplied by 1 + c, c uniform in [-contrast, contrast];
            in [0, 1).
        color: each channel is multiplied by 1 + g, g uniform in [-color, color] and drawn for each channel; in [0, 1).
        noise: static; adds noise to the encoded values, independent over pixels and channels, of a standard deviation
            uniform in [0, noise]. Without it a scorer comes to take grain for detail.

    Returns:
        the draw; with every strength at zero and no flip, that of the identity.
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
    """Changes one image as drawn; for a batch, `jax.vmap` over a draw for each image.

    Args:
        augmentation: of `sample`, for images of size S.
        image: float32 [S, S, 3], sRGB in [0, 1].

    Returns:
        float32 [S, S, 3] in [0, 1]; values beyond are clipped, as a sensor would.
    """
    # Not `jnp.where`, which would mirror every image on a CPU.
    image = lax.cond(augmentation.is_flipped, lambda image: image[:, ::-1], lambda image: image, image)
    image = image * augmentation.gains[None, None]
    # Written as an addition so that a draw of zero leaves every bit of the image alone.
    image = image + augmentation.stretch * (image - jnp.mean(image))
    return add_noise(augmentation, image)


def add_noise(augmentation: Augmentation, image: jax.Array) -> jax.Array:
    """Adds a draw's noise alone, and clips; shapes and range as of `apply`."""
    if augmentation.words is not None:
        image = image + augmentation.deviation * _grain(augmentation.words)
    return jnp.clip(image, 0.0, 1.0)


def without_noise(augmentation: Augmentation) -> Augmentation:
    """Returns the rest of a draw, for an image that has its noise already."""
    return augmentation._replace(deviation=None, words=None)


def _grain(words: jax.Array) -> jax.Array:
    """Returns normal noise of 256 levels, float32 [S, S, 3], of mean 0 and standard deviation 1.

    A random word for each pixel gives all of its channels, a byte each: words are what noise costs.
    """
    return jnp.asarray(_LEVELS)[lax.bitcast_convert_type(words, jnp.uint8)[..., :3]]
