"""Where figures go while training: console progress, `metrics.jsonl` and TensorBoard; on process 0 only."""

import json
import os
import sys
import time

import jax
import tensorboardX
from tqdm import tqdm

METRICS_FILE = "metrics.jsonl"


def is_main_process() -> bool:
    """Whether this process is the one that writes and talks."""
    return jax.process_index() == 0


def read_history(workdir: str) -> list[dict[str, float]]:
    """The rows of a run's `metrics.jsonl`, oldest first; a row cut short by a kill is left out."""
    path = os.path.join(workdir, METRICS_FILE)
    if not os.path.exists(path):
        return []
    rows = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError:
                continue
    return rows


def write_atomically(path: str, text: str) -> None:
    """Writes a text file that is either whole or not there."""
    temporary = f"{path}.tmp{os.getpid()}"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(temporary, path)


class Writer:
    """Writes figures of one run; on other processes than 0 every call does nothing."""

    def __init__(self, workdir: str, *, first_step: int, steps: int, images_per_step: int):
        """Opens the files; figures past `first_step`, of a run that was killed, are dropped, as they will come again.

        Args:
            workdir: the run directory.
            first_step: updates made so far.
            steps: updates in the whole run.
            images_per_step: images that one step takes in, for the rate.
        """
        self._active = is_main_process()
        if not self._active:
            return
        kept = [row for row in read_history(workdir) if row["step"] <= first_step]
        path = os.path.join(workdir, METRICS_FILE)
        write_atomically(path, "".join(json.dumps(row) + "\n" for row in kept))
        self._file = open(path, "a", encoding="utf-8")
        self._tensorboard = tensorboardX.SummaryWriter(os.path.join(workdir, "tensorboard"), purge_step=first_step + 1)
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
        """Records named figures of one step."""
        if not self._active:
            return
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        self._file.flush()
        for name, value in values.items():
            self._tensorboard.add_scalar(name, value, step)
        self._shown |= {name: value for name, value in values.items() if name in ("loss", "validation_accuracy")}
        text = "  ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in self._shown.items())
        if not self._bar.disable:
            self._bar.set_postfix_str(text, refresh=False)
        else:
            self._print_line(step, text)

    def _print_line(self, step, text):
        """One line of progress for logs and pipes, where a bar cannot redraw itself."""
        now, (then, before) = time.monotonic(), self._last
        if step > before:
            rate = (step - before) / max(now - then, 1e-9)
            left = round((self._steps - step) / rate)
            pace = f"{rate * self._images:.0f} images/s  {left // 60}:{left % 60:02d} left"
            print(f"step {step}/{self._steps}  {pace}  {text}", file=sys.stderr, flush=True)
            self._last = (now, step)

    def close(self) -> None:
        """Flushes and closes all files."""
        if self._active:
            self._bar.close()
            self._file.close()
            self._tensorboard.close()
