"""Backbones in Flax Linen: images [batch, S, S, 3] in [0, 1] -> a list of feature maps.

They are fully convolutional, accept any S >= 32 and process each image separately: they use group normalization per
image, or batch normalization folded into the convolutions. Parameters are float32; computations use `dtype`.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from blur_jax.models import depthwise

# To preserve variance, a convolution needs a gain of 2 before a rectifier and a gain of 1 otherwise.
_RECTIFIED = nn.initializers.variance_scaling(2.0, "fan_in", "truncated_normal")
_LINEAR = nn.initializers.variance_scaling(1.0, "fan_in", "truncated_normal")


def convolve_folded(x: jax.Array, kernel: jax.Array, strides: Any, padding: Any, **options: Any) -> jax.Array:
    """Computes `lax.conv_general_dilated` of [b, h, w, c] and [k, k, c, f], k even, with stride 2 and SAME padding.

    It folds blocks of 2 x 2 pixels into channels and convolves them with stride 1. With few channels, as in an image,
    XLA takes half the time on a CPU.
    """
    x = jnp.pad(x, ((0, 0), *lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], strides, padding), (0, 0)))
    batch, height, width, channels = x.shape
    blocks = x.reshape(batch, height // 2, 2, width // 2, 2, channels).swapaxes(2, 3)
    blocks = blocks.reshape(batch, height // 2, width // 2, 4 * channels)
    half = len(kernel) // 2
    kernel = kernel.reshape(half, 2, half, 2, channels, -1).swapaxes(1, 2).reshape(half, half, 4 * channels, -1)
    return lax.conv_general_dilated(blocks, kernel, (1, 1), "VALID", **options)


class ConvNorm(nn.Module):
    """Convolution without bias, then group normalization (Wu and He, ECCV 2018), per image."""

    features: int
    kernel_size: int
    strides: int = 1
    groups: int = 32
    dtype: Any = jnp.float32
    convolve: Callable | None = None  # Replaces `lax.conv_general_dilated`.

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        conv = nn.Conv(
            self.features,
            (self.kernel_size, self.kernel_size),
            self.strides,
            use_bias=False,
            kernel_init=_RECTIFIED,
            dtype=self.dtype,
            conv_general_dilated=self.convolve,
            name="conv",
        )
        return nn.GroupNorm(self.groups, epsilon=1e-5, dtype=self.dtype, name="norm")(conv(x))


class SmallNet(nn.Module):
    """A small network that trains from scratch in minutes on two CPU cores.

    The stem is a 4x4 convolution with stride 2. Its 16 channels can represent the 2 x 2 x 3 samples of each step, so it
    keeps the finest detail, which shows blur, at a quarter of the cost of full resolution. Normalizing all channels as
    one group removes the image's contrast but keeps the ratio of fine to coarse responses.
    """

    widths: tuple[int, ...] = (16, 32, 64)
    dtype: Any = jnp.float32
    stem_conv: Callable = convolve_folded  # `lax.conv_general_dilated` gives the same result.

    @nn.compact
    def __call__(self, images: jax.Array) -> list[jax.Array]:
        """Returns the feature maps of the stem and of each stage, S / 2, S / 4 and S / 8 pixels wide."""
        conv = partial(ConvNorm, groups=1, dtype=self.dtype)
        x = ((images - 0.5) / 0.25).astype(self.dtype)
        x = nn.relu(conv(self.widths[0], 4, 2, convolve=self.stem_conv, name="stem")(x))
        maps = [x]
        for stage, width in enumerate(self.widths[1:], start=1):
            x = nn.relu(conv(width, 3, 2, name=f"stage{stage}_down")(x))
            x = x + nn.relu(conv(width, 3, name=f"stage{stage}_residual")(x))
            maps.append(x)
        return maps


class ResNet(nn.Module):
    """ResNet (He et al., CVPR 2016) with group normalization; in bottlenecks, the 3x3 convolution has the stride."""

    stage_sizes: tuple[int, ...]
    bottleneck: bool
    dtype: Any = jnp.float32
    max_pool: Callable = partial(nn.max_pool, window_shape=(3, 3), strides=(2, 2), padding="SAME")

    @nn.compact
    def __call__(self, images: jax.Array) -> list[jax.Array]:
        """Returns the feature maps of the stages, S / 4 to S / 32 pixels wide."""
        x = ((images - 0.5) / 0.25).astype(self.dtype)
        x = nn.relu(ConvNorm(64, 7, 2, dtype=self.dtype, name="stem")(x))
        x, maps = self.max_pool(x), []
        for stage, size in enumerate(self.stage_sizes):
            for block in range(size):
                x = ResNetBlock(
                    64 * 2**stage,
                    strides=2 if stage > 0 and block == 0 else 1,
                    bottleneck=self.bottleneck,
                    dtype=self.dtype,
                    name=f"stage{stage}_block{block}",
                )(x)
            maps.append(x)
        return maps


class ResNetBlock(nn.Module):
    """Two 3x3 convolutions, or a bottleneck of 1x1, 3x3 and 1x1, with a shortcut."""

    features: int
    strides: int
    bottleneck: bool
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        conv = partial(ConvNorm, dtype=self.dtype)
        if self.bottleneck:
            y = nn.relu(conv(self.features, 1, name="conv0")(x))
            y = nn.relu(conv(self.features, 3, self.strides, name="conv1")(y))
            y = conv(4 * self.features, 1, name="conv2")(y)
        else:
            y = nn.relu(conv(self.features, 3, self.strides, name="conv0")(x))
            y = conv(self.features, 3, name="conv1")(y)
        if x.shape != y.shape:
            x = conv(y.shape[-1], 1, self.strides, name="shortcut")(x)
        return nn.relu(x + y)


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 (Tan and Le, ICML 2019, Lite variant), without its last 1x1 convolution and classifier.

    Batch norms are folded into convolutions. `pretrained.load` fills in ImageNet weights, which require images
    normalized to (255 x - 127) / 128 and TensorFlow's SAME padding, which is asymmetric at stride 2.
    """

    blocks: int = 16
    dtype: Any = jnp.float32
    depthwise_conv: Callable = depthwise.fastest  # All functions in depthwise.py give the same result.
    # No gradient reaches the stem and this many blocks, so a CPU computes them for a few images at a time.
    frozen_blocks: int = 0

    @nn.compact
    def __call__(self, images: jax.Array) -> list[jax.Array]:
        """Returns the output of each block, S / 2 to S / 32 pixels wide."""
        frozen = 0 if self.is_initializing() else self.frozen_blocks
        if frozen:
            start = self.clone(blocks=frozen, frozen_blocks=0, parent=None)
            maps: Any = _few_at_a_time(partial(start.apply, self.variables), images)
            x = maps[-1] * 8.0  # Exact, as is the division below.
        else:
            x = ((images * 255.0 - 127.0) / 128.0).astype(self.dtype)
            conv = nn.Conv(32, (3, 3), 2, kernel_init=_RECTIFIED, dtype=self.dtype, name="stem")
            x, maps = _relu6(conv(x)), []
        for index, block in enumerate(LITE0_BLOCKS[frozen : self.blocks], start=frozen):
            x = InvertedResidual(*block, self.dtype, self.depthwise_conv, name=f"block{index:02d}")(x)
            # With ImageNet weights, the standard deviations are 3 to 14; small networks' learning rates assume about 1.
            maps.append(x / 8.0)
        return maps


