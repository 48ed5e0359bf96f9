"""What runs in the background while the page is open: features of the pictures, and training."""

import itertools
import json
import os
import shlex
import sys
from typing import Any

from blur_jax.data import user_cache
from blur_jax.label import features
from blur_jax.label.jobs import Job
from blur_jax.label.session import Session

_LEAST = 20  # Pairs; fewer leave hardly any for validation.
LAUNCHER, CONFIG = "launch.py", "configs/folder.py"
_CHECKPOINTS, _HISTORY, _REPORT = "checkpoints", "metrics.jsonl", "report.html"  # In a run directory.


class Learning:
    """The background work of one page.

    Attributes:
        checkpoint: the run whose features and scores are used or being computed.
        workdir: the run directory that training writes, or will write.
    """

    def __init__(self, session: Session, checkpoint: str, workdir: str) -> None:
        """Starts nothing yet. `workdir` is the first run directory; if it holds a run, see `_unused`."""
        self._first = user_cache.expand(workdir).rstrip("/")
        self.checkpoint, self.workdir = checkpoint, _unused(self._first)
        self._session = session
        self._features: Job | None = None
        self._training: Job | None = None

    def compute_features(self) -> None:
        """Computes the features in the background, unless they are in the cache, and starts the ranker on them."""
        if self._features is not None:
            self._features.stop()  # It must not replace the table of a newer run.
        folder, checkpoint = self._session.photos.folder, self.checkpoint
        options = [f"--checkpoint={checkpoint}", f"--parent={os.getpid()}"]
        path = features.cache_path(folder, checkpoint)
        command = [sys.executable, "-m", "blur_jax.label.features", folder, *options]
        self._features = Job(command, on_success=lambda: self._use(path))

    def _use(self, path: str) -> None:
        table = features.read(path)
        if table is not None:
            self._session.use(table)

    def state(self) -> str:
        """Returns what the page shows about the features; "" if they are known."""
        if self._features is None or self._features.status == 0:
            return ""
        last = self._features.tail[-1] if self._features.tail else ""
        if self._features.status is not None:
            return f"pairs are chosen at random, because reading the pictures failed: {last}"
        done = last.split()
        known = len(done) == 2 and all(part.isdecimal() for part in done)
        return f"reading pictures: {done[0]} of {done[1]}" if known else "starting to read the pictures"

    def command(self) -> list[str]:
        """Returns the arguments of the documented command that trains on the answers."""
        folder = self._session.photos.folder
        return [LAUNCHER, f"--config={CONFIG}", f"--config.data.manual_dir={folder}", f"--workdir={self.workdir}"]

    def train(self) -> None:
        """Starts training on the answers.

        Raises ValueError if it runs already, there are too few answers, or this folder has no launcher.
        """
        if self._training is not None and self._training.status is None:
            raise ValueError("training is already running")
        if not self.can_train:
            raise ValueError(f"{LAUNCHER} is not in this folder; start the page in the project folder")
        self._session.update_table()
        if (count := self._session.count_pairs()) < _LEAST:
            raise ValueError(f"training needs {_LEAST} pairs or more, not {count}; compare more pairs first")
        self.workdir = _unused(self._first)
        self._training = Job([sys.executable, *self.command()], on_success=self._trained)

    def _trained(self) -> None:
        self.checkpoint = self.workdir
        self.compute_features()

    @property
    def can_train(self) -> bool:
        return os.path.exists(LAUNCHER) and os.path.exists(CONFIG)

    def training(self) -> dict[str, Any]:
        """Returns what the page shows about training, as JSON values."""
        job, state = self._training, self._training_state()
        return {
            "state": state,
            "command": shlex.join(["python", *self.command()]),
            "possible": self.can_train,
            "step": _last_step(os.path.join(self.workdir, _HISTORY)) if state == "running" else None,
            "output": "" if job is None else "\n".join(job.tail),
            "report": self.report is not None,
        }

    def _training_state(self) -> str:
        """Returns none, running, failed, reading (trained; the table is still the former one), unread or done."""
        if self._training is None:
            return "none"
        for job, running, failed in ((self._training, "running", "failed"), (self._features, "reading", "unread")):
            if job is not None and job.status != 0:
                return running if job.status is None else failed
        return "done"

    @property
    def report(self) -> str | None:
        """The path of the report of `checkpoint`, or None."""
        path = os.path.join(self.checkpoint, _REPORT)
        return path if os.path.isfile(path) else None

    def close(self) -> None:
        for job in (self._features, self._training):
            if job is not None:
                job.stop()


def _unused(workdir: str) -> str:
    """Returns `workdir`, or the first of workdir-2, workdir-3, ... that holds no run.

    A run cannot continue on other labels, so every training has a run directory of its own.
    """
    names = itertools.chain([workdir], (f"{workdir}-{number}" for number in itertools.count(2)))
    return next(name for name in names if not os.path.isdir(os.path.join(name, _CHECKPOINTS)))


def _last_step(history: str) -> int | None:
    """Returns the step of the last complete line of a run's history, or None."""
    try:
        with open(history, "rb") as file:
            return int(json.loads(file.read().rpartition(b"\n")[0].rpartition(b"\n")[2])["step"])
    except (OSError, ValueError, KeyError):
        return None
