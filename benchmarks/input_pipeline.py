"""How fast training's batches come, beside decoding alone, and how long the device waits for them.

    python -m benchmarks.input_pipeline --config=configs/default.py

The config's data must be prepared: `python launch.py --mode=dry_run` with the same flags does that. Prints images per
second of decoding alone, one image after the other in as many threads as there are cores; of the loader when each image
is decoded again, and when all are kept (`config.data.cache_mb`); and milliseconds of the step on a batch that is there
already, and of the step and its batch, as in training. What the latter takes longer is what the device waits.
"""

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import ml_collections
import numpy as np
from absl import flags
from ml_collections import config_flags

from benchmarks import timing, train_step
from blur_jax.runs import distributed
from blur_jax.score.pipeline import available_cores
from blur_jax.train import loop, start
from blur_jax.train.run import images_per_step

_BATCHES = 20  # Of the loader, in a round; Grain reads eight ahead.
_STEPS = 10  # In a round.


def run(config: ml_collections.ConfigDict, *, repeats: int) -> None:
    """Prints a line for each measurement.

    Args:
        config: of a run; its data must be prepared.
        repeats: rounds.
    """
    images = images_per_step(config)
    calls = {
        "decoding alone": (_decoding(config, _BATCHES * images), _BATCHES * images),
        "loader, each image decoded": (_loader(config, keep=False), _BATCHES * images),
        "loader, images kept": (_loader(config, keep=True), _BATCHES * images),
    }
    print(f"{images} images of {config.data.image_size} px in a batch; median [quartiles] of {repeats} rounds")
    times = timing.rounds({name: call for name, (call, _) in calls.items()}, repeats=repeats)
    for name, (_, count) in calls.items():
        print(f"{name:<30} {timing.spread(count / np.asarray(times[name]), 0)} images/s")
    times = timing.rounds(_steps(config), repeats=repeats)
    for name, seconds in times.items():
        print(f"{name:<30} {timing.spread(1e3 * np.asarray(seconds) / _STEPS, 1)} ms")
    alone, fed = (np.asarray(seconds) for seconds in times.values())
    print(f"{'share that the device waits':<30} {timing.spread(100 * (1 - alone / fed), 1)} %")


def _open(config: ml_collections.ConfigDict, *, keep: bool) -> start.Pairs:
    config = config.copy_and_resolve_references()
    with config.unlocked():
        config.data.cache_mb = config.data.cache_mb if keep else 0
    return start.open_pairs(config)


def _decoding(config: ml_collections.ConfigDict, count: int) -> Callable[[], object]:
    labeled = _open(config, keep=False).labeled
    rows = list(itertools.islice(itertools.cycle(labeled.rows.ravel().tolist()), count))
    pool = ThreadPoolExecutor(available_cores())
    return lambda: list(pool.map(labeled.faces.images.__getitem__, rows))


def _loader(config: ml_collections.ConfigDict, *, keep: bool) -> Callable[[], object]:
    pairs = _open(config, keep=keep)
    if keep:
        for split in (pairs.labeled, pairs.unlabeled):
            if split:
                split.faces.stack(np.unique(split.rows))
    batches = loop.make_batches(config, pairs, 0)
    return lambda: list(itertools.islice(batches, _BATCHES))


def _steps(config: ml_collections.ConfigDict) -> dict[str, Callable[[], object]]:
    batches = loop.make_batches(config, _open(config, keep=True), 0)
    step, (state, batch) = train_step.make_step(config, next(batches))

    def alone() -> object:
        return [step(state, batch) for _ in range(_STEPS)][-1]

    def fed() -> object:
        return [step(state, distributed.shard(next(batches))) for _ in range(_STEPS)][-1]

    return {"step": alone, "step and its batch": fed}


if __name__ == "__main__":
    config_flags.DEFINE_config_file("config", train_step.CONFIG, "Config of the run.", lock_config=True)
    timing.define_repeats(9)
    timing.main(lambda: run(flags.FLAGS.config, repeats=flags.FLAGS.repeats))
