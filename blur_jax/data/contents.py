"""Tells whether a file has changed: by its content, which is read only if the disk's record of the file has changed.

Size and time of modification are not enough: a BMP, TIFF or raw picture has the same size as another one, and copying
programs keep times. A checkout or a copy of a folder changes times, but not content.
"""

import hashlib
import itertools
import os
import stat
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

_CHUNK = 1024  # Files at a time, so that names of millions are not in memory.


class State(NamedTuple):
    """A file at some time: the disk's record of it, and its content; None if it could not be read."""

    record: str | None
    content: str | None


def content(path: str | os.PathLike) -> str | None:
    """Returns a hash of a regular file's content as 32 hexadecimal digits; None if the file cannot be read."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # Reading a pipe could block forever.
            return None
        with open(path, "rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except (OSError, ValueError):  # ValueError: the name contains a zero byte.
        return None


def contents(paths: Iterable[str | os.PathLike]) -> Iterator[str | None]:
    """Yields `content` of each path, in order; reads files in threads."""
    paths = iter(paths)
    with ThreadPoolExecutor() as pool:
        while chunk := list(itertools.islice(paths, _CHUNK)):
            yield from pool.map(content, chunk)


def record(path: str | os.PathLike) -> str | None:
    """Returns what the disk records of a file: size, times of modification and change in ns, and number.

    No program can set the time of change. It also changes when a file is renamed or copied.
    """
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}-{status.st_ino}"


def state(path: str | os.PathLike) -> State:
    """Returns the present state of a file; call it before reading the file, so that a later change is noticed."""
    return State(record(path), content(path))


def is_unchanged(path: str | os.PathLike, before: State) -> bool:
    """Returns whether a file has the content that it had before."""
    return record(path) == before.record or content(path) == before.content
