"""Runs, pictures and the scoring command, for the tests of it."""

import csv
import json
import os

import jax
import numpy as np
from PIL import Image

from blur_jax.data.preprocessing import Preprocessing
from blur_jax.metrics import calibration
from blur_jax.models import network
from blur_jax.runs import checkpoints
from blur_jax.score import __main__ as score
from blur_jax.score import journal
from blur_jax.train import optimizer, start
from configs import default

SIDE = 32


def make_run(folder, **data):
    """Makes a run directory with an untrained network, whose scores differ from picture to picture."""
    config = default.get_config()
    config.data.update(image_size=SIDE, **data)
    config.probe.strength = None
    model, tx = network.from_config(config.model), optimizer.build(config.optimizer, config.steps)
    state = jax.device_get(start.initial_state(config, model, tx, None))
    quantiles = tuple(np.linspace(0, 1, calibration.PERCENTILES).tolist())
    saver = checkpoints.CheckpointWriter(str(folder), keep=1)
    saver.save(
        7,
        state.arrays(),
        config=json.loads(config.to_json()),
        preprocessing=Preprocessing(image_size=SIDE),
        validation_accuracy=0.9,
        validation_pairs=60,
        calibration=calibration.Calibration("a test", quantiles, scale=1.0),
    )
    saver.close()
    return folder


def make_photos(folder):
    """Makes 20 pictures, 00.png to 19.png, each of other noise."""
    folder.mkdir()
    for index in range(20):
        pixels = np.random.default_rng(index).integers(0, 10 * index + 20, (40, 48, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{index:02}.png")
    return folder


def interrupt_at(patch, stage):
    """Interrupts the command as Ctrl-C does: at the third batch of "scoring", or where `session` calls `stage`."""

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    if stage != "scoring":
        patch.setattr(f"blur_jax.score.session.{stage}", interrupt)
        return
    calls, append = [], journal.Journal.append

    def third(self, rows):
        calls.append(1)
        interrupt() if len(calls) == 3 else append(self, rows)

    patch.setattr(journal.Journal, "append", third)


def command(run, *arguments, output="scores.csv"):
    return score.main([f"--checkpoint={run}", f"--output={output}", *map(str, arguments)])


def read(path="scores.csv"):
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        return list(csv.DictReader(file))


def blur_of(path="scores.csv"):
    return {os.path.basename(row["name"]): float(row["blur"]) for row in read(path) if row["blur"]}


def open_text(path):
    with open(path, encoding="utf-8") as file:
        return file.read()
