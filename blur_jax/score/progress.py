"""A progress bar for scoring: pictures done, rate and time left."""

import contextlib
import sys
import threading
from collections.abc import Iterable

from tqdm import tqdm


class Progress:
    """A progress bar on standard error, shown only if that is a terminal.

    It appears after the first batch, so that compilation does not lower the rate. A separate thread counts the total.
    """

    def __init__(self, inputs: Iterable) -> None:
        self._before: int | None = None
        self._total: int | None = None
        self._bar: tqdm | None = None
        self._done = 0
        self._shown = sys.stderr.isatty()
        if self._shown:
            print("compiling ...", end="\r", file=sys.stderr, flush=True)
            threading.Thread(target=self._count, args=(inputs,), name="count", daemon=True).start()

    def _count(self, inputs: Iterable) -> None:
        # The scoring thread raises the same error.
        with contextlib.suppress(ValueError, OSError):
            self._total = sum(1 for _ in inputs)

    def __call__(self, done: int) -> None:
        """Shows how many inputs are done; the first call must pass the number done by earlier commands."""
        self._done = done
        if self._before is None:
            self._before = done
        elif self._bar is not None:
            self._bar.total = self._total
            self._bar.update(done - self._bar.n)
        elif self._shown:
            self._bar = tqdm(initial=done, total=self._total, desc="scoring", unit="picture", smoothing=0.1)

    @property
    def fresh(self) -> int:
        """The number of inputs that this command has processed."""
        return self._done - (self._before or 0)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
