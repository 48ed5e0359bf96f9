"""Loads a saved step for scoring, and chooses which step of a run to score with."""

import contextlib
import dataclasses
import math
import os
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from etils import epath

from blur_jax.data.preprocessing import Preprocessing
from blur_jax.metrics.calibration import Calibration
from blur_jax.models import network
from blur_jax.runs import forks, run_dir
from blur_jax.runs.checkpoints import steps
from blur_jax.runs.checkpoints.steps import CheckpointError

ENOUGH_PAIRS = 50  # The minimum number of ordered validation pairs to choose a checkpoint by validation accuracy.


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """The record of a checkpoint on disk, without its arrays."""

    path: str
    step: int
    config: ml_collections.ConfigDict
    preprocessing: Preprocessing
    validation_accuracy: float | None  # Pairwise, in [0, 1]; None if it was not measured.
    validation_pairs: int  # Number of ordered pairs.
    calibration: Calibration | None  # Defines what the scores mean; None if it was not fitted.
    checksums: dict[str, str]  # {item: fingerprint of its arrays}.

    def load_params(self, template: Any) -> Any:
        """Reads the parameters to score with (the moving average, if the run kept one); may raise CheckpointError.

        `template` is a pytree with the expected structure, shapes and dtypes.
        """
        folder = epath.Path(self.path)
        name = "ema_params" if (folder / "ema_params").is_dir() else "params"
        with _naming_others(folder):
            return steps.read_arrays(folder, self.checksums, {name: template})[name]


def find(path: str | os.PathLike) -> Checkpoint:
    """Finds the checkpoint to score with: `path` itself, or the run directory's best checkpoint by validation.

    If validation has fewer than `ENOUGH_PAIRS` pairs, the last validated checkpoint counts as the best.
    Raises CheckpointError if `path` contains no checkpoint, or a record is damaged.
    """
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
    with _naming_others(path):
        return parse_meta(path, steps.read_record(path))


def parse_meta(path: str | os.PathLike, meta: Any) -> Checkpoint:
    """Parses the `meta` record, a JSON value, of the checkpoint `path`; raises CheckpointError if it is invalid."""
    try:
        accuracy, calibration = meta[steps.METRIC], meta["calibration"]
        return Checkpoint(
            path=os.fspath(path),
            step=int(meta["step"]),
            config=ml_collections.ConfigDict(meta["config"]),
            preprocessing=Preprocessing.from_dict(meta["preprocessing"]),
            validation_accuracy=None if accuracy is None else float(accuracy),
            validation_pairs=int(meta["validation_pairs"]),
            calibration=None if calibration is None else Calibration.from_dict(calibration),
            checksums=dict(meta["checksums"]),
        )
    except Exception as error:  # A damaged record can raise nearly any type.
        raise CheckpointError(
            f"{path}: not a blur_jax checkpoint, or a damaged one ({type(error).__name__}: {str(error)[:300]})"
        ) from error


@contextlib.contextmanager
def _naming_others(folder: epath.Path) -> Iterator[None]:
    """Adds the run's other checkpoints to a CheckpointError, so people can choose one to score with instead."""
    try:
        yield
    except CheckpointError as error:
        others = [os.fspath(path) for path in steps.steps_in(folder.parent) if path != folder]
        remedy = f"; other checkpoints in this run: {', '.join(others)}" if others else ""
        raise CheckpointError(f"{error}{remedy}") from error


def load_network(saved: Checkpoint) -> tuple[network.Network, network.Params]:
    """Builds the network that a checkpoint's config describes and reads its parameters.

    Raises CheckpointError for damaged arrays, and RuntimeError like `forks.check`.
    """
    forks.check()
    model = network.from_config(saved.config.model)
    size = saved.preprocessing.image_size
    shapes = jax.eval_shape(model.init, jax.random.key(0), jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32))
    return model, saved.load_params(jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes["params"]))
