"""The record of a saved step, and the network that it describes."""

import contextlib
import dataclasses
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
from blur_jax.runs import forks
from blur_jax.runs.checkpoints import steps
from blur_jax.runs.checkpoints.steps import CheckpointError


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
        with naming_others(folder):
            return steps.read_arrays(folder, self.checksums, {name: template})[name]


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
def naming_others(folder: epath.Path) -> Iterator[None]:
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
