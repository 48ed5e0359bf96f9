"""Measures how long the training step takes, and the shares spent on augmentation and degradation.

    python -m benchmarks.train_step --config=configs/default.py --config.batch.labeled=32

Prints images per second and milliseconds for the whole step, and for steps in which the degradation, the augmentation,
or both are replaced by the identity. For these, also prints the share of the step that this saves, as median
[quartiles] over the rounds.
"""

import contextlib
import pathlib
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from unittest import mock

import jax
import ml_collections
import numpy as np
from absl import flags

from benchmarks import timing
from blur_jax.data import augmentation, degradations
from blur_jax.data.batches import Batch
from blur_jax.models import network
from blur_jax.runs import config_flag, distributed
from blur_jax.runs.config import uses_unlabeled
from blur_jax.train import optimizer, start
from blur_jax.train import step as train_step

CONFIG = str(pathlib.Path(__file__).resolve().parent.parent / "configs" / "default.py")
WHOLE = "whole step"
# {part: (module, functions to replace with the identity)}
_IDENTITY = {"degradation": (degradations, ("apply",)), "augmentation": (augmentation, ("apply", "add_noise"))}
# {variant: parts to leave out}
VARIANTS = {WHOLE: (), **{f"without {part}": (part,) for part in _IDENTITY}, "without both": tuple(_IDENTITY)}


def make_step(config: ml_collections.ConfigDict, batch: Batch, without: Sequence[str] = ()) -> tuple[Callable, tuple]:
    """Returns the compiled step and its arguments; `without` lists the parts (keys of `_IDENTITY`) to leave out."""
    model, tx = network.from_config(config.model), optimizer.build(config.optimizer, config.steps)
    state = start.initial_state(config, model, tx, None)
    arguments = distributed.replicate(state), distributed.shard(batch)
    step = distributed.pmap(partial(train_step.train_step, model=model, tx=tx, config=config))
    with contextlib.ExitStack() as stack:
        for part in without:
            module, names = _IDENTITY[part]
            for name in names:
                stack.enter_context(mock.patch.object(module, name, lambda draw, image: image))
        jax.block_until_ready(step(*arguments))  # Compiles while the replacements are active.
    return step, arguments


def draw_batch(config: ml_collections.ConfigDict) -> Batch:
    """Draws a batch with the sizes in the config: uint8 noise, labeled as if every right image were blurrier."""
    rng, size = np.random.default_rng(0), config.data.image_size
    labeled, unlabeled = (
        rng.integers(0, 256, (config.batch[part], 2, size, size, 3), np.uint8) for part in ("labeled", "unlabeled")
    )
    return Batch(labeled, np.ones(len(labeled), np.int8), unlabeled if uses_unlabeled(config) else None)


def run(config: ml_collections.ConfigDict, *, repeats: int, cpu: bool = False) -> None:
    """Prints one line per variant; for `repeats` and `cpu`, see `timing.rounds`."""
    batch = draw_batch(config)
    sizes = {"labeled": len(batch.labeled), "unlabeled": 0 if batch.unlabeled is None else len(batch.unlabeled)}
    steps = {name: make_step(config, batch, without) for name, without in VARIANTS.items()}
    calls = {name: partial(step, *arguments) for name, (step, arguments) in steps.items()}
    print(f"{config.model.backbone} {config.model.dtype}, {sizes} pairs of {config.data.image_size} px")
    times, unit = timing.rounds(calls, repeats=repeats, cpu=cpu), "CPU " if cpu else ""
    for name, seconds in times.items():
        median = statistics.median(seconds)
        saved = 100 * (1 - np.divide(seconds, times[WHOLE]))  # Per round, because a machine may slow down for a while.
        share = "" if name == WHOLE else f"  {timing.spread(saved, 1)}% of the step saved"
        images = 2 * sum(sizes.values()) / median
        print(f"{name:<22} {1e3 * median:8.1f} {unit}ms  {images:8.0f} images/{unit}s{share}")


if __name__ == "__main__":
    config_flag.define_config(CONFIG)
    timing.define_rounds(15)
    timing.main(lambda: run(flags.FLAGS.config, repeats=flags.FLAGS.repeats, cpu=flags.FLAGS.cpu))
