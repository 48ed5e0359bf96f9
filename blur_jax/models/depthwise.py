"""Two equivalent depthwise convolutions of [b, h, w, c] with [k, k, 1, c], with SAME padding.

XLA's grouped convolution is fast on GPUs and TPUs and in other runtimes. On a CPU, XLA computes a sum of shifted
products many times faster (measured with benchmarks/depthwise.py at commit 1a7d073).
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


def fastest(x: jax.Array, kernel: jax.Array, *, strides: int) -> jax.Array:
    """Convolves with the implementation that is faster on the target device."""
    return lax.platform_dependent(
        x, kernel, cpu=partial(by_shifts, strides=strides), default=partial(by_convolution, strides=strides)
    )


def by_convolution(x: jax.Array, kernel: jax.Array, *, strides: int) -> jax.Array:
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(strides, strides),
        padding="SAME",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[-1],
    )


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def by_shifts(x: jax.Array, kernel: jax.Array, strides: int) -> jax.Array:
    """Sums k x k shifted products."""
    padded, taps = _pad(x, kernel, strides), kernel[:, :, 0]
    height, width = (-(-length // strides) for length in x.shape[1:3])
    total: Any = 0.0
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
    return by_shifts(x, kernel, strides), (x, kernel)


def _by_shifts_backward(strides: int, saved: tuple, gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = saved
    return _gradient_of_x(x, kernel, strides, gradient), _gradient_of_kernel(x, kernel, strides, gradient)


def _gradient_of_x(x: jax.Array, kernel: jax.Array, strides: int, gradient: jax.Array) -> jax.Array:
    """Transposes the convolution: spreads the gradient by the stride and applies the kernel rotated by 180 degrees."""
    size = kernel.shape[:2]
    spread = [
        (length - 1 - before, full + before - 1 - strides * (count - 1), strides - 1)
        for length, (before, _), full, count in zip(
            size, _pads(x, kernel, strides), x.shape[1:3], gradient.shape[1:3], strict=True
        )
    ]
    spread = lax.pad(gradient, jnp.zeros((), gradient.dtype), ((0, 0, 0), *spread, (0, 0, 0)))
    total: Any = 0.0
    for row, column in np.ndindex(*size):
        tap = kernel[size[0] - 1 - row, size[1] - 1 - column, 0]
        total += spread[:, row : row + x.shape[1], column : column + x.shape[2]] * tap[None, None, None, :]
    return total


def _gradient_of_kernel(x: jax.Array, kernel: jax.Array, strides: int, gradient: jax.Array) -> jax.Array:
    """Sums over images and positions, row by row, since XLA's own sum is 3 to 15 times slower on a CPU."""
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


by_shifts.defvjp(_by_shifts_forward, _by_shifts_backward)
