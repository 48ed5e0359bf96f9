"""The network that scores: backbone -> pooled features -> dense -> sigmoid, in Flax Linen.

Nothing here looks across a batch (no batch normalization, no running statistics), so an image's score depends on that
image alone. To add a backbone, add a module to backbones.py, with a field `dtype` and from images to a list of
feature maps, and a line to `BACKBONES`.
"""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_collections
from flax import traverse_util

from blur_jax.models import backbones

Params = dict[str, Any]


class Network(nn.Module):
    """Scores how blurred each image is.

    The features are the mean and the standard deviation over positions of every feature map that
    the backbone returns, since blur shows more in how strongly a filter's response varies over an
    image than in its mean; and what the last map holds where the picture tells most about its blur,
    an edge rather than a cheek (`AttentionPool`).

    Attributes:
        backbone: maps images to a list of feature maps `[batch, height_i, width_i, channels_i]`.
        pool_center: also take mean and standard deviation over the central half of each map, both ways:
            the face without what is behind it, however sharp that is.
    """

    backbone: nn.Module
    pool_center: bool = False

    def setup(self) -> None:
        """Creates the pooling and the head."""
        self.attention = AttentionPool()
        # A tenth of the usual scale: scores start near 0.5, and still the backbone gets gradients
        # from the first step on, which a head of zeros would deny it.
        self.head = nn.Dense(1, kernel_init=nn.initializers.variance_scaling(0.01, "fan_in", "truncated_normal"))

    def features(self, images: jax.Array) -> jax.Array:
        """Returns what the head sees of images as `__call__` takes them: float32 `[batch, features]`."""
        maps = self.backbone(images)
        pooled = [*maps, *map(central_half, maps)] if self.pool_center else maps
        return jnp.concatenate([*map(mean_and_std, pooled), self.attention(maps[-1])], axis=-1)

    def __call__(self, images: jax.Array) -> jax.Array:
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
    def __call__(self, maps: jax.Array) -> jax.Array:
        """Pools `[batch, height, width, channels]` to float32 `[batch, heads * channels]`."""
        batch, height, width, channels = maps.shape
        maps = maps.astype(jnp.float32).reshape(batch, height * width, channels)
        # No bias: a softmax over positions would not see it.
        weights = nn.softmax(nn.Dense(self.heads, use_bias=False, name="weights")(maps), axis=1)
        return jnp.einsum("bph,bpc->bhc", weights, maps).reshape(batch, self.heads * channels)


def build(*, backbone: str, dtype: Any = jnp.float32, blocks: int | None = None, pool_center: bool = False) -> Network:
    """Builds the network with the backbone of that name.

    Args:
        backbone: a key of `BACKBONES`.
        dtype: computation dtype of the backbone, float32 or bfloat16. Parameters, pooling, head
            and sigmoid stay float32.
        blocks: keep only the first `blocks` blocks of a backbone in `NUM_BLOCKS`; None keeps all.
        pool_center: see `Network`.

    Returns:
        A `Network`; its parameters are `{"backbone": ..., "attention": ..., "head": ...}`.

    Raises:
        ValueError: unknown backbone, `blocks` out of range, or `blocks` for a backbone that
            cannot be cut.
    """
    if backbone not in BACKBONES:
        names = ", ".join(sorted(BACKBONES))
        raise ValueError(f"backbone={backbone!r} is unknown; choose one of: {names}.")
    if blocks is None:
        return Network(backbone=BACKBONES[backbone](dtype=dtype), pool_center=pool_center)
    if backbone not in NUM_BLOCKS:
        names = ", ".join(sorted(NUM_BLOCKS))
        raise ValueError(
            f"blocks={blocks} was given, but backbone={backbone!r} cannot be cut; use blocks=None, or one of: {names}."
        )
    if not 1 <= blocks <= NUM_BLOCKS[backbone]:
        raise ValueError(f"blocks={blocks} is out of range; {backbone} has blocks 1 to {NUM_BLOCKS[backbone]}.")
    return Network(backbone=BACKBONES[backbone](dtype=dtype, blocks=blocks), pool_center=pool_center)


def central_half(maps: jax.Array) -> jax.Array:
    """Cuts `[batch, height, width, channels]` to the central half of height and width, a map of 1 left whole."""
    top, left = maps.shape[1] // 4, maps.shape[2] // 4
    return maps[:, top : maps.shape[1] - top, left : maps.shape[2] - left]


def mean_and_std(maps: jax.Array) -> jax.Array:
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


def from_config(config: ml_collections.ConfigDict) -> Network:
    """Builds the network that `config`, a run's `config.model`, describes.

    Raises:
        ValueError: a field has a value that cannot work.
    """
    if config.dtype not in ("float32", "bfloat16"):
        raise ValueError(f"config.model.dtype={config.dtype!r} must be 'float32' or 'bfloat16'")
    blocks = NUM_BLOCKS.get(config.backbone, 0)
    if not 0 <= config.frozen_blocks <= (min(blocks, config.blocks) if config.blocks else blocks):
        raise ValueError(
            f"config.model.frozen_blocks={config.frozen_blocks} must be from 0 to the number of blocks; only"
            f" {', '.join(sorted(NUM_BLOCKS))} has blocks, and config.model.blocks may keep fewer of them"
        )
    dtype = jnp.dtype(config.dtype)
    return build(backbone=config.backbone, dtype=dtype, blocks=config.blocks, pool_center=config.pool_center)


def partition(params: Params, frozen_blocks: int) -> tuple[Params, Params]:
    """Splits parameters into (trained, frozen): what training may change, and what stays as it is.

    Args:
        params: of a `Network`.
        frozen_blocks: `config.model.frozen_blocks`; the stem and so many blocks are frozen, 0 freezes nothing.
    """
    names = {"stem", *(f"block{index:02d}" for index in range(frozen_blocks))} if frozen_blocks else set()
    parts = {}, {}
    for path, value in traverse_util.flatten_dict(params).items():
        parts[path[0] == "backbone" and path[1] in names][path] = value
    trained, frozen = map(traverse_util.unflatten_dict, parts)
    return trained, frozen


def merge(trained: Params, frozen: Params) -> Params:
    """Puts together again what `partition` split."""
    flat = traverse_util.flatten_dict(trained) | traverse_util.flatten_dict(frozen)
    return traverse_util.unflatten_dict(flat)
