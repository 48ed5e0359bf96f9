"""Changes to a picture that keep its blur, and so its rank: flip, exposure, contrast, color, noise.

Nothing here moves light from one pixel to another (a mirror image aside). Image and key alone fix the result.
"""

import jax
import jax.numpy as jnp

_DISPLAY_GAMMA = 2.2  # sRGB, to a power law: a gain g in light is g ** (1 / 2.2) in encoded values


def augment(key, image, *, flip, exposure, contrast, color, noise):
    """One random change of one image; for a batch, `jax.vmap` over a key for each image.

    With every strength at zero and no flip this is the identity.

    Args:
      key: a `jax.random` key.
      image: float32 `[height, width, 3]`, sRGB in [0, 1].
      flip: static; mirror left and right with probability one half.
      exposure: the light is multiplied by 2^e, e uniform in [-exposure, exposure] stops.
      contrast: differences from the image's mean are multiplied by 1 + c, c uniform in
        [-contrast, contrast], `contrast` in [0, 1).
      color: each channel is multiplied by 1 + g, g uniform in [-color, color] and drawn for each
        channel, `color` in [0, 1).
      noise: static; noise of a standard deviation uniform in [0, noise], of encoded values, is added, independent over
        pixels and channels. Without it a scorer comes to take grain for detail.

    Returns:
      float32 `[height, width, 3]` in [0, 1]; values beyond are clipped, as a sensor would.
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
        image = image + deviation * jax.random.normal(field_key, image.shape)
    return jnp.clip(image, 0.0, 1.0)
