"""A saved step as scoring sees it, and which one of a run to score with."""

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
from blur_jax.runs import run_dir
from blur_jax.runs.checkpoints.step_folder import (
    FOLDER,
    METRIC,
    CheckpointError,
    is_step,
    read_arrays,
    read_record,
    steps_in,
)

ENOUGH_PAIRS = 50  # Validation pairs with an order below which their accuracy does not choose a checkpoint.


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on disk, its record read and its arrays not yet.

    Attributes:
        path: its folder.
        step: the number of updates behind it.
        config: the config of the run.
        preprocessing: the crop and resize protocol.
        validation_accuracy: of this checkpoint; None where it was not measured.
        validation_pairs: the number of validation pairs with an order.
        calibration: what its scores mean; None where it was not fitted.
        checksums: of its arrays, {item: fingerprint}.
    """

    path: str
    step: int
    config: ml_collections.ConfigDict
    preprocessing: Preprocessing
    validation_accuracy: float | None
    validation_pairs: int
    calibration: Calibration | None
    checksums: dict[str, str]

    def load_params(self, template: Any) -> Any:
        """Reads the parameters to score with (the moving average where the run kept one).

        Args:
            template: a pytree of the same structure with the shapes and dtypes that the network expects.

        Raises:
            CheckpointError: the arrays are damaged or do not fit.
        """
        folder = epath.Path(self.path)
        name = "ema_params" if (folder / "ema_params").is_dir() else "params"
        with _naming_others(folder):
            return read_arrays(folder, self.checksums, {name: template})[name]


def find(path: str | os.PathLike) -> Checkpoint:
    """Finds the checkpoint to score with: `path` itself, or the best by validation of the run directory `path`.

    Where validation has fewer than `ENOUGH_PAIRS` pairs, the last checkpoint that was validated is taken for the best.

    Raises:
        CheckpointError: there is none, or its record is damaged.
    """
    path = run_dir.resolve(path)
    if is_step(path):
        return _read(path)
    steps = steps_in(path / FOLDER) or steps_in(path)
    if not steps:
        raise CheckpointError(
            f"{path}: no checkpoint here; give a run directory (--workdir) or one folder checkpoints/<step>"
        )
    # The later of equals: it has seen more data.
    return max(map(_read, steps), key=lambda saved: (_comparable(saved), saved.step))


def _comparable(saved: Checkpoint) -> float:
    if saved.validation_accuracy is None or math.isnan(saved.validation_accuracy):
        return -1.0
    return 0.0 if saved.validation_pairs < ENOUGH_PAIRS else saved.validation_accuracy


def _read(path: epath.Path) -> Checkpoint:
    with _naming_others(path):
        return parse_meta(path, read_record(path))


def parse_meta(path: str | os.PathLike, meta: Any) -> Checkpoint:
    """Returns what the `meta` record of the checkpoint `path`, a JSON value, says.

    Raises:
        CheckpointError: it is no such record.
    """
    try:
        accuracy, calibration = meta[METRIC], meta["calibration"]
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
    except Exception as error:  # A record that is damaged makes nearly anything raise nearly anything.
        raise CheckpointError(
            f"{path}: not a checkpoint of blur_jax, or a damaged one ({type(error).__name__}: {str(error)[:300]})"
        ) from error


@contextlib.contextmanager
def _naming_others(folder: epath.Path) -> Iterator[None]:
    """Adds to a CheckpointError which other checkpoints of the run there are: which to score with is for people."""
    try:
        yield
    except CheckpointError as error:
        others = [os.fspath(path) for path in steps_in(folder.parent) if path != folder]
        remedy = f"; other checkpoints of the run: {', '.join(others)}" if others else ""
        raise CheckpointError(f"{error}{remedy}") from error


def load_network(saved: Checkpoint) -> tuple[network.Network, network.Params]:
    """Builds the network that a checkpoint's config describes and reads its parameters; returns (network, params)."""
    model = network.from_config(saved.config.model)
    size = saved.preprocessing.image_size
    shapes = jax.eval_shape(model.init, jax.random.key(0), jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32))
    template = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes["params"])
    return model, saved.load_params(template)
