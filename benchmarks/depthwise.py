"""Depthwise convolution: XLA's grouped convolution against a sum of shifted products.

Command: PYTHONPATH=. python benchmarks/depthwise.py
Backs the choice in blur_jax/backbones.py. Times are medians of interleaved runs of one process; the
ratio is what counts.
"""

import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from blur_jax import backbones

# (batch, side, channels, kernel size, strides), as EfficientNet-Lite0 meets them at 64 px.
CASES = [(16, 32, 32, 3, 1), (16, 32, 96, 3, 2), (16, 16, 144, 5, 2), (16, 4, 672, 5, 1)]
REPEATS = 7


def seconds(functions, *args):
    """Median seconds of each function, the functions taking turns."""
    for function in functions:
        jax.block_until_ready(function(*args))
    times = np.zeros((REPEATS, len(functions)))
    for repeat in range(REPEATS):
        for index, function in enumerate(functions):
            start = time.perf_counter()
            jax.block_until_ready(function(*args))
            times[repeat, index] = time.perf_counter() - start
    return np.median(times, axis=0)


def main():
    print(f"{jax.devices()[0].device_kind}, jax {jax.__version__}")
    print("batch side channels kernel stride |  forward: conv ms shifts ms ratio | forward+backward")
    for batch, side, channels, size, strides in CASES:
        keys = jax.random.split(jax.random.key(0))
        x = jax.random.normal(keys[0], (batch, side, side, channels))
        kernel = jax.random.normal(keys[1], (size, size, 1, channels))
        cells = []
        for with_gradient in (False, True):
            functions = []
            for depthwise in (backbones.depthwise_by_convolution, backbones.depthwise_by_shifts):
                run = partial(depthwise, strides=strides)
                if with_gradient:
                    run = jax.grad(lambda x, k, run=run: jnp.sum(jnp.square(run(x, k))), (0, 1))
                functions.append(jax.jit(run))
            direct, shifted = seconds(functions, x, kernel) * 1e3
            cells.append(f"{direct:8.2f} {shifted:8.2f} {direct / shifted:6.1f}")
        print(
            f"{batch:5} {side:4} {channels:8} {size:6} {strides:6} | {' | '.join(cells)}",
            flush=True,
        )


if __name__ == "__main__":
    main()