def _few_at_a_time(function: Callable, images: jax.Array) -> Any:
    """Maps images [n, ...] to arrays [n, ...]; on a CPU, two images at a time, whose arrays nearly fit a core's caches.

    A whole batch takes tens of MiB, which the system clears again in each step (docs/performance.md). A gradient
    through the loop takes several times as long.
    """
    few = math.gcd(len(images), 2)

    def in_turn(images: jax.Array) -> Any:
        results = lax.map(function, images.reshape(-1, few, *images.shape[1:]))
        return jax.tree.map(lambda x: x.reshape(len(images), *x.shape[2:]), results)

    return lax.platform_dependent(images, cpu=in_turn, default=function)


# The blocks of EfficientNet-Lite0: (output channels, kernel size, stride, expansion).
LITE0_BLOCKS = (
    (16, 3, 1, 1),
    *[(24, 3, 2, 6), (24, 3, 1, 6)],
    *[(40, 5, 2, 6), (40, 5, 1, 6)],
    *[(80, 3, 2, 6), (80, 3, 1, 6), (80, 3, 1, 6)],
    *[(112, 5, 1, 6), (112, 5, 1, 6), (112, 5, 1, 6)],
    *[(192, 5, 2, 6), (192, 5, 1, 6), (192, 5, 1, 6), (192, 5, 1, 6)],
    (320, 3, 1, 6),
)


class InvertedResidual(nn.Module):
    """A 1x1 expansion (unless the factor is 1), a depthwise convolution, a linear 1x1 projection and a shortcut."""

    features: int
    kernel_size: int
    strides: int
    expansion: int
    dtype: Any
    depthwise_conv: Callable

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        pointwise = partial(nn.Conv, kernel_size=(1, 1), dtype=self.dtype)
        y = x
        if self.expansion > 1:
            expand = pointwise(x.shape[-1] * self.expansion, kernel_init=_RECTIFIED, name="expand")
            y = _relu6(expand(y))
        y = DepthwiseConv(self.kernel_size, self.strides, self.dtype, self.depthwise_conv, name="depthwise")(y)
        y = pointwise(self.features, kernel_init=_LINEAR, name="project")(_relu6(y))
        return x + y if x.shape == y.shape else y


class DepthwiseConv(nn.Module):
    """Depthwise convolution with bias, SAME padding and the same parameters as `nn.Conv`."""

    kernel_size: int
    strides: int
    dtype: Any
    convolve: Callable = depthwise.fastest

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        channels = x.shape[-1]
        shape = (self.kernel_size, self.kernel_size, 1, channels)
        kernel = self.param("kernel", _RECTIFIED, shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (channels,), jnp.float32)
        x, kernel, bias = (array.astype(self.dtype) for array in (x, kernel, bias))
        return self.convolve(x, kernel, strides=self.strides) + bias[None, None, None, :]


def _relu6(x: jax.Array) -> jax.Array:
    return jnp.clip(x, 0.0, 6.0)
