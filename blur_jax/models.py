"""The scorer: backbone -> pooled features -> dense -> sigmoid, in Flax Linen.

Nothing here looks across a batch (no batch normalization, no running statistics), so an image's
score depends on that image alone. Adding a backbone is adding one module to
backbones.py that maps images to a list of feature maps, and one line to `BACKBONES`.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from blur_jax import backbones


class Scorer(nn.Module):
    """Scores how blurred each image is.

    The features are the mean and the standard deviation over positions of every feature map that
    the backbone returns, since blur shows more in how strongly a filter's response varies over an
    image than in its mean; and what the last map holds where the picture tells most about its blur,
    an edge rather than a cheek (`AttentionPool`).

    Attributes:
        backbone: maps images to a list of feature maps `[batch, height_i, width_i, channels_i]`.
        center: also take mean and standard deviation over the central half of each map, both ways:
            the face without what is behind it, which may be as sharp as it likes.
    """

    backbone: nn.Module
    center: bool = False

    def setup(self):
        self.attention = AttentionPool()
        # A tenth of the usual scale: scores start near 0.5, and still the backbone gets gradients
        # from the first step on, which a head of zeros would deny it.
        self.head = nn.Dense(1, kernel_init=nn.initializers.variance_scaling(0.01, "fan_in", "truncated_normal"))

    def features(self, images):
        """What the head sees of images as `__call__` takes them, float32 `[batch, features]`."""
        maps = self.backbone(images)
        pooled = [*maps, *map(central_half, maps)] if self.center else maps
        return jnp.concatenate([*map(mean_and_std, pooled), self.attention(maps[-1])], axis=-1)

    def __call__(self, images):
        """Scores a batch of images.

        Args:
            images: float `[batch, S, S, 3]`, S >= 32, RGB, sRGB-encoded, in [0, 1]. Each backbone
                applies the normalization that it wants itself.

        Returns:
            Scores, float32 `[batch]` in [0, 1] (the ends only where float32 saturates), larger =
            blurrier.
        """
        return nn.sigmoid(self.head(self.features(images))[:, 0])


class AttentionPool(nn.Module):
    """Averages a feature map with weights over positions that the map itself gives, once for each head.

    Attributes:
        heads: number of such averages.
    """

    heads: int = 8

    @nn.compact
    def __call__(self, maps):
        """Pools `[batch, height, width, channels]` to float32 `[batch, heads * channels]`."""
        batch, height, width, channels = maps.shape
        maps = maps.astype(jnp.float32).reshape(batch, height * width, channels)
        # No bias: a softmax over positions would not see it.
        weights = nn.softmax(nn.Dense(self.heads, use_bias=False, name="weights")(maps), axis=1)
        return jnp.einsum("bph,bpc->bhc", weights, maps).reshape(batch, self.heads * channels)


def build(*, backbone: str, dtype: Any = jnp.float32, blocks: int | None = None, center: bool = False) -> Scorer:
    """Builds the scorer with the backbone of that name.

    Args:
        backbone: a key of `BACKBONES`.
        dtype: computation dtype of the backbone, float32 or bfloat16. Parameters, pooling, head
            and sigmoid stay float32.
        blocks: keep only the first `blocks` blocks of a backbone in `NUM_BLOCKS`; None keeps all.
        center: see `Scorer`.

    Returns:
        A `Scorer`; its parameters are `{"backbone": ..., "head": ...}`.

    Raises:
        ValueError: unknown backbone, `blocks` out of range, or `blocks` for a backbone that
            cannot be cut.
    """
    if backbone not in BACKBONES:
        names = ", ".join(sorted(BACKBONES))
        raise ValueError(f"backbone={backbone!r} is unknown; choose one of: {names}.")
    if blocks is None:
        return Scorer(backbone=BACKBONES[backbone](dtype=dtype), center=center)
    if backbone not in NUM_BLOCKS:
        names = ", ".join(sorted(NUM_BLOCKS))
        raise ValueError(
            f"blocks={blocks} was given, but backbone={backbone!r} cannot be cut; use blocks=None, or one of: {names}."
        )
    if not 1 <= blocks <= NUM_BLOCKS[backbone]:
        raise ValueError(f"blocks={blocks} is out of range; {backbone} has blocks 1 to {NUM_BLOCKS[backbone]}.")
    return Scorer(backbone=BACKBONES[backbone](dtype=dtype, blocks=blocks), center=center)


def central_half(maps):
    """Cuts `[batch, height, width, channels]` to the central half of height and width, a map of 1 left whole."""
    top, left = maps.shape[1] // 4, maps.shape[2] // 4
    return maps[:, top : maps.shape[1] - top, left : maps.shape[2] - left]


def mean_and_std(maps):
    """Pools `[batch, height, width, channels]` over positions, to float32 `[batch, 2 channels]`."""
    maps = maps.astype(jnp.float32)
    mean = jnp.mean(maps, axis=(1, 2), keepdims=True)
    variance = jnp.mean(jnp.square(maps - mean), axis=(1, 2))
    # The constant keeps the gradient of the square root finite where a map is flat.
    return jnp.concatenate([mean[:, 0, 0], jnp.sqrt(variance + 1e-6)], axis=-1)


BACKBONES = {
    "small": backbones.SmallNet,
    "resnet18": partial(backbones.ResNet, stage_sizes=(2, 2, 2, 2), bottleneck=False),
    "resnet50": partial(backbones.ResNet, stage_sizes=(3, 4, 6, 3), bottleneck=True),
    "efficientnet_lite0": backbones.EfficientNetLite0,
}

# The backbones that `build(blocks=n)` can cut after their n-th block, and how many they have.
NUM_BLOCKS = {"efficientnet_lite0": len(backbones.LITE0_BLOCKS)}


def from_config(config) -> Scorer:
    """Builds the scorer that `config.model` describes (an ml_collections.ConfigDict; blocks=0 keeps all blocks)."""
    if config.dtype not in ("float32", "bfloat16"):
        raise ValueError(f"config.model.dtype={config.dtype!r} must be 'float32' or 'bfloat16'")
    return build(
        backbone=config.backbone, dtype=jnp.dtype(config.dtype), blocks=config.blocks or None, center=config.center
    )


def trainable(config) -> Callable[[Any], Any] | None:
    """Which parameters training may change, where `config.frozen_blocks` leaves some as they are.

    Returns:
        a function from parameters to the same tree of bools, False in the stem and the first `frozen_blocks` blocks;
        None where everything is trained.

    Raises:
        ValueError: a backbone without blocks, or more frozen blocks than there are.
    """
    if not config.frozen_blocks:
        return None
    blocks = NUM_BLOCKS.get(config.backbone, 0)
    if not 0 < config.frozen_blocks <= (min(blocks, config.blocks) if config.blocks else blocks):
        raise ValueError(
            f"config.model.frozen_blocks={config.frozen_blocks} must be from 0 to the number of blocks; only"
            f" {', '.join(sorted(NUM_BLOCKS))} has blocks, and config.model.blocks may keep fewer of them"
        )
    frozen = {"stem", *(f"block{index:02d}" for index in range(config.frozen_blocks))}

    def mask(params):
        return jax.tree_util.tree_map_with_path(
            lambda path, _: not (path[0].key == "backbone" and path[1].key in frozen), params
        )

    return mask
