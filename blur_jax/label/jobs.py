"""Commands that run in the background while the page is open, each in a process of its own."""

import collections
import subprocess
import threading
from collections.abc import Callable, Sequence

_TAIL = 20  # Lines of output that are kept.


class Job:
    """A running or ended command.

    Attributes:
        tail: its last lines of output, standard error included.
        status: its exit status; None while it runs.
    """

    def __init__(self, command: Sequence[str], *, on_success: Callable[[], None] = lambda: None) -> None:
        """Starts a command; `on_success` is called in a thread when it has ended with status 0."""
        self.tail: collections.deque[str] = collections.deque(maxlen=_TAIL)
        self.status: int | None = None
        self._on_success = on_success
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the command, if it still runs, and waits for it."""
        self._process.terminate()
        self._thread.join()

    def _follow(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                if line.strip():
                    self.tail.append(line.rstrip())
        status = self._process.wait()
        if status == 0:
            self._on_success()
        self.status = status
