"""Changes to an image that keep its blur, and so its rank: flip, exposure, contrast, color, noise.

Nothing here moves light from one pixel to another (a mirror image aside). Image and key alone determine the result.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from scipy.special import ndtri

_DISPLAY_GAMMA = 2.2  # sRGB, to a power law: a gain g in light is g ** (1 / 2.2) in encoded values
_LEVELS = ndtri((np.arange(256) + 0.5) / 256)  # Of noise: quantiles of the normal distribution.
_LEVELS = np.float32(_LEVELS / _LEVELS.std())


def augment(
    key: jax.Array, image: jax.Array, *, flip: bool, exposure: float, contrast: float, color: float, noise: float
) -> jax.Array:
    """Changes one image at random; for a batch, `jax.vmap` over a key for each image.

    With every strength at zero and no flip this is the identity.

    Args:
        key: a `jax.random` key.
        image: float32 [height, width, 3], sRGB in [0, 1].
        flip: static; mirrors left and right with probability one half.
        exposure: the light is multiplied by 2^e, e uniform in [-exposure, exposure] stops.
        contrast: differences from the image's mean are multiplied by 1 + c, c uniform in [-contrast, contrast];
            in [0, 1).
        color: each channel is multiplied by 1 + g, g uniform in [-color, color] and drawn for each channel; in [0, 1).
        noise: static; adds noise to the encoded values, independent over pixels and channels, of a standard deviation
            uniform in [0, noise]. Without it a scorer comes to take grain for detail.

    Returns:
        float32 [height, width, 3] in [0, 1]; values beyond are clipped, as a sensor would.
    """
    flip_key, exposure_key, contrast_key, color_key, noise_key = jax.random.split(key, 5)
    if flip:
        image = jnp.where(jax.random.bernoulli(flip_key), image[:, ::-1], image)
    stops = jax.random.uniform(exposure_key, minval=-exposure, maxval=exposure)
    gains = 1 + jax.random.uniform(color_key, (1, 1, 3), minval=-color, maxval=color)
    image = image * (gains * 2 ** (stops / _DISPLAY_GAMMA))
    # Written as an addition so that a draw of zero leaves every bit of the image alone.
    stretch = jax.random.uniform(contrast_key, minval=-contrast, maxval=contrast)
    image = image + stretch * (image - jnp.mean(image))
    if noise:
        deviation_key, field_key = jax.random.split(noise_key)
        deviation = jax.random.uniform(deviation_key, maxval=noise)
        image = image + deviation * _grain(field_key, *image.shape[:2])
    return jnp.clip(image, 0.0, 1.0)


def _grain(key: jax.Array, height: int, width: int) -> jax.Array:
    """Returns normal noise of 256 levels, float32 [height, width, 3], of mean 0 and standard deviation 1.

    A random word for each pixel gives all of its channels, a byte each: words are what noise costs.
    """
    levels = lax.bitcast_convert_type(jax.random.bits(key, (height, width)), jnp.uint8)[..., :3]
    return jnp.asarray(_LEVELS)[levels]
