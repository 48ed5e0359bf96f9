"""The pictures to score, from files, folders, globs, lists with boxes and standard input.

Only the names and boxes in one branch of folders, and a digest of each picture, are held in memory.
"""

import glob
import hashlib
import os
import shutil
import sys
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from typing import IO, Any, NamedTuple

from blur_jax.data import picture_files, picture_lists
from blur_jax.data.picture_files import Kind, compose
from blur_jax.data.picture_lists import BOXES_FILE
from blur_jax.data.preprocessing import Box

STANDARD_INPUT = "-"
_NAME_ROOTS = ("", f"{picture_files.IMAGES}/", f"{picture_files.UNLABELED}/")  # Names in boxes.csv may omit these.


class Input(NamedTuple):
    """A picture's path, and the box of its face in pixels of the upright picture; None means the whole picture."""

    name: str
    box: Box | None


class Inputs:
    """The pictures to score, each once, in a fixed order; can be iterated repeatedly."""

    def __init__(
        self, paths: Sequence[str], *, shard: tuple[int, int] = (0, 1), standard_input: IO[bytes] | None = None
    ) -> None:
        """Checks the lists, and reads standard input to its end if `paths` contains "-".

        Args:
            paths: pictures; folders, with everything below them; globs; lists (`.csv`, see `picture_lists.read_csv`)
                whose names are relative to their folder; "-" for standard input (see `picture_lists.read_paths`).
            shard: (i, n) selects part i of n, counting from 0. A picture's part depends only on its name.
            standard_input: the file that "-" reads; None means `sys.stdin`.

        Raises ValueError for a damaged list, or if i is not below n.
        """
        index, count = shard
        if not 0 <= index < count:
            raise ValueError(
                f"shard {index}/{count} is out of range: shards are numbered 0/{count} to {count - 1}/{count}"
            )
        self._paths, self._shard = list(map(os.fspath, paths)), shard
        if STANDARD_INPUT in self._paths:
            self._spool = tempfile.NamedTemporaryFile(prefix="blur_jax_")
            shutil.copyfileobj(standard_input or sys.stdin.buffer, self._spool)
            self._spool.flush()
            weakref.finalize(self, self._spool.close)
        for path in self._paths:
            if is_list(path):
                for _ in self._rows(path):
                    pass

    def __iter__(self) -> Iterator[Input]:
        """Yields the pictures; raises ValueError if all shards are empty, or for a bad glob or a damaged boxes.csv."""
        empty, seen = True, set()
        index, count = self._shard
        for picture in self._all():
            empty = False
            part = int.from_bytes(_digest(os.path.normpath(picture.name), size=8), "big") % count
            digest = _digest(os.path.abspath(picture.name), f"\0{picture.box}")
            if part == index and digest not in seen:
                seen.add(digest)
                yield picture
        if empty:
            endings = " ".join(picture_files.ENDINGS)
            raise ValueError(f"no pictures found in {', '.join(self._paths)}; their names must end in {endings}")

    def identity(self) -> dict[str, Any]:
        """Returns the arguments as JSON values."""
        return {"inputs": self._paths, "shard": list(self._shard)}

    def _all(self) -> Iterator[Input]:
        for path in self._paths:
            if is_list(path):
                for name, box in self._rows(path):
                    yield Input(name if path == STANDARD_INPUT else _located(os.path.dirname(path), name), box)
            elif os.path.isdir(path):
                yield from _walk(path)
            elif glob.has_magic(path) and not os.path.lexists(path):
                matches = sorted(glob.iglob(path, recursive=True))
                if not matches:
                    raise ValueError(f"{path}: no file matches this pattern; correct it")
                for match in matches:
                    if os.path.isdir(match):
                        yield from _walk(match)
                    elif picture_files.is_picture(os.path.basename(match)):
                        yield Input(match, None)
            else:
                yield Input(path, None)

    def _rows(self, path: str) -> Iterator[picture_lists.Row]:
        if path == STANDARD_INPUT:
            with open(self._spool.name, "rb") as file:
                yield from picture_lists.read_paths(file, "standard input")
        else:
            with open(path, "rb") as file:
                yield from picture_lists.read_csv(file, path)


def _digest(name: str, box: str = "", *, size: int = 16) -> bytes:
    return hashlib.blake2b(os.fsencode(name) + box.encode(), digest_size=size).digest()


def is_list(path: str) -> bool:
    return path == STANDARD_INPUT or (path.lower().endswith(".csv") and os.path.isfile(path))


def _walk(folder: str) -> Iterator[Input]:
    """Yields the pictures at any depth in a folder, sorted, with the boxes of the nearest `boxes.csv` above them."""
    nearest: list[_Boxes | None] = [None]  # One for each folder on the branch.
    for path, kind in picture_files.walk(folder):
        if kind is Kind.FOLDER:
            own = os.path.join(path, BOXES_FILE)
            nearest.append(_Boxes(own) if os.path.isfile(own) else nearest[-1])
        elif kind is Kind.END:
            boxes = nearest.pop()
            if boxes and boxes is not nearest[-1]:
                yield from boxes.unused()
        elif kind is Kind.PICTURE and (boxes := nearest[-1]):
            yield from (Input(path, box) for box in boxes.of_picture(path) or [None])
        else:  # Reading an unreadable folder as a picture reports the reason.
            yield Input(path, None)


class _Boxes:
    def __init__(self, path: str) -> None:
        self._folder = os.path.dirname(path)
        self._by_name: dict[str, list[Box | None]] = {}
        self._used: set[str] = set()
        with open(path, "rb") as file:
            self._rows = dict.fromkeys((compose(name), box) for name, box in picture_lists.read_boxes(file, path))
        for name, box in self._rows:
            self._by_name.setdefault(name, []).append(box)

    def of_picture(self, path: str) -> list[Box | None]:
        path = compose(os.path.relpath(path, self._folder or os.curdir).replace(os.sep, "/"))
        for root in _NAME_ROOTS:
            name = path.removeprefix(root)
            if path.startswith(root) and name in self._by_name:
                self._used.add(name)
                return self._by_name[name]
        return []

    def unused(self) -> Iterator[Input]:
        """Yields the rows whose pictures do not exist."""
        for name, box in self._rows:
            if name not in self._used:
                yield Input(_located(self._folder, name), box)


def _located(folder: str, name: str) -> str:
    """Returns the path of a picture in a list, below the list's folder or below one of `_NAME_ROOTS` there."""
    paths = [os.path.join(folder, root, name) for root in _NAME_ROOTS]
    return next(filter(os.path.lexists, paths), paths[0])
