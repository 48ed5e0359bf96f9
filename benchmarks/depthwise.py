"""Depthwise convolution: XLA's grouped convolution against a sum of shifted products.

    python -m benchmarks.depthwise

Backs the choice in blur_jax/models/depthwise.py; the ratio is what counts.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from absl import flags

from benchmarks import timing
from blur_jax.models import depthwise

# (batch, side, channels, kernel size, strides), as EfficientNet-Lite0 meets them at 64 px.
CASES = [(16, 32, 32, 3, 1), (16, 32, 96, 3, 2), (16, 16, 144, 5, 2), (16, 4, 672, 5, 1)]


def _call(convolve: Callable, x: jax.Array, kernel: jax.Array, *, strides: int, with_gradient: bool) -> Callable:
    function = partial(convolve, strides=strides)
    if with_gradient:
        run = jax.jit(jax.grad(lambda x, kernel: jnp.sum(jnp.square(function(x, kernel))), (0, 1)))
    else:
        run = jax.jit(function)
    return lambda: run(x, kernel)


def run(*, repeats: int) -> None:
    """Prints a line for each case."""
    print("batch side channels kernel stride |  forward: conv ms shifts ms ratio | forward+backward")
    for batch, side, channels, size, strides in CASES:
        keys = jax.random.split(jax.random.key(0))
        x = jax.random.normal(keys[0], (batch, side, side, channels))
        kernel = jax.random.normal(keys[1], (size, size, 1, channels))
        cells = []
        for with_gradient in (False, True):
            ways = {"conv": depthwise.by_convolution, "shifts": depthwise.by_shifts}
            calls = {
                name: _call(way, x, kernel, strides=strides, with_gradient=with_gradient) for name, way in ways.items()
            }
            conv, shifts = timing.seconds(calls, repeats=repeats).values()
            cells.append(f"{1e3 * conv:8.2f} {1e3 * shifts:8.2f} {conv / shifts:6.1f}")
        print(f"{batch:5} {side:4} {channels:8} {size:6} {strides:6} | {' | '.join(cells)}", flush=True)


if __name__ == "__main__":
    timing.define_repeats(7)
    timing.main(lambda: run(repeats=flags.FLAGS.repeats))
