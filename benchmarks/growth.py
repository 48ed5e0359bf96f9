"""How costs grow: those of a step with image size and batch, those of the data with the number of pictures.

    python -m benchmarks.growth --config=configs/default.py --pictures=1000,4000,16000

A step: milliseconds, images per second and memory of all devices, on random images. The data: JPEG files of noise, 160
px wide, in a temporary folder, with pairs of neighbors; seconds of preparing them and of opening them, their size once
prepared, and images per second of the loader's first pass, which decodes them, and of its second.
"""

import itertools
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import ml_collections
import numpy as np
from absl import flags
from ml_collections import config_flags
from PIL import Image

from benchmarks import timing, train_step
from blur_jax.train import config_check, loop
from blur_jax.train import start as run_start
from blur_jax.train.run import images_per_step
from tfds_builders.prepare import prepare_configured, required_parts

_PICTURE = 160  # Side of the pictures in pixels.


def changed(config: ml_collections.ConfigDict, **fields: Any) -> ml_collections.ConfigDict:
    """Returns a copy with other values of fields, whose names have __ for a dot; raises as `check_config`."""
    config = config.copy_and_resolve_references()
    with config.unlocked():
        config.update_from_flattened_dict({name.replace("__", "."): value for name, value in fields.items()})
    config_check.check_config(config)
    return config


def steps(config: ml_collections.ConfigDict, *, sizes: Sequence[int], factors: Sequence[int], repeats: int) -> None:
    """Prints a line for each image size, and one for each batch.

    Args:
        config: of a run.
        sizes: of images, in pixels.
        factors: what the config's batch is multiplied by.
        repeats: rounds.
    """
    batch, size = config.batch, config.data.image_size
    variants = {f"images of {size} px": changed(config, data__image_size=size) for size in sizes}
    for factor in factors:
        labeled, unlabeled = factor * batch.labeled, factor * batch.unlabeled
        name = f"{labeled} + {unlabeled} pairs of {size} px"
        variants[name] = changed(config, batch__labeled=labeled, batch__unlabeled=unlabeled)
    made = {name: train_step.make_step(other, train_step.draw_batch(other)) for name, other in variants.items()}
    calls = {name: partial(step, *arguments) for name, (step, arguments) in made.items()}
    print(f"{config.model.backbone}, {batch.labeled} + {batch.unlabeled} pairs unless the line says otherwise")
    for name, seconds in timing.rounds(calls, repeats=repeats).items():
        step, arguments = made[name]
        rate = timing.spread(images_per_step(variants[name]) / np.asarray(seconds), 0)
        milliseconds = timing.spread(1e3 * np.asarray(seconds), 1)
        print(f"{name:<28} {milliseconds:>24} ms {rate:>24} images/s {_mebibytes(step, arguments):8.0f} MiB")


def _mebibytes(step: Callable, arguments: tuple) -> float:
    memory = step.lower(*arguments).compile().memory_analysis()
    held = memory.argument_size_in_bytes + memory.output_size_in_bytes + memory.temp_size_in_bytes
    return jax.local_device_count() * (held - memory.alias_size_in_bytes) / 2**20


def data(config: ml_collections.ConfigDict, count: int) -> None:
    """Prints a line for a folder of `count` pictures."""
    with tempfile.TemporaryDirectory() as folder:
        pictures, prepared = os.path.join(folder, "pictures"), os.path.join(folder, "prepared")
        _write(pictures, count)
        options = {"data__name": "folder_face_blur", "data__dir": prepared, "data__sources": None}
        config = changed(config, data__manual_dir=pictures, **options)
        start = time.perf_counter()
        prepare_configured(config.data, required_parts(config, "train"))
        ready = time.perf_counter()
        pairs = run_start.open_pairs(config)
        opened = time.perf_counter()
        size = sum(os.path.getsize(os.path.join(root, file)) for root, _, files in os.walk(prepared) for file in files)
        batches = loop.make_batches(config, pairs, 0)
        rates = [_rate(batches, images_per_step(config), count) for _ in range(2)]
    print(
        f"{count:>8,} pictures: prepared in {ready - start:6.1f} s, opened in {opened - ready:5.2f} s,"
        f" {size / 2**20:6.1f} MiB; first pass {rates[0]:7,.0f} images/s, second {rates[1]:7,.0f}",
        flush=True,
    )


def _write(folder: str, count: int) -> None:
    os.makedirs(folder)
    rng = np.random.default_rng(0)
    for index in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (12, 12, 3), np.uint8))
        picture = coarse.resize((_PICTURE, _PICTURE), Image.Resampling.BICUBIC)
        picture.save(os.path.join(folder, f"{index}.jpg"))
    with open(os.path.join(folder, "pairs.csv"), "w", encoding="utf-8") as lines:
        lines.write("left,right,order\n")
        lines.writelines(f"{index}.jpg,{index + 1}.jpg,1\n" for index in range(count - 1))


def _rate(batches: Any, images: int, count: int) -> float:
    number = -(-2 * count // images)  # Each picture is in two labeled pairs, or so.
    start = time.perf_counter()
    for _ in itertools.islice(batches, number):
        pass
    return number * images / (time.perf_counter() - start)


def run(config: ml_collections.ConfigDict, *, pictures: Sequence[int], repeats: int) -> None:
    """Prints all lines, see the module."""
    steps(config, sizes=(32, 64, 128, 256), factors=(2, 4), repeats=repeats)
    for count in pictures:
        data(config, count)


if __name__ == "__main__":
    config_flags.DEFINE_config_file("config", train_step.CONFIG, "Config of the run.", lock_config=True)
    flags.DEFINE_list("pictures", ["1000", "4000", "16000"], "Numbers of pictures.")
    timing.define_repeats(7)
    timing.main(
        lambda: run(flags.FLAGS.config, pictures=[int(n) for n in flags.FLAGS.pictures], repeats=flags.FLAGS.repeats)
    )
