"""Atomic writes, and locks that end with the process that holds them."""

import contextlib
import os
from collections.abc import Iterator
from typing import IO


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[str]:
    """Yields a temporary path; the file written there then replaces `path`.

    Raises:
        OSError: the file cannot be written; the error names `path`, which does not change.
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
    """Adds the path to an OSError that has none, such as the error for a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = os.fspath(path)
        raise


def lock(file: IO, held: str) -> None:
    """Locks a file that is open for writing until it is closed or the process ends.

    Windows, and shared disks without locks, lock nothing.

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
