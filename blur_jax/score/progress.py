"""The progress of scoring on a terminal: pictures done, rate and time left."""

import contextlib
import sys
import threading
from collections.abc import Iterable

from tqdm import tqdm


class Progress:
    """A bar on standard error, if that is a terminal.

    It appears with the first batch, so that compilation does not lower the rate. A thread counts the total.
    """

    def __init__(self, inputs: Iterable) -> None:
        """Starts counting the inputs."""
        self._before, self._done, self._total, self._bar = None, 0, None, None
        self._shown = sys.stderr.isatty()
        if self._shown:
            print("compiling ...", end="\r", file=sys.stderr, flush=True)
            threading.Thread(target=self._count, args=(inputs,), name="count", daemon=True).start()

    def _count(self, inputs: Iterable) -> None:
        # The thread that scores raises the same error.
        with contextlib.suppress(ValueError, OSError):
            self._total = sum(1 for _ in inputs)

    def __call__(self, done: int) -> None:
        """Shows that `done` inputs are done; the first call says how many were done before."""
        self._done = done
        if self._before is None:
            self._before = done
        elif self._shown and self._bar is None:
            self._bar = tqdm(initial=done, total=self._total, desc="scoring", unit="picture", smoothing=0.1)
        elif self._shown:
            self._bar.total = self._total
            self._bar.update(done - self._bar.n)

    @property
    def fresh(self) -> int:
        """How many inputs are done that were not done before."""
        return self._done - (self._before or 0)

    def close(self) -> None:
        """Ends the bar."""
        if self._bar is not None:
            self._bar.close()
