"""Finds the files that tables refer to, even if the tables spell the names differently."""

import functools
import os
import posixpath
import unicodedata
from collections.abc import Callable, Collection, Iterator


def normalize(name: str) -> str:
    """Returns the canonical spelling of a name.

    Unicode is composed (NFC), because macOS may store an accent as a separate character. Backslashes become slashes,
    leading and trailing whitespace is removed, and "./", "//" and "a/../" are resolved without accessing the disk.
    """
    return posixpath.normpath(unicodedata.normalize("NFC", name.strip().replace("\\", "/")))


def is_utf_8(name: str) -> bool:
    """Returns whether a file name has no bytes that are not UTF-8, which Python decodes as lone surrogates."""
    return name == name.encode(errors="ignore").decode()


class Known:
    """A set of existing names, which a table may spell differently."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = names if isinstance(names, (set, dict)) else set(names)

    def find(self, name: str) -> str | None:
        """Returns the known name that matches `name`, or None if none does."""
        return name if name in self._names else self._normalized.get(normalize(name))

    def similar(self, name: str) -> str | None:
        """Returns a known name that differs only in letter case, whitespace or folder, or None.

        Use this only for hints: on most disks, names that differ in letter case are different files.
        """
        return next((self._similar[key] for key in _loose(name) if key in self._similar), None)

    def hint(self, name: str) -> str:
        """Returns "; did you mean ...?", or "" if no known name is similar."""
        similar = self.similar(name)
        return "" if similar is None else f"; did you mean {similar!r}?"

    @functools.cached_property
    def _normalized(self) -> dict[str, str]:
        return {normalize(name): name for name in sorted(self._names, reverse=True)}  # The first name wins.

    @functools.cached_property
    def _similar(self) -> dict[str, str]:
        return {key: name for name in sorted(self._names, reverse=True) for key in _loose(name)}


def _loose(name: str) -> Iterator[str]:
    """Yields keys that similar names share: one for the full name, and one for the name without its folder."""
    text = " ".join(unicodedata.normalize("NFKC", normalize(name)).casefold().split())
    yield text
    yield text.rpartition("/")[2]


def locate(folder: str, name: str) -> str:
    """Returns the path, as spelled on disk, of the file that a table in `folder` calls `name`.

    If there is no such file, returns `folder` joined with `name`.
    """
    path = os.path.join(folder, name)
    return path if os.path.lexists(path) else _descend(folder, name, Known.find) or path


def hint(path: str) -> str:
    """Returns "; did you mean ...?" for a path that does not exist, or "" if no existing path is similar."""
    similar = _descend("", path, lambda known, part: known.find(part) or known.similar(part))
    return "" if similar is None else f"; did you mean {similar!r}?"


def _descend(folder: str, name: str, choose: Callable[[Known, str], str | None]) -> str | None:
    """Follows a path one folder at a time; `choose(known, part)` replaces parts that do not exist."""
    parts = normalize(name).split("/")
    if not parts[0]:
        folder, parts = "/", parts[1:]
    for part in parts:
        path = os.path.join(folder, part)
        if not os.path.lexists(path):
            entry = choose(_listed(folder), part)
            if entry is None:
                return None
            path = os.path.join(folder, entry)
        folder = path
    return folder


def _listed(folder: str) -> Known:
    folder = os.path.abspath(folder)
    try:
        return _entries(folder, os.stat(folder).st_mtime_ns)
    except (OSError, ValueError):
        return Known(())


@functools.lru_cache(maxsize=4)  # A list may contain many names that are missing from one large folder.
def _entries(folder: str, _changed: int) -> Known:
    return Known(os.listdir(folder))
