"""The answer log: a file of JSON lines next to the pictures, which is only ever appended to.

An entry is on disk before `Log.append` returns, so a killed program loses no entry that it has acknowledged.
"""

import contextlib
import json
import os
import threading
from typing import IO

from blur_jax.data import files
from blur_jax.data.untrusted import LineError, Place, read_json
from blur_jax.label import answers
from blur_jax.label.answers import Entry, State

LOG_FILE = "answers.jsonl"


class Log:
    """An open log; methods may be called from several threads.

    Attributes:
        path: the log's path.
        state: what its entries add up to.
        removed: the number of bytes of an incomplete last line that opening the log has removed.
    """

    def __init__(self, path: str) -> None:
        """Opens or creates the log.

        Raises:
            LineError: a line is damaged.
            ValueError: another process has opened the log.
            OSError: the file cannot be read or written.
        """
        self.path = path
        self._lock = threading.Lock()
        self._file: IO[bytes] = open(self.path, "ab+")
        try:
            held = f"{self.path}: another labeling page is open for this folder; use it, or close it first"
            files.lock(self._file, held)
            self.state, self.removed = self._read()
        except BaseException:
            self._file.close()
            raise
        files.sync_folder(os.path.dirname(path))

    def append(self, entry: Entry) -> bool:
        """Appends an entry unless the log has it already; returns whether it was appended.

        Raises:
            ValueError: the entry takes back an answer that does not exist.
            OSError: the disk is full or cannot be written; the log is as it was before.
        """
        with self._lock:
            if self.state.has(entry):
                return False
            if isinstance(entry, answers.Undo):
                self.state.check_undo(entry)
            end = self._file.seek(0, os.SEEK_END)
            try:
                with files.naming(self.path):
                    self._file.write(_encoded(entry))
                    self._file.flush()
                    os.fsync(self._file.fileno())
            except OSError:
                self._reopen(end)
                raise
            self.state.add(entry)
            return True

    def close(self) -> None:
        self._file.close()

    def _read(self) -> tuple[State, int]:
        """Returns the state and the number of bytes removed; every acknowledged entry ends in a newline."""
        self._file.seek(0)
        *lines, rest = self._file.read().split(b"\n")
        state = State()
        for number, line in enumerate(lines, 1):
            try:
                state.add(answers.from_json(read_json(line)))
            except ValueError as error:
                advice = "correct it, or restore the file from a backup"
                raise LineError(Place(self.path, number), f"the line is damaged ({error}); {advice}") from error
        if not rest:
            return state, 0
        try:  # An editor may have removed the last newline.
            state.add(answers.from_json(read_json(rest)))
            self._file.write(b"\n")
            removed = 0
        except ValueError:
            removed = len(rest)
            self._file.truncate(self._file.seek(0, os.SEEK_END) - removed)
        self._file.flush()
        os.fsync(self._file.fileno())
        return state, removed

    def _reopen(self, end: int) -> None:
        """Drops what a failed write has left in the buffer and in the file."""
        descriptor = os.dup(self._file.fileno())  # Keeps the lock.
        with contextlib.suppress(OSError):  # Closing writes the buffer, which fails again.
            self._file.close()
        os.ftruncate(descriptor, end)
        self._file = os.fdopen(descriptor, "ab+")


def _encoded(entry: Entry) -> bytes:
    return json.dumps(answers.to_json(entry)).encode() + b"\n"  # ASCII: a name's line separators are escaped.
