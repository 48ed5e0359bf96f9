"""Detects whether a file's content has changed; reads the content only if the file's metadata has changed.

Size and modification time are not enough: different BMP, TIFF or raw pictures can have the same size, and copying
programs preserve times. Checking out or copying a folder changes times but not content.
"""

import hashlib
import itertools
import os
import stat
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

_CHUNK = 1024  # Files at a time, so that millions of names are not held in memory.


class State(NamedTuple):
    """A file's state at some time: its `record` and its `content`, each None if it could not be read."""

    record: str | None
    content: str | None


def content(path: str | os.PathLike) -> str | None:
    """Returns a hash of a regular file's content, 32 hexadecimal digits, or None if the file cannot be read."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # Reading a pipe could block forever.
            return None
        with open(path, "rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except (OSError, ValueError):  # ValueError: the name contains a null byte.
        return None


def contents(paths: Iterable[str | os.PathLike]) -> Iterator[str | None]:
    """Yields the `content` of each path, in order; reads files in threads."""
    paths = iter(paths)
    with ThreadPoolExecutor() as pool:
        while chunk := list(itertools.islice(paths, _CHUNK)):
            yield from pool.map(content, chunk)


def record(path: str | os.PathLike) -> str | None:
    """Returns a file's metadata: size, modification and change times in ns, and inode number.

    Programs cannot set the change time. It also changes when a file is renamed or copied.
    """
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}-{status.st_ino}"


def state(path: str | os.PathLike) -> State:
    """Returns a file's current state; call this before reading the file, so that later changes are detected."""
    return State(record(path), content(path))


def is_unchanged(path: str | os.PathLike, before: State) -> bool:
    """Returns whether a file's content is the same as before."""
    return record(path) == before.record or content(path) == before.content
