"""Images per second of every backbone, forward, and forward and backward.

    python -m benchmarks.backbones --backbones=small,efficientnet_lite0:11

A cut EfficientNet-Lite0 is written efficientnet_lite0:11. "cost" is the time of forward and backward over that of the
first backbone.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from absl import flags

from benchmarks import timing
from blur_jax.models import network

DEFAULT = ("small", "resnet18", "resnet50", "efficientnet_lite0:8", "efficientnet_lite0")


def _calls(model: nn.Module, params: network.Params, images: jax.Array) -> dict[str, Callable]:
    def loss(params: network.Params) -> jax.Array:
        return jnp.mean(jnp.square(model.apply(params, images) - 0.3))

    forward, both = jax.jit(lambda params: model.apply(params, images)), jax.jit(jax.grad(loss))
    return {"forward": lambda: forward(params), "both": lambda: both(params)}


def run(backbones: list[str], *, batch: int, size: int, repeats: int) -> None:
    """Prints a line for each backbone.

    Args:
        backbones: names, each with ":blocks" where it is cut.
        batch: number of images.
        size: their side in pixels.
        repeats: rounds.
    """
    images = jax.random.uniform(jax.random.key(0), (batch, size, size, 3))
    print(f"batch {batch}, {size} px, float32")
    print("backbone                 parameters  forward/s  forward+backward/s   cost")
    calls, counts = {}, {}
    for name in backbones:
        backbone, _, blocks = name.partition(":")
        model = network.build(backbone=backbone, blocks=int(blocks) if blocks else None)
        params = jax.jit(model.init)(jax.random.key(1), images[:1])
        counts[name] = sum(array.size for array in jax.tree.leaves(params))
        calls |= {(name, kind): call for kind, call in _calls(model, params, images).items()}
    seconds = timing.seconds(calls, repeats=repeats)
    for name, count in counts.items():
        forward, both = batch / seconds[name, "forward"], batch / seconds[name, "both"]
        cost = seconds[name, "both"] / seconds[backbones[0], "both"]
        print(f"{name:24} {count:10,} {forward:10.0f} {both:19.0f} {cost:6.1f}")


if __name__ == "__main__":
    flags.DEFINE_list("backbones", list(DEFAULT), "Backbones to time.")
    flags.DEFINE_integer("batch", 64, "Images in a batch.", lower_bound=1)
    flags.DEFINE_integer("size", 64, "Side of the images in pixels.", lower_bound=32)
    timing.define_repeats(5)
    options = flags.FLAGS
    timing.main(lambda: run(options.backbones, batch=options.batch, size=options.size, repeats=options.repeats))
