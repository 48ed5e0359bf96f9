"""File names in tables: finds the file that a name means, however the name is spelled."""

import functools
import os
import posixpath
import unicodedata
from collections.abc import Callable, Collection, Iterator


def normalize(name: str) -> str:
    """Returns the same text for all spellings of a name.

    Unicode is composed (NFC), because macOS may store an accent as a separate character. Backslashes become slashes,
    blanks at the ends are removed, and "./", "//" and "a/../" are resolved without looking at the disk.
    """
    return posixpath.normpath(unicodedata.normalize("NFC", name.strip().replace("\\", "/")))


class Known:
    """The names that exist; a table may spell them differently."""

    def __init__(self, names: Collection[str]) -> None:
        self._names = names if isinstance(names, (set, dict)) else set(names)

    def find(self, name: str) -> str | None:
        """Returns the known name that `name` spells, or None if there is none."""
        return name if name in self._names else self._normalized.get(normalize(name))

    def similar(self, name: str) -> str | None:
        """Returns a known name that differs only in letter case, in the kind of its blanks or in its folder, or None.

        This is only good for a hint: on most disks, names that differ in letter case are different files.
        """
        return next((self._similar[key] for key in _loose(name) if key in self._similar), None)

    def hint(self, name: str) -> str:
        """Returns "; did you mean ...?" or, without a similar name, ""."""
        similar = self.similar(name)
        return "" if similar is None else f"; did you mean {similar!r}?"

    @functools.cached_property
    def _normalized(self) -> dict[str, str]:
        return {normalize(name): name for name in sorted(self._names, reverse=True)}  # The first name counts.

    @functools.cached_property
    def _similar(self) -> dict[str, str]:
        return {key: name for name in sorted(self._names, reverse=True) for key in _loose(name)}


def _loose(name: str) -> Iterator[str]:
    """Yields keys that similar names share: one of the whole name, and one without its folder."""
    text = " ".join(unicodedata.normalize("NFKC", normalize(name)).casefold().split())
    yield text
    yield text.rpartition("/")[2]


def locate(folder: str, name: str) -> str:
    """Returns the path of the file that a table in `folder` names, as the disk spells it.

    If there is no such file, this is `folder` joined with `name`.
    """
    path = os.path.join(folder, name)
    return path if os.path.lexists(path) else _descend(folder, name, Known.find) or path


def hint(path: str) -> str:
    """Returns "; did you mean ...?" for a path that does not exist, or "" if no existing path is similar."""
    similar = _descend("", path, lambda known, part: known.find(part) or known.similar(part))
    return "" if similar is None else f"; did you mean {similar!r}?"


def _descend(folder: str, name: str, choose: Callable[[Known, str], str | None]) -> str | None:
    """Follows a name from folder to folder; `choose(known, part)` replaces the parts that do not exist."""
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


@functools.lru_cache(maxsize=4)  # Many names of a list may be missing from one large folder.
def _entries(folder: str, _changed: int) -> Known:
    return Known(os.listdir(folder))
