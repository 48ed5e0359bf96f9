"""The scoring network: backbone -> pooled features -> dense -> sigmoid, in Flax Linen.

No layer mixes the images in a batch, so each image's score depends only on that image. To add a backbone, write a
module in backbones.py that has a `dtype` field and maps images to a list of feature maps, and add it to `BACKBONES`.
"""

from collections.abc import Callable
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

    The features are the mean and standard deviation of each of the backbone's feature maps over positions, since blur
    affects the variation of a filter's response more than its mean, and a weighted average of the last map that favors
    informative positions, such as edges rather than cheeks (`AttentionPool`).

    Attributes:
        backbone: maps images to a list of feature maps `[batch, height_i, width_i, channels_i]`.
        pool_center: whether to also pool the central half of each map, which shows the face without the background.
    """

    backbone: nn.Module
    pool_center: bool = False

    def setup(self) -> None:
        self.attention = AttentionPool()
        # A tenth of the usual scale: scores start near 0.5, yet the backbone gets gradients from the first step.
        self.head = nn.Dense(1, kernel_init=nn.initializers.variance_scaling(0.01, "fan_in", "truncated_normal"))

    def features(self, images: jax.Array) -> jax.Array:
        """Returns the head's input, float32 `[batch, features]`; images are as in `__call__`."""
        maps = self.backbone(images)
        pooled = [*maps, *map(central_half, maps)] if self.pool_center else maps
        return jnp.concatenate([*map(mean_and_std, pooled), self.attention(maps[-1])], axis=-1)

    def __call__(self, images: jax.Array) -> jax.Array:
        """Returns scores, float32 `[batch]` in [0, 1], larger = blurrier.

        Images are float `[batch, S, S, 3]`, S >= 32, sRGB in [0, 1]; each backbone normalizes them.
        """
        return nn.sigmoid(self.head(self.features(images))[:, 0])


class AttentionPool(nn.Module):
    """Averages a feature map over positions, once for each head, with weights computed from the map."""

    heads: int = 8

    @nn.compact
    def __call__(self, maps: jax.Array) -> jax.Array:
        """Pools `[batch, height, width, channels]` to float32 `[batch, heads * channels]`."""
        batch, height, width, channels = maps.shape
        maps = maps.astype(jnp.float32).reshape(batch, height * width, channels)
        # No bias: a softmax over positions would cancel it.
        weights = nn.softmax(nn.Dense(self.heads, use_bias=False, name="weights")(maps), axis=1)
        return jnp.einsum("bph,bpc->bhc", weights, maps).reshape(batch, self.heads * channels)


def build(*, backbone: str, dtype: Any = jnp.float32, blocks: int | None = None, pool_center: bool = False) -> Network:
    """Builds the network, whose parameters are `{"backbone": ..., "attention": ..., "head": ...}`.

    `backbone` is a key of `BACKBONES`. Only the backbone computes in `dtype`; the rest uses float32. For a backbone
    in `NUM_BLOCKS`, `blocks` is the number of blocks to keep; None keeps all.

    Raises:
        ValueError: `backbone` is unknown, `blocks` is out of range, or the backbone cannot be truncated.
    """
    if backbone not in BACKBONES:
        raise ValueError(f"backbone={backbone!r} is unknown; choose one of: {', '.join(sorted(BACKBONES))}")
    if blocks is None:
        return Network(backbone=BACKBONES[backbone](dtype=dtype), pool_center=pool_center)
    if backbone not in NUM_BLOCKS:
        names = ", ".join(sorted(NUM_BLOCKS))
        raise ValueError(
            f"blocks={blocks}: backbone={backbone!r} cannot be truncated; use blocks=None or one of: {names}"
        )
    if not 1 <= blocks <= NUM_BLOCKS[backbone]:
        raise ValueError(f"blocks={blocks} is out of range; {backbone} has blocks 1 to {NUM_BLOCKS[backbone]}")
    return Network(backbone=BACKBONES[backbone](dtype=dtype, blocks=blocks), pool_center=pool_center)


def central_half(maps: jax.Array) -> jax.Array:
    """Crops `[batch, height, width, channels]` to the central half in both directions; keeps a one-pixel map."""
    top, left = maps.shape[1] // 4, maps.shape[2] // 4
    return maps[:, top : maps.shape[1] - top, left : maps.shape[2] - left]


def mean_and_std(maps: jax.Array) -> jax.Array:
    """Pools `[batch, height, width, channels]` over positions to float32 `[batch, 2 * channels]`."""
    maps = maps.astype(jnp.float32)
    mean = jnp.mean(maps, axis=(1, 2), keepdims=True)
    variance = jnp.mean(jnp.square(maps - mean), axis=(1, 2))
    # The constant keeps the gradient of the square root finite for flat maps.
    return jnp.concatenate([mean[:, 0, 0], jnp.sqrt(variance + 1e-6)], axis=-1)


BACKBONES: dict[str, Callable[..., nn.Module]] = {
    "small": backbones.SmallNet,
    "resnet18": partial(backbones.ResNet, stage_sizes=(2, 2, 2, 2), bottleneck=False),
    "resnet50": partial(backbones.ResNet, stage_sizes=(3, 4, 6, 3), bottleneck=True),
    "efficientnet_lite0": backbones.EfficientNetLite0,
}

# {backbone that `build(blocks=n)` can truncate after its n-th block: its number of blocks}.
NUM_BLOCKS = {"efficientnet_lite0": len(backbones.LITE0_BLOCKS)}


def from_config(config: ml_collections.ConfigDict) -> Network:
    """Builds the network that a run's `config.model` describes; raises ValueError for an invalid field."""
    if config.dtype not in ("float32", "bfloat16"):
        raise ValueError(f"config.model.dtype={config.dtype!r} must be 'float32' or 'bfloat16'")
    blocks = NUM_BLOCKS.get(config.backbone, 0)
    if not 0 <= config.frozen_blocks <= (min(blocks, config.blocks) if config.blocks else blocks):
        raise ValueError(
            f"config.model.frozen_blocks={config.frozen_blocks} must be between 0 and the number of blocks in use; only"
            f" {', '.join(sorted(NUM_BLOCKS))} has blocks, and config.model.blocks limits how many are used"
        )
    return build(
        backbone=config.backbone, dtype=jnp.dtype(config.dtype), blocks=config.blocks, pool_center=config.pool_center
    )


def partition(params: Params, frozen_blocks: int) -> tuple[Params, Params]:
    """Splits parameters into (trained, frozen): the stem and `frozen_blocks` blocks are frozen; 0 freezes nothing."""
    names = {"stem", *(f"block{index:02d}" for index in range(frozen_blocks))} if frozen_blocks else set()
    parts = {}, {}
    for path, value in traverse_util.flatten_dict(params).items():
        parts[path[0] == "backbone" and path[1] in names][path] = value
    trained, frozen = map(traverse_util.unflatten_dict, parts)
    return trained, frozen


def with_frozen(model: Network, frozen_blocks: int) -> Network:
    """Returns the network for computing gradients of only the trained part of `partition`; scores are the same."""
    return model.clone(backbone=model.backbone.clone(frozen_blocks=frozen_blocks)) if frozen_blocks else model


def merge(trained: Params, frozen: Params) -> Params:
    """Reverses `partition`."""
    return traverse_util.unflatten_dict(traverse_util.flatten_dict(trained) | traverse_util.flatten_dict(frozen))
