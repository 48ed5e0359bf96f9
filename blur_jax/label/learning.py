"""What runs in the background while the page is open: features of the pictures, and training."""

import json
import os
import shlex
import sys
from typing import Any

from blur_jax.label import features
from blur_jax.label.jobs import Job
from blur_jax.label.session import Session

LAUNCHER, CONFIG = "launch.py", "configs/folder.py"
_HISTORY, _REPORT = "metrics.jsonl", "report.html"  # In a run directory.


class Learning:
    """The background work of one page.

    Attributes:
        checkpoint: the run whose features and scores are used; None for ImageNet features.
        workdir: the run directory that training writes.
    """

    def __init__(self, session: Session, checkpoint: str | None, workdir: str) -> None:
        """Starts nothing yet."""
        self.checkpoint, self.workdir = checkpoint, workdir
        self._session = session
        self._features: Job | None = None
        self._training: Job | None = None

    def compute_features(self) -> None:
        """Computes the features in the background, unless they are in the cache, and starts the ranker on them."""
        folder, checkpoint = self._session.photos.folder, self.checkpoint
        command = [sys.executable, "-m", "blur_jax.label.features", folder, f"--parent={os.getpid()}"]
        command += [] if checkpoint is None else [f"--checkpoint={checkpoint}"]
        path = features.cache_path(folder, checkpoint)
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
        """Starts training on the answers; raises ValueError if it runs already or this folder has no launcher."""
        if self._training is not None and self._training.status is None:
            raise ValueError("training is already running")
        if not self.can_train:
            raise ValueError(f"{LAUNCHER} is not in this folder; start the page in the project folder")
        self._session.update_table()
        self._training = Job([sys.executable, *self.command()], on_success=self._trained)

    def _trained(self) -> None:
        self.checkpoint = self.workdir
        self.compute_features()

    @property
    def can_train(self) -> bool:
        return os.path.exists(LAUNCHER) and os.path.exists(CONFIG)

    def training(self) -> dict[str, Any]:
        """Returns what the page shows about training, as JSON values."""
        job = self._training
        state = "none" if job is None else "running" if job.status is None else "failed" if job.status else "done"
        return {
            "state": state,
            "command": shlex.join(["python", *self.command()]),
            "possible": self.can_train,
            "step": _last_step(os.path.join(self.workdir, _HISTORY)) if state == "running" else None,
            "output": "" if job is None else "\n".join(job.tail),
            "report": self.report is not None,
        }

    @property
    def report(self) -> str | None:
        """The path of the report of the run in use, or None."""
        path = None if self.checkpoint is None else os.path.join(self.checkpoint, _REPORT)
        return path if path and os.path.isfile(path) else None

    def close(self) -> None:
        for job in (self._features, self._training):
            if job is not None:
                job.stop()


def _last_step(history: str) -> int | None:
    """Returns the step of the last complete line of a run's history, or None."""
    try:
        with open(history, "rb") as file:
            return int(json.loads(file.read().rpartition(b"\n")[0].rpartition(b"\n")[2])["step"])
    except (OSError, ValueError, KeyError):
        return None
