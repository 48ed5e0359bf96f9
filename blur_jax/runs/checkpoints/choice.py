"""Chooses the checkpoint to score with."""

import math
import os

from etils import epath

from blur_jax.runs import run_dir
from blur_jax.runs.checkpoints import shipped, steps
from blur_jax.runs.checkpoints.checkpoint import Checkpoint, naming_others, parse_meta
from blur_jax.runs.checkpoints.steps import CheckpointError
from blur_jax.shipped import is_shipped

ENOUGH_PAIRS = 50  # The minimum number of ordered validation pairs to choose a checkpoint by validation accuracy.


def find(path: str | os.PathLike) -> Checkpoint:
    """Finds the checkpoint to score with: `path` itself, or the run directory's best checkpoint by validation.

    `path` may also be the name of a scorer that comes with the package. If validation has fewer than `ENOUGH_PAIRS`
    pairs, the last validated checkpoint counts as the best. Raises CheckpointError if `path` contains no checkpoint, or
    a record is damaged.
    """
    if is_shipped(path):
        return shipped.find(path)
    path = run_dir.resolve(path)
    if steps.is_step(path):
        return _read(path)
    folders = steps.steps_in(path / steps.FOLDER) or steps.steps_in(path)
    if not folders:
        raise CheckpointError(
            f"{path}: no checkpoint here; pass a run directory (--workdir) or a single checkpoints/<step> folder"
        )
    # In a tie, the later step wins, since it has seen more data.
    return max(map(_read, folders), key=lambda saved: (_rank(saved), saved.step))


def _rank(saved: Checkpoint) -> float:
    if saved.validation_accuracy is None or math.isnan(saved.validation_accuracy):
        return -1.0
    return 0.0 if saved.validation_pairs < ENOUGH_PAIRS else saved.validation_accuracy


def _read(path: epath.Path) -> Checkpoint:
    with naming_others(path):
        return parse_meta(path, steps.read_record(path))
