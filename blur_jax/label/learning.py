"""Computes the features of a session's pictures in the background, and starts its ranker when they are known."""

import os
import sys

from blur_jax.label import features
from blur_jax.label.jobs import Job
from blur_jax.label.session import Session


class Learning:
    """The background work of one page.

    Attributes:
        job: computes the features.
    """

    def __init__(self, session: Session, checkpoint: str | None) -> None:
        """Uses the stored features at once if there are some, and starts to bring them up to date."""
        self._session, self._path = session, features.cache_path(session.photos.folder, checkpoint)
        command = [sys.executable, "-m", "blur_jax.label.features", session.photos.folder, f"--parent={os.getpid()}"]
        command += [] if checkpoint is None else [f"--checkpoint={checkpoint}"]
        self.job = Job(command, on_success=self._use)
        session.learning = self.state

    def _use(self) -> None:
        table = features.read(self._path)
        if table is not None:
            self._session.use(table)

    def close(self) -> None:
        self.job.stop()

    def state(self) -> str:
        """Returns what the page shows about the background work."""
        if self.job.status is None:
            done = self.job.tail[-1].split() if self.job.tail else []
            known = len(done) == 2 and all(part.isdecimal() for part in done)
            return f"reading pictures: {done[0]} of {done[1]}" if known else "starting to read pictures"
        if self.job.status:
            return "pairs are chosen at random: " + (
                self.job.tail[-1] if self.job.tail else "reading the pictures failed"
            )
        return ""
