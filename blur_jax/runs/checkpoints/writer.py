"""Saves steps atomically in the background."""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orbax.checkpoint as ocp

from blur_jax.data.preprocessing import Preprocessing
from blur_jax.data.untrusted import reason
from blur_jax.metrics.calibration import Calibration
from blur_jax.runs import distributed, run_dir
from blur_jax.runs.checkpoints.steps import FOLDER, METRIC, plain, restore, seal, without_echoes


class CheckpointWriter:
    """Writes the checkpoints of one run and keeps the newest and the best."""

    def __init__(self, workdir: str | os.PathLike, *, keep: int) -> None:
        """Opens the run's checkpoints; keeps the `keep` newest and the best by validation accuracy."""
        managers = ocp.checkpoint_managers
        best = managers.BestN(
            get_metric_fn=lambda metrics: metrics[METRIC], n=1, keep_checkpoints_without_metrics=False
        )
        options = ocp.CheckpointManagerOptions(
            best_fn=lambda metrics: metrics[METRIC],
            preservation_policy=managers.AnyPreservationPolicy([managers.LatestN(keep), best]),
            cleanup_tmp_directories=True,
        )
        self._quiet = contextlib.ExitStack()
        self._quiet.enter_context(without_echoes())
        self._proved = False  # Whether a checkpoint from this process has been read back.
        self._run = run_dir.resolve(workdir)
        self._manager = ocp.CheckpointManager(plain(self._run) / FOLDER, options=options)

    @property
    def latest_step(self) -> int | None:
        """The newest saved step; None before the first save."""
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
        """Copies the arrays, starts saving a step and returns; the arrays may then be donated.

        `arrays` is {name: pytree of NumPy arrays}; `unlogged` contains the metrics of the last steps, which are not in
        the history yet; `data` is the fingerprint of the training pairs; the other arguments are as in `Checkpoint`.
        The first call waits until its checkpoint has been written and read back. Raises OSError if this save or the
        previous save cannot be written, and CheckpointError if the first save cannot be read back.
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
        record = seal(json.loads(json.dumps(record)), arrays)  # Like a record read back: tuples become lists.
        items = {name: ocp.args.StandardSave(tree) for name, tree in arrays.items()}
        metrics = None if validation_accuracy is None else {METRIC: validation_accuracy}
        together = ocp.args.Composite(meta=ocp.args.JsonSave(record), **items)
        with self._saving():
            self._manager.save(step, args=together, metrics=metrics)
        if not self._proved:  # Do not train for hours if no checkpoint can be read back.
            self.wait()
            distributed.on_process_zero(self._read_back, step, arrays)
            self._proved = True

    def _read_back(self, step: int, arrays: Mapping[str, Any]) -> None:
        restore(self._run, step, dict(arrays))

    def wait(self) -> None:
        """Waits until all saves have finished; raises OSError if a save fails."""
        with self._saving():
            self._manager.wait_until_finished()

    def close(self) -> None:
        with self._quiet:
            self.wait()
            self._manager.close()

    @contextlib.contextmanager
    def _saving(self) -> Iterator[None]:
        """Converts the many error types that Orbax raises for a failed save, perhaps in a later call, into OSError."""
        try:
            yield
        except Exception as error:
            why = "no space left on the disk" if "No space left" in str(error) else reason(error)
            raise OSError(
                f"{self._run}: a checkpoint could not be saved ({why}); fix the problem and rerun the"
                " same command to resume from the previous checkpoint"
            ) from error
