"""Backbones in Flax Linen: images [batch, S, S, 3] in [0, 1] -> a list of feature maps.

They are fully convolutional, for any S >= 32, and treat each image on its own: group normalization per image, or batch
normalization folded into the convolutions. Parameters are float32; computation is in `dtype`.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

# A convolution followed by a rectifier keeps its variance with a gain of 2, a linear one with 1.
_RECTIFIED = nn.initializers.variance_scaling(2.0, "fan_in", "truncated_normal")
_LINEAR = nn.initializers.variance_scaling(1.0, "fan_in", "truncated_normal")


class ConvNorm(nn.Module):
    """Convolution without bias, then group normalization (Wu and He, ECCV 2018), per image."""

    features: int
    kernel_size: int
    strides: int = 1
    groups: int = 32
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps [batch, height, width, channels] to `features` channels."""
        x = nn.Conv(
            self.features,
            (self.kernel_size, self.kernel_size),
            self.strides,
            use_bias=False,
            kernel_init=_RECTIFIED,
            dtype=self.dtype,
            name="conv",
        )(x)
        return nn.GroupNorm(self.groups, epsilon=1e-5, dtype=self.dtype, name="norm")(x)


class SmallNet(nn.Module):
    """A small network that trains from scratch in minutes on two CPU cores.

    The stem is a 4x4 convolution of stride 2 whose 16 channels can hold the 2 x 2 x 3 samples of each step, so the
    finest detail, where blur lives, is folded into channels instead of thrown away, at a quarter of the cost of full
    resolution. A single group per normalization removes the image's contrast and keeps the ratio of fine to coarse
    responses.
    """

    widths: tuple[int, ...] = (16, 32, 64)
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images: jax.Array) -> list[jax.Array]:
        """Returns the maps of the stem and of each stage, S / 2, S / 4 and S / 8 pixels wide."""
        conv = partial(ConvNorm, groups=1, dtype=self.dtype)
        x = ((images - 0.5) / 0.25).astype(self.dtype)
        x = nn.relu(conv(self.widths[0], 4, 2, name="stem")(x))
        maps = [x]
        for stage, width in enumerate(self.widths[1:], start=1):
            x = nn.relu(conv(width, 3, 2, name=f"stage{stage}_down")(x))
            x = x + nn.relu(conv(width, 3, name=f"stage{stage}_residual")(x))
            maps.append(x)
        return maps


class ResNet(nn.Module):
    """ResNet (He et al., CVPR 2016) with group normalization; bottlenecks stride in their 3x3 convolution."""

    stage_sizes: tuple[int, ...]
    bottleneck: bool
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images: jax.Array) -> list[jax.Array]:
        """Returns the maps of the stages, S / 4 to S / 32 pixels wide."""
        x = ((images - 0.5) / 0.25).astype(self.dtype)
        x = nn.relu(ConvNorm(64, 7, 2, dtype=self.dtype, name="stem")(x))
        x = nn.max_pool(x, (3, 3), (2, 2), padding="SAME")
        maps = []
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
    """Two 3x3 convolutions, or a bottleneck of 1x1, 3x3 and 1x1, around a shortcut."""

    features: int
    strides: int
    bottleneck: bool
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps [batch, height, width, channels] to `features` channels, or four times as many of a bottleneck."""
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
    """EfficientNet-Lite0 (Tan and Le, ICML 2019, Lite variant) with its batch norms folded away.

    The original's last 1x1 convolution and classifier are left out. `pretrained.load` fills in ImageNet weights.
    Images are normalized as those weights were trained, to (255 x - 127) / 128, and padding is TensorFlow's SAME,
    asymmetric at stride 2.
    """

    blocks: int = 16
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images: jax.Array) -> list[jax.Array]:
        """Returns the output of each block, S / 2 to S / 32 pixels wide."""
        x = ((images * 255.0 - 127.0) / 128.0).astype(self.dtype)
        conv = nn.Conv(32, (3, 3), 2, kernel_init=_RECTIFIED, dtype=self.dtype, name="stem")
        x = _relu6(conv(x))
        maps = []
        for index, block in enumerate(LITE0_BLOCKS[: self.blocks]):
            x = InvertedResidual(*block, dtype=self.dtype, name=f"block{index:02d}")(x)
            # ImageNet's activations deviate by 3 to 14; brought near one, a head on them bears the
            # learning rates that networks trained from scratch are used to.
            maps.append(x / 8.0)
        return maps


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
    """A 1x1 expansion (unless it is 1), a depthwise convolution and a linear 1x1 projection, around a shortcut."""

    features: int
    kernel_size: int
    strides: int
    expansion: int
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps [batch, height, width, channels] to `features` channels."""
        pointwise = partial(nn.Conv, kernel_size=(1, 1), dtype=self.dtype)
        y = x
        if self.expansion > 1:
            expand = pointwise(x.shape[-1] * self.expansion, kernel_init=_RECTIFIED, name="expand")
            y = _relu6(expand(y))
        y = DepthwiseConv(self.kernel_size, self.strides, self.dtype, name="depthwise")(y)
        y = pointwise(self.features, kernel_init=_LINEAR, name="project")(_relu6(y))
        return x + y if x.shape == y.shape else y


