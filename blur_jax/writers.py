"""Where metrics go while training: progress on the console, the run's history and TensorBoard; on process 0 only."""

import math
import sys
import time

import jax
import ml_collections
import numpy as np
import tensorboardX
from tqdm import tqdm

from blur_jax import distributed, run_dir

_SHOWN = ("loss", "validation_accuracy")


def is_due(step: int, every: int) -> bool:
    """Returns whether something that happens every so many steps happens at this one."""
    return step % every == 0


class Writer:
    """Writes the metrics of one run; on other processes than 0 every call does nothing."""

    def __init__(self, workdir: str, *, first_step: int, steps: int, images_per_step: int) -> None:
        """Opens the files; rows past `first_step`, of a run that was killed, are dropped, as they will come again.

        Args:
            workdir: the run directory. In a bucket there is no TensorBoard log; the history has the same metrics.
            first_step: updates made so far.
            steps: updates in the whole run.
            images_per_step: images that one step takes in, for the rate.
        """
        self._active = distributed.is_process_zero()
        if not self._active:
            return
        self._history = run_dir.History(workdir, first_step=first_step)
        path = run_dir.resolve(workdir)
        self._tensorboard = None
        if run_dir.is_local(path):
            self._tensorboard = tensorboardX.SummaryWriter(str(path / "tensorboard"), purge_step=first_step + 1)
        self._images, self._steps = images_per_step, steps
        self._last = (time.monotonic(), first_step)
        self._shown = {}
        self._bar = tqdm(
            total=steps * images_per_step, initial=first_step * images_per_step, unit="image", unit_scale=True,
            disable=None, dynamic_ncols=True, mininterval=0.5, smoothing=0.1,
        )  # fmt: skip

    def advance(self, step: int) -> None:
        """Moves the progress bar on; `step` updates have been made."""
        if self._active and not self._bar.disable:
            self._bar.set_description(f"step {step}/{self._steps}", refresh=False)
            self._bar.update(step * self._images - self._bar.n)

    def write(self, step: int, values: dict[str, float]) -> None:
        """Records named metrics of one step."""
        if not self._active:
            return
        self._history.write({"step": step, **values})
        for name, value in values.items() if self._tensorboard else ():
            self._tensorboard.add_scalar(name, value, step)
        shown = {name: values[name] for name in _SHOWN if name in values}
        if self._bar.disable:
            self._print_line(step, _text(shown))
        else:
            self._shown |= shown
            self._bar.set_postfix_str(_text(self._shown), refresh=False)

    def _print_line(self, step: int, text: str) -> None:
        """Prints one line of progress, for logs and pipes, where a bar cannot redraw itself."""
        now, (then, before) = time.monotonic(), self._last
        pace = ""
        if step > before:
            rate = (step - before) / max(now - then, 1e-9)
            left = round((self._steps - step) / rate)
            pace = f"  {rate * self._images:.0f} images/s  {left // 60}:{left % 60:02d} left"
            self._last = (now, step)
        print(f"step {step}/{self._steps}{pace}  {text}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Flushes and closes all files."""
        if self._active:
            self._bar.close()
            self._history.close()
            if self._tensorboard:
                self._tensorboard.close()


class StepLog:
    """Reads the metrics of the step before the one just dispatched, so that the devices never wait for the host."""

    def __init__(self, config: ml_collections.ConfigDict, writer: Writer) -> None:
        """Starts a log of a run of this config."""
        self._config, self._writer = config, writer
        self._pending, self._window = None, []

    def follow(self, step: int, metrics: dict[str, jax.Array]) -> None:
        """Takes the metrics of the step just dispatched, and records those of the one before."""
        self.catch_up()
        self._pending = (step, metrics)

    def catch_up(self) -> None:
        """Records what is pending; raises FloatingPointError where it is not finite."""
        if self._pending is None:
            return
        (step, metrics), self._pending = self._pending, None
        metrics = {name: float(value) for name, value in metrics.items()}
        if not (math.isfinite(metrics["loss"]) and math.isfinite(metrics["gradient_norm"])):
            raise FloatingPointError(
                f"step {step}: the loss is {metrics['loss']} and its gradient's norm {metrics['gradient_norm']}"
            )
        self._window.append(metrics)
        self._writer.advance(step)
        if is_due(step, self._config.log_every) or step == self._config.steps:
            means = {name: float(np.mean([row[name] for row in self._window])) for name in metrics}
            distributed.everywhere(self._writer.write, step, means)
            self._window = []


def _text(values: dict[str, float]) -> str:
    return "  ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in values.items())
