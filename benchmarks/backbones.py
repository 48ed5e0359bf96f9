"""Images per second of every backbone at 64 px, forward, and forward and backward.

Command: PYTHONPATH=. python benchmarks/backbones.py [backbone ...]
A cut EfficientNet-Lite0 is written efficientnet_lite0:11. Times are medians; compare within one
run: "cost" is the time of forward and backward over that of the first line.
"""

import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

from blur_jax import models

BATCH, SIZE, REPEATS = 64, 64, 5
DEFAULT = ["small", "resnet18", "resnet50", "efficientnet_lite0:8", "efficientnet_lite0"]


def images_per_second(function, *args):
    jax.block_until_ready(function(*args))
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        jax.block_until_ready(function(*args))
        times.append(time.perf_counter() - start)
    return BATCH / np.median(times)


def main(names):
    images = jax.random.uniform(jax.random.key(0), (BATCH, SIZE, SIZE, 3))
    print(f"{jax.devices()[0].device_kind}, jax {jax.__version__}, batch {BATCH}, {SIZE} px, float32")
    print("backbone                 parameters  forward/s  forward+backward/s   cost")
    first = None
    for name in names:
        backbone, _, blocks = name.partition(":")
        scorer = models.build(backbone=backbone, blocks=int(blocks) if blocks else None)
        params = jax.jit(scorer.init)(jax.random.key(1), images[:1])
        forward = images_per_second(jax.jit(scorer.apply), params, images)
        loss = jax.grad(lambda p, x, s=scorer: jnp.mean(jnp.square(s.apply(p, x) - 0.3)))
        both = images_per_second(jax.jit(loss), params, images)
        first = first or both
        count = sum(array.size for array in jax.tree.leaves(params))
        print(f"{name:24} {count:10,} {forward:10.0f} {both:19.0f} {first / both:6.1f}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:] or DEFAULT)
