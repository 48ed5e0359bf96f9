"""Writes training metrics on process 0: console progress, the run's history and TensorBoard."""

import math
import statistics
import sys
import time
from typing import Any

import jax
import ml_collections
import tensorboardX
from tqdm import tqdm

from blur_jax.runs import distributed, run_dir

_SHOWN = ("loss", "validation_accuracy")


class Writer:
    """Writes a run's metrics; does nothing on any process other than 0."""

    def __init__(self, workdir: str, *, first_step: int, steps: int, images_per_step: int) -> None:
        """Opens the files and drops rows after `first_step`, which a resumed run will write again.

        A run in a bucket has no TensorBoard log; its history contains the same metrics.
        """
        self._active = distributed.is_process_zero()
        if not self._active:
            return
        files = (run_dir.HISTORY_FILE, run_dir.VALIDATION_FILE)
        self._training, self._validation = (run_dir.History(workdir, file, first_step=first_step) for file in files)
        path = run_dir.resolve(workdir)
        self._tensorboard: Any = None
        if run_dir.is_local(path):
            self._tensorboard = tensorboardX.SummaryWriter(str(path / "tensorboard"), purge_step=first_step + 1)
        self._images, self._steps, self._first_step = images_per_step, steps, first_step
        self._bar: Any = None
        self._shown = {}
        if steps:
            print(f"step {first_step}/{steps}  compiling the training step", file=sys.stderr, flush=True)

    def start(self) -> None:
        """Starts the clock once the training step has been compiled, so that the rate excludes compilation."""
        if self._active:
            self._last = (time.monotonic(), self._first_step)
            self._bar = tqdm(
                desc="training", total=self._steps, initial=self._first_step, unit="step",
                disable=None, dynamic_ncols=True, mininterval=0.5, smoothing=0.1,
            )  # fmt: skip

    def advance(self, step: int) -> None:
        if self._active:
            self._bar.update(step - self._bar.n)

    def write(self, step: int, values: dict[str, float]) -> None:
        if self._active:
            now, (then, before) = time.monotonic(), self._last  # The time of the last row or validation.
            self._last = (now, step)
            rate = (step - before) / max(now - then, 1e-9)
            left = round((self._steps - step) / rate)
            pace = f"  {rate * self._images:.0f} images/s  {left // 60}:{left % 60:02d} left"
            self._record(self._training, step, values, pace=pace)

    def write_validation(self, step: int, values: dict[str, float]) -> None:
        """Records the validation metrics at a step, and excludes the validation time from the rate."""
        if self._active:
            self._record(self._validation, step, values, pace="")
            self._last = (time.monotonic(), step)
            if self._bar is not None:
                self._bar.unpause()

    def _record(self, history: run_dir.History, step: int, values: dict[str, float], *, pace: str) -> None:
        history.write({"step": step, **values})
        for name, value in values.items() if self._tensorboard else ():
            self._tensorboard.add_scalar(name, value, step)
        shown = {name: values[name] for name in _SHOWN if name in values}
        if self._bar is None or self._bar.disable:  # A progress bar cannot redraw itself in logs and pipes.
            progress = f"step {step}/{self._steps}{pace}" if self._steps else "fitted the head"
            print(f"{progress}  {_text(shown)}", file=sys.stderr, flush=True)
        else:
            self._shown |= shown
            self._bar.set_postfix_str(_text(self._shown), refresh=False)

    def close(self) -> None:
        if self._active:
            for output in filter(None, (self._bar, self._training, self._validation, self._tensorboard)):
                output.close()


class StepLog:
    """Reads metrics one step late, so that the devices never wait for the host.

    A history row is the mean over the steps since the previous row; skipped updates count only in "skipped".
    """

    def __init__(self, config: ml_collections.ConfigDict, writer: Writer, unlogged: list[dict[str, float]]) -> None:
        """Starts the log; `unlogged` contains the metrics of earlier steps that are not in a row yet."""
        self._config, self._writer = config, writer
        self._pending, self._started, self.unlogged = None, False, list(unlogged)

    def follow(self, step: int, metrics: dict[str, jax.Array]) -> None:
        """Stores the metrics of the step just dispatched, and records those of the previous step."""
        if not self._started:  # A step that has been dispatched has also been compiled.
            self._writer.start()
            self._started = True
        self.catch_up()
        self._pending = (step, metrics)

    def catch_up(self) -> None:
        """Records the pending metrics; raises FloatingPointError if they are not finite."""
        if self._pending is None:
            return
        (step, metrics), self._pending = self._pending, None
        metrics = {name: float(value) for name, value in metrics.items()}
        if metrics.get("skipped"):  # The step's other metrics would turn the row's means into NaN.
            metrics = {"skipped": 1.0}
        culprits = {name: value for name, value in metrics.items() if not math.isfinite(value)}
        if culprits:
            raise FloatingPointError(f"step {step}: metrics are not finite: {_text(culprits)}")
        self.unlogged.append(metrics)
        self._writer.advance(step)
        if step % self._config.log_every == 0 or step == self._config.steps:
            names = dict.fromkeys(name for row in self.unlogged for name in row)
            means = {name: statistics.fmean(row[name] for row in self.unlogged if name in row) for name in names}
            distributed.everywhere(self._writer.write, step, means)
            self.unlogged = []


def _text(values: dict[str, float]) -> str:
    return "  ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in values.items())
