"""Saving, resuming and loading of runs on any topology: the only file that knows Orbax.

A run directory holds `checkpoints/<step>/`, each with the parameters, the optimizer's state and a `meta` record
(step, config, preprocessing, validation, calibration), so that one checkpoint is all that scoring needs. Arrays are
saved as plain host arrays: a checkpoint says nothing of the devices that wrote it.
"""

import dataclasses
import hashlib
import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import ml_collections
import numpy as np
import orbax.checkpoint as ocp
from etils import epath

from blur_jax import legacy, run_dir, train_state
from blur_jax.calibration import Calibration
from blur_jax.preprocessing import Preprocessing
from blur_jax.train_state import TrainState

_FOLDER = "checkpoints"
_METRIC = "validation_accuracy"
ENOUGH_PAIRS = 50  # Validation pairs with an order below which their accuracy does not choose a checkpoint.


class CheckpointError(ValueError):
    """A checkpoint that is missing, damaged or of another kind; the message says what to do."""


class Checkpoints:
    """The checkpoints of one run: written in the background, each whole or not at all, newest and best kept."""

    def __init__(self, workdir: str | os.PathLike, *, keep: int) -> None:
        """Opens, and creates where needed, the checkpoints below `workdir`.

        Args:
            workdir: the run directory.
            keep: how many of the newest to keep; the best by validation accuracy is kept beside them.
        """
        policy = ocp.checkpoint_managers.AnyPreservationPolicy(
            [
                ocp.checkpoint_managers.LatestN(keep),
                ocp.checkpoint_managers.BestN(
                    get_metric_fn=lambda metrics: metrics[_METRIC], n=1, keep_checkpoints_without_metrics=False
                ),
            ]
        )
        options = ocp.CheckpointManagerOptions(
            best_fn=lambda metrics: metrics[_METRIC],
            preservation_policy=policy,
            cleanup_tmp_directories=True,
        )
        self._manager = ocp.CheckpointManager(run_dir.resolve(workdir) / _FOLDER, options=options)

    @property
    def latest_step(self) -> int | None:
        """The newest step saved; None before the first."""
        return self._manager.latest_step()

    def save(
        self,
        state: TrainState,
        *,
        config: dict[str, Any],
        preprocessing: Preprocessing,
        validation_accuracy: float | None,
        validation_pairs: int | None = None,
        calibration: Calibration | None = None,
        unlogged: Sequence[Mapping[str, float]] = (),
    ) -> None:
        """Starts to save a state and returns; the arrays have been copied by then, so the state may be donated.

        Args:
            state: NumPy arrays.
            config: the run's config, JSON-serializable.
            preprocessing: what scoring must do to a new picture.
            validation_accuracy: pairwise accuracy on the validation split; None where it was not measured.
            validation_pairs: the number of pairs it was measured on; None where it is not known.
            calibration: what the scores of this state mean; None where it was not fitted.
            unlogged: metrics of the last steps, which are in no row of the history yet.

        Raises:
            FloatingPointError: the state holds a number that is not finite; nothing is saved.
        """
        train_state.check_finite(state)
        step = int(state.step)
        meta = {"step": step, "config": config, "preprocessing": preprocessing.to_dict(), _METRIC: validation_accuracy}
        meta["validation_pairs"] = validation_pairs
        meta["calibration"] = None if calibration is None else calibration.to_dict()
        meta["unlogged"] = list(unlogged)
        arrays = {name: ocp.args.StandardSave(item) for name, item in _items(state).items()}
        metrics = None if validation_accuracy is None else {_METRIC: validation_accuracy}
        self._manager.save(step, args=ocp.args.Composite(meta=ocp.args.JsonSave(meta), **arrays), metrics=metrics)

    def restore(self, template: TrainState) -> TrainState:
        """Restores the newest state.

        Args:
            template: a state of the wanted structure and shapes, NumPy arrays.

        Raises:
            CheckpointError: it is damaged, or does not fit the template.
        """
        step = self._manager.latest_step()
        items = _items(template)
        wanted = {name: ocp.args.StandardRestore(item) for name, item in items.items()}
        folder = f"{self._manager.directory}/{step}"
        restored = _guarded(folder, lambda: self._manager.restore(step, args=ocp.args.Composite(**wanted)))
        _check_shapes(folder, items, {name: restored[name] for name in items})
        return template.replace(step=np.int32(step), **{name: restored[name] for name in items})

    def latest_unlogged(self) -> list[dict[str, float]]:
        """Returns what was saved as `unlogged` with the newest state; checkpoints of older versions have none."""
        folder = self._manager.directory / str(self._manager.latest_step())
        return _read_json(folder).get("unlogged", [])

    def wait(self) -> None:
        """Waits until everything has been written."""
        self._manager.wait_until_finished()

    def close(self) -> None:
        """Waits until everything has been written."""
        self.wait()
        self._manager.close()


