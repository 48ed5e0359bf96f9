"""What is to be scored: files, folders, globs, lists with boxes and standard input, one picture after the other.

The names of one branch of folders, a boxes.csv and a digest of each picture are held in memory.
"""

import glob
import hashlib
import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from typing import IO, Any, NamedTuple

from blur_jax.data import picture_files, picture_lists
from blur_jax.data.picture_files import Kind, compose
from blur_jax.data.picture_lists import BOXES_FILE
from blur_jax.data.preprocessing import Box

STANDARD_INPUT = "-"
_NAME_ROOTS = ("", f"{picture_files.IMAGES}/", f"{picture_files.UNLABELED}/")  # Names in boxes.csv may leave these out.


class Input(NamedTuple):
    """A picture to score.

    Attributes:
        name: its path, from where the command runs.
        box: (x, y, width, height) of the face, in pixels of the upright picture; None means the whole picture.
    """

    name: str
    box: Box | None


class Inputs:
    """All pictures that were asked for, in a fixed order, each once; can be gone through several times."""

    def __init__(
        self, paths: Sequence[str], *, shard: tuple[int, int] = (0, 1), standard_input: IO[bytes] | None = None
    ) -> None:
        """Reads standard input to its end, where it is asked for, and checks the lists.

        Args:
            paths: pictures; folders, with everything below them; globs; lists (`.csv`, see `picture_lists.read_csv`),
                whose names are relative to their folder; "-" for paths or a list on standard input (see
                `picture_lists.read_paths`).
            shard: (i, n) takes the i-th of n parts, i from 0. The part of a picture depends only on its name.
            standard_input: where "-" reads from.

        Raises:
            ValueError: a list is damaged, a glob matches nothing, or i is not below n.
            OSError: a list cannot be read.
        """
        if not 0 <= shard[0] < shard[1]:
            raise ValueError(f"shard {shard[0]}/{shard[1]}: i of i/n counts from 0 to {shard[1] - 1}")
        self._paths, self._shard = list(map(os.fspath, paths)), shard
        if STANDARD_INPUT in self._paths:
            self._spool = tempfile.NamedTemporaryFile(prefix="blur_jax_")
            shutil.copyfileobj(standard_input, self._spool)
            self._spool.flush()
            weakref.finalize(self, self._spool.close)
        for path in self._paths:
            if is_list(path):
                for _ in self._rows(path):
                    pass

    def __iter__(self) -> Iterator[Input]:
        """Yields the pictures.

        Raises:
            ValueError: there is none (a shard may have none), or a boxes.csv is damaged.
        """
        nothing, seen = True, set()
        for picture in self._all():
            nothing = False
            if self._is_ours(picture.name) and (digest := _digest(picture)) not in seen:
                seen.add(digest)
                yield picture
        if nothing:
            endings = " ".join(picture_files.ENDINGS)
            raise ValueError(f"there are no pictures in {', '.join(self._paths)}; pictures end in {endings}")

    def identity(self) -> dict[str, Any]:
        """Returns what was asked for, JSON-serializable."""
        return {"inputs": self._paths, "shard": list(self._shard)}

    def _is_ours(self, name: str) -> bool:
        index, count = self._shard
        digest = hashlib.blake2b(os.fsencode(os.path.normpath(name)), digest_size=8).digest()
        return int.from_bytes(digest, "big") % count == index

    def _all(self) -> Iterator[Input]:
        for path in self._paths:
            if is_list(path):
                yield from self._listed(path)
            elif os.path.isdir(path):
                yield from _walk(path)
            elif glob.has_magic(path) and not os.path.lexists(path):
                yield from _matches(path)
            else:
                yield Input(path, None)

    def _rows(self, path: str) -> Iterator[picture_lists.Row]:
        standard_input = path == STANDARD_INPUT
        with open(self._spool.name if standard_input else path, "rb") as file:
            if standard_input:
                yield from picture_lists.read_paths(file, "standard input")
            else:
                yield from picture_lists.read_csv(file, path)

    def _listed(self, path: str) -> Iterator[Input]:
        for name, box in self._rows(path):
            yield Input(name if path == STANDARD_INPUT else _located(os.path.dirname(path), name), box)


def _digest(picture: Input) -> bytes:
    """Returns 16 bytes that two pictures share only if they are the same file with the same box."""
    text = os.fsencode(os.path.abspath(picture.name)) + f"\0{picture.box}".encode()
    return hashlib.blake2b(text, digest_size=16).digest()


def is_list(path: str) -> bool:
    """Whether a PATH is a list, or standard input, rather than a picture or a folder."""
    return path == STANDARD_INPUT or (path.lower().endswith(".csv") and os.path.isfile(path))


def _matches(pattern: str) -> Iterator[Input]:
    paths = sorted(glob.iglob(pattern, recursive=True))
    if not paths:
        raise ValueError(f"{pattern}: matches no file")
    for path in paths:
        if os.path.isdir(path):
            yield from _walk(path)
        elif picture_files.is_picture(os.path.basename(path)):
            yield Input(path, None)


def _walk(folder: str) -> Iterator[Input]:
    """Yields the pictures at any depth of a folder, sorted, with the boxes of the nearest `boxes.csv` above them."""
    nearest = [None]  # For each folder of the branch.
    for path, kind in picture_files.walk(folder):
        if kind is Kind.FOLDER:
            own = os.path.join(path, BOXES_FILE)
            nearest.append(_Boxes(own) if os.path.isfile(own) else nearest[-1])
        elif kind is Kind.END:
            boxes = nearest.pop()
            if boxes is not nearest[-1]:
                yield from boxes.unused()
        elif kind is Kind.PICTURE and nearest[-1]:
            yield from (Input(path, box) for box in nearest[-1].of_picture(path) or [None])
        else:  # Reading an unreadable folder as a picture will say why it cannot be read.
            yield Input(path, None)


class _Boxes:
    """The rows of a boxes.csv by name."""

    def __init__(self, path: str) -> None:
        self._folder = os.path.dirname(path)
        self._by_name: dict[str, list[Box]] = {}
        self._used: set[str] = set()
        with open(path, "rb") as file:
            # Each row once, in the order of the file.
            self._rows = dict.fromkeys((compose(name), box) for name, box in picture_lists.read_boxes(file, path))
        for name, box in self._rows:
            self._by_name.setdefault(name, []).append(box)

    def of_picture(self, path: str) -> list[Box]:
        """Returns the boxes of a picture, in the order of the file."""
        path = compose(os.path.relpath(path, self._folder or os.curdir).replace(os.sep, "/"))
        for root in _NAME_ROOTS:
            name = path.removeprefix(root)
            if path.startswith(root) and name in self._by_name:
                self._used.add(name)
                return self._by_name[name]
        return []

    def unused(self) -> Iterator[Input]:
        """Yields the rows that are of no picture."""
        for name, box in self._rows:
            if name not in self._used:
                yield Input(_located(self._folder, name), box)


def _located(folder: str, name: str) -> str:
    """Returns where a picture of a list is: below its folder, or where `_NAME_ROOTS` says."""
    paths = [os.path.join(folder, root, name) for root in _NAME_ROOTS]
    return next(filter(os.path.lexists, paths), paths[0])
