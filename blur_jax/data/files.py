"""Atomic file writes, and file locks that are released when the process ends."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import IO


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[str]:
    """Yields a temporary path; on success, the file written there replaces `path` atomically.

    Raises:
        OSError: the file cannot be written; the error includes `path`, and the old file is unchanged.
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
    """Adds the path to an OSError that lacks one, such as the error for a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = os.fspath(path)
        raise


def sync_folder(folder: str) -> None:
    """Waits until new names in a folder are on disk; raises OSError where the file system cannot."""
    descriptor = os.open(folder or os.curdir, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_output(flag: str, path: str, endings: Sequence[str], inputs: Sequence[str]) -> None:
    """Raises ValueError if an output file could not be written, before hours are spent on scoring.

    `endings` are the supported extensions; `inputs` are the command's input paths, which it must not replace.
    """
    folder = os.path.dirname(path) or os.curdir
    if not path.lower().endswith(tuple(endings)):
        raise ValueError(f"{flag}={path} must end in {' or '.join(endings)}")
    if os.path.isdir(path):
        raise ValueError(f"{flag}={path} is a folder; choose a different file name")
    if not os.path.isdir(folder):
        raise ValueError(f"{flag}={path}: the folder {folder} does not exist; create it")
    if any(os.path.exists(path) and os.path.exists(name) and os.path.samefile(path, name) for name in inputs):
        raise ValueError(f"{flag}={path} is also an input and would be overwritten; choose a different file name")


def lock(file: IO, held: str) -> None:
    """Locks a file that is open for writing until it is closed or the process ends.

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
