"""Atomic file writes, and file locks that are released when the process ends."""

import contextlib
import os
from collections.abc import Iterator
from typing import IO


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[str]:
    """Yields a temporary path; on success, the file written there replaces `path` atomically.

    Raises:
        OSError: the file cannot be written; the error contains `path`, and the old file is unchanged.
    """
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.{os.getpid()}.tmp")
    try:
        with naming(path):
            yield temporary
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


@contextlib.contextmanager
def naming(path: str | os.PathLike) -> Iterator[None]:
    """Adds the path to an OSError without a path, such as the error for a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = os.fspath(path)
        raise


def lock(file: IO, held: str) -> None:
    """Locks a file, opened for writing, until it is closed or the process ends.

    Does nothing on Windows and on shared disks that do not support locks.

    Raises:
        ValueError: another process holds the lock; the message is `held`.
    """
    try:
        import fcntl
    except ImportError:  # Windows.
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ValueError(held) from error
    except OSError:  # A shared disk without locks.
        pass