@dataclasses.dataclass(frozen=True)
class Saved:
    """A checkpoint on disk, its record read and its arrays not yet.

    Attributes:
        path: its folder.
        step: the number of updates behind it.
        config: the config of the run, in today's fields.
        preprocessing: the crop and resize protocol.
        validation_accuracy: of this checkpoint; None where it was not measured.
        validation_pairs: the number of pairs it was measured on; None where it is not known, as in older versions.
        calibration: what its scores mean; None where it was not fitted, as in older versions.
    """

    path: str
    step: int
    config: ml_collections.ConfigDict
    preprocessing: Preprocessing
    validation_accuracy: float | None
    validation_pairs: int | None
    calibration: Calibration | None

    def load_params(self, template: Any) -> Any:
        """Reads the parameters to score with (the moving average where the run kept one).

        Args:
            template: a pytree of the same structure with the shapes and dtypes that the network expects.

        Raises:
            CheckpointError: the arrays are damaged, do not fit or are not finite.
        """
        folder = epath.Path(self.path)
        folder /= "ema_params" if (folder / "ema_params").is_dir() else "params"
        with ocp.Checkpointer(ocp.StandardCheckpointHandler()) as checkpointer:
            params = _guarded(folder, lambda: checkpointer.restore(folder, args=ocp.args.StandardRestore(template)))
        _check_shapes(folder, template, params)
        if not all(np.isfinite(array).all() for array in jax.tree.leaves(params)):
            raise CheckpointError(f"{folder}: holds numbers that are not finite; use another checkpoint of the run")
        return params


def latest_step(workdir: str | os.PathLike) -> int | None:
    """Returns the newest step that a run has saved; None where there is none. Changes nothing."""
    return max((int(path.name) for path in _steps(run_dir.resolve(workdir) / _FOLDER)), default=None)


def find(path: str | os.PathLike) -> Saved:
    """Finds the checkpoint to score with: `path` itself, or the best by validation of the run directory `path`.

    Where validation has fewer than `ENOUGH_PAIRS` pairs, the last checkpoint that was validated is taken for the best.

    Raises:
        CheckpointError: there is none, or its record is damaged.
    """
    path = run_dir.resolve(path)
    if (path / "meta").is_dir():
        return _read_meta(path)
    steps = _steps(path / _FOLDER) or _steps(path)
    if not steps:
        raise CheckpointError(
            f"{path}: no checkpoint here; give a run directory (--workdir) or one folder checkpoints/<step>"
        )
    # The later of equals: it has seen more data.
    return max(map(_read_meta, steps), key=lambda saved: (_comparable(saved), saved.step))


def _comparable(saved: Saved) -> float:
    if saved.validation_accuracy is None or math.isnan(saved.validation_accuracy):
        return -1.0
    few = saved.validation_pairs is not None and saved.validation_pairs < ENOUGH_PAIRS
    return 0.0 if few else saved.validation_accuracy


def fingerprint(params: Any) -> str:
    """Returns 16 hex digits of the SHA-256 of parameters, a pytree of arrays: of their names, shapes and bytes."""
    digest = hashlib.sha256()
    for name, leaf in jax.tree_util.tree_leaves_with_path(params):
        array, text = np.asarray(leaf), jax.tree_util.keystr(name, simple=True, separator="/")
        digest.update(f"{text} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]


def _steps(folder: epath.Path) -> list[epath.Path]:
    found = [path for path in (folder.iterdir() if folder.is_dir() else ()) if path.name.isdigit()]
    # In a bucket, what a killed save left behind has its final name already.
    return [path for path in found if (path / "meta").is_dir() and ocp.utils.is_checkpoint_finalized(path)]


def _read_json(path: epath.Path) -> dict[str, Any]:
    with ocp.Checkpointer(ocp.JsonCheckpointHandler()) as checkpointer:
        return _guarded(path, lambda: checkpointer.restore(path / "meta"))


def _read_meta(path: epath.Path) -> Saved:
    return parse_meta(path, _read_json(path))


def parse_meta(path: str | os.PathLike, meta: Any) -> Saved:
    """Returns what the `meta` record of the checkpoint `path`, a JSON value, says.

    Raises:
        CheckpointError: it is no such record.
    """
    try:
        accuracy, pairs = meta[_METRIC], meta.get("validation_pairs")
        return Saved(
            path=os.fspath(path),
            # Before steps were recorded, only the folder's name said them.
            step=int(meta.get("step", os.path.basename(path))),
            config=ml_collections.ConfigDict(legacy.upgrade(meta["config"])),
            preprocessing=Preprocessing.from_dict(meta["preprocessing"]),
            validation_accuracy=None if accuracy is None else float(accuracy),
            validation_pairs=None if pairs is None else int(pairs),
            calibration=Calibration.from_dict(meta["calibration"]) if meta.get("calibration") else None,
        )
    except Exception as error:  # A record that is damaged makes nearly anything raise nearly anything.
        raise CheckpointError(
            f"{path}: not a checkpoint of blur_jax, or a damaged one ({type(error).__name__}: {str(error)[:300]}); use"
            " another checkpoint of the run"
        ) from error


def _items(state: TrainState) -> dict[str, Any]:
    """The pytrees of a state that are saved, those left out that the run does without."""
    items = {name: getattr(state, name) for name in ("params", "ema_params", "opt_state", "teacher_params")}
    return {name: item for name, item in items.items() if item is not None}


def _guarded(path: str | os.PathLike, read: Callable[[], Any]) -> Any:
    """Orbax and TensorStore raise many types for a damaged or foreign folder; all mean the same to the user."""
    try:
        return read()
    except Exception as error:
        reason = str(error).strip().splitlines() or [repr(error)]
        raise CheckpointError(
            f"{path}: cannot be read as a checkpoint ({type(error).__name__}: {reason[0][:300]});"
            " it may be damaged or from another network: delete that step's folder to resume from the one before"
        ) from error


def _check_shapes(path: str | os.PathLike, template: Any, restored: Any) -> None:
    wanted, found = (jax.tree.map(lambda x: (np.shape(x), np.dtype(x.dtype)), tree) for tree in (template, restored))
    if wanted != found:
        raise CheckpointError(
            f"{path}: its arrays do not fit the network that its config describes; it is damaged or edited"
        )
