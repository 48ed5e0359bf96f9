"""Saving: one folder for each step, written in the background, each whole or not at all."""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orbax.checkpoint as ocp

from blur_jax.data.preprocessing import Preprocessing
from blur_jax.data.untrusted import reason
from blur_jax.metrics.calibration import Calibration
from blur_jax.runs import run_dir
from blur_jax.runs.checkpoints.step_folder import FOLDER, METRIC, seal, without_echoes


class CheckpointWriter:
    """The checkpoints of one run, of which the newest and the best are kept."""

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
                    get_metric_fn=lambda metrics: metrics[METRIC], n=1, keep_checkpoints_without_metrics=False
                ),
            ]
        )
        options = ocp.CheckpointManagerOptions(
            best_fn=lambda metrics: metrics[METRIC],
            preservation_policy=policy,
            cleanup_tmp_directories=True,
        )
        self._quiet = contextlib.ExitStack()
        self._quiet.enter_context(without_echoes())
        self._manager = ocp.CheckpointManager(run_dir.resolve(workdir) / FOLDER, options=options)

    @property
    def latest_step(self) -> int | None:
        """The newest step saved; None before the first."""
        return self._manager.latest_step()

    def save(
        self,
        step: int,
        arrays: Mapping[str, Any],
        *,
        config: dict[str, Any],
        preprocessing: Preprocessing,
        validation_accuracy: float | None,
        validation_pairs: int,
        calibration: Calibration | None = None,
        unlogged: Sequence[Mapping[str, float]] = (),
        data: str = "",
    ) -> None:
        """Starts to save a step and returns; the arrays have been copied by then, so they may be donated.

        Args:
            step: the number of updates behind the arrays.
            arrays: {name: pytree of NumPy arrays}.
            config: the run's config, JSON-serializable.
            preprocessing: what scoring must do to a new picture.
            validation_accuracy: pairwise accuracy on the validation split; None where it was not measured.
            validation_pairs: the number of validation pairs with an order.
            calibration: what the scores of this step mean; None where it was not fitted.
            unlogged: metrics of the last steps, which are in no row of the history yet.
            data: fingerprint of the pairs that the run learns from.

        Raises:
            OSError: this save, or the one before, could not be written.
        """
        record = {
            "step": step,
            "config": config,
            "preprocessing": preprocessing.to_dict(),
            METRIC: validation_accuracy,
            "validation_pairs": validation_pairs,
            "calibration": None if calibration is None else calibration.to_dict(),
            "unlogged": list(unlogged),
            "data": data,
        }
        record = seal(json.loads(json.dumps(record)), arrays)  # As it will be read again: tuples become lists.
        items = {name: ocp.args.StandardSave(tree) for name, tree in arrays.items()}
        metrics = None if validation_accuracy is None else {METRIC: validation_accuracy}
        together = ocp.args.Composite(meta=ocp.args.JsonSave(record), **items)
        with _saving(self._manager.directory):
            self._manager.save(step, args=together, metrics=metrics)

    def wait(self) -> None:
        """Waits until everything has been written; raises OSError where it could not be."""
        with _saving(self._manager.directory):
            self._manager.wait_until_finished()

    def close(self) -> None:
        """As `wait`."""
        with self._quiet:
            self.wait()
            self._manager.close()


@contextlib.contextmanager
def _saving(folder: os.PathLike) -> Iterator[None]:
    """Orbax raises, at the next call, many types for a save that failed in the background."""
    try:
        yield
    except Exception as error:
        why = "no space left on its disk" if "No space left" in str(error) else reason(error)
        raise OSError(
            f"{folder}: a checkpoint could not be saved ({why}); fix that, then run the same command again to"
            " resume from the checkpoint before"
        ) from error
