"""Files that are whole or not there, and locks that end with the process that holds them."""

import contextlib
import os
from collections.abc import Iterator
from typing import IO


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[str]:
    """Yields where to write a file that then takes the place of `path`, whole or not at all.

    Raises:
        OSError: it cannot be written; the error names `path`, which is left as it was.
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
    """Adds the file to an OSError that names none, as that of a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = os.fspath(path)
        raise


def lock(file: IO, held: str) -> None:
    """Locks a file until it is closed; the system releases it with the process, however that ends.

    Nothing is locked on Windows and on shared disks that have no locks.

    Args:
        file: open for writing.
        held: the message where another process holds the lock.

    Raises:
        ValueError: another process holds it.
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