class DepthwiseConv(nn.Module):
    """Depthwise convolution with bias and SAME padding.

    The parameters are those of `nn.Conv(channels, feature_group_count=channels)`. On CPU, where XLA's grouped
    convolution is many times slower (benchmarks/depthwise.py), the result is summed from shifted products.
    """

    kernel_size: int
    strides: int
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps each channel of [batch, height, width, channels] on its own."""
        channels = x.shape[-1]
        shape = (self.kernel_size, self.kernel_size, 1, channels)
        kernel = self.param("kernel", _RECTIFIED, shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (channels,), jnp.float32)
        x, kernel, bias = (array.astype(self.dtype) for array in (x, kernel, bias))
        y = lax.platform_dependent(
            x,
            kernel,
            cpu=partial(depthwise_by_shifts, strides=self.strides),
            default=partial(depthwise_by_convolution, strides=self.strides),
        )
        return y + bias[None, None, None, :]


def depthwise_by_convolution(x: jax.Array, kernel: jax.Array, *, strides: int) -> jax.Array:
    """Convolves [b, h, w, c] depthwise with [k, k, 1, c], with SAME padding, by XLA's own convolution."""
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(strides, strides),
        padding="SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[-1],
    )


def depthwise_by_shifts(x: jax.Array, kernel: jax.Array, *, strides: int) -> jax.Array:
    """Does the same as `depthwise_by_convolution`, as a sum of k x k shifted products."""
    return _by_shifts(x, kernel, strides)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _by_shifts(x: jax.Array, kernel: jax.Array, strides: int) -> jax.Array:
    padded, taps = _pad(x, kernel, strides), kernel[:, :, 0]
    height, width = (-(-length // strides) for length in x.shape[1:3])
    total = 0.0
    for row, column in np.ndindex(*taps.shape[:2]):
        rows = slice(row, row + strides * (height - 1) + 1, strides)
        columns = slice(column, column + strides * (width - 1) + 1, strides)
        total += padded[:, rows, columns] * taps[row, column][None, None, None, :]
    return total


def _pad(x: jax.Array, kernel: jax.Array, strides: int) -> jax.Array:
    return jnp.pad(x, ((0, 0), *_pads(x, kernel, strides), (0, 0)))


def _pads(x: jax.Array, kernel: jax.Array, strides: int) -> Sequence[tuple[int, int]]:
    return lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], (strides, strides), "SAME")


def _by_shifts_forward(x: jax.Array, kernel: jax.Array, strides: int) -> tuple[jax.Array, tuple]:
    return _by_shifts(x, kernel, strides), (x, kernel)


def _by_shifts_backward(strides: int, saved: tuple, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved
    return _gradient_of_x(x, kernel, strides, gradient), _gradient_of_kernel(x, kernel, strides, gradient)


def _gradient_of_x(x: jax.Array, kernel: jax.Array, strides: int, gradient: jax.Array) -> jax.Array:
    """Transposes the convolution: the gradient, spread out by the stride, under the kernel turned by half a circle."""
    size = kernel.shape[:2]
    spread = [
        (length - 1 - before, full + before - 1 - strides * (count - 1), strides - 1)
        for length, (before, _), full, count in zip(
            size, _pads(x, kernel, strides), x.shape[1:3], gradient.shape[1:3], strict=True
        )
    ]
    spread = lax.pad(gradient, jnp.zeros((), gradient.dtype), ((0, 0, 0), *spread, (0, 0, 0)))
    total = 0.0
    for row, column in np.ndindex(*size):
        tap = kernel[size[0] - 1 - row, size[1] - 1 - column, 0]
        total += spread[:, row : row + x.shape[1], column : column + x.shape[2]] * tap[None, None, None, :]
    return total


def _gradient_of_kernel(x: jax.Array, kernel: jax.Array, strides: int, gradient: jax.Array) -> jax.Array:
    """Sums over images and positions, row by row: XLA's own sum over them is 3 to 15 times slower on a CPU."""
    padded = _pad(x, kernel, strides).astype(jnp.float32)
    batch, height, width, channels = gradient.shape
    size = kernel.shape[:2]

    def add_row(index: jax.Array, sums: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        image, row = index // height, index % height
        slope = lax.dynamic_slice(gradient, (image, row, 0, 0), (1, 1, width, channels))[0, 0]
        band = lax.dynamic_slice(padded, (image, row * strides, 0, 0), (1, size[0], *padded.shape[2:]))[0]
        windows = (
            band[row, column : column + strides * (width - 1) + 1 : strides] for row, column in np.ndindex(*size)
        )
        return tuple(total + window * slope for total, window in zip(sums, windows, strict=True))

    zeros = jnp.zeros((width, channels), jnp.float32)
    sums = lax.fori_loop(0, batch * height, add_row, (zeros,) * (size[0] * size[1]))
    return jnp.stack(sums).sum(axis=1).reshape(kernel.shape).astype(kernel.dtype)


_by_shifts.defvjp(_by_shifts_forward, _by_shifts_backward)


def _relu6(x: jax.Array) -> jax.Array:
    return jnp.clip(x, 0.0, 6.0)
