"""The pictures to score, from files, folders, globs, lists with boxes and standard input.

Only the names and boxes in one branch of folders, and a digest of each picture, are held in memory.
"""

import fnmatch
import glob
import hashlib
import itertools
import os
import shutil
import sys
import tempfile
import weakref
from collections.abc import Iterator, Sequence
from typing import IO, Any, NamedTuple

from blur_jax.data import names, picture_files, picture_lists
from blur_jax.data.left_out import LeftOut
from blur_jax.data.picture_files import Kind
from blur_jax.data.picture_lists import BOXES_FILE
from blur_jax.data.preprocessing import Box

STANDARD_INPUT = "-"
_NAME_ROOTS = ("", f"{picture_files.IMAGES}/", f"{picture_files.UNLABELED}/")  # Names in boxes.csv may omit these.


class Input(NamedTuple):
    """A picture's path, and the box of its face in pixels of the upright picture; None means the whole picture."""

    name: str
    box: Box | None


class Inputs:
    """The pictures to score, each once, in a fixed order; can be iterated repeatedly.

    After a complete iteration, `left_out` states what is not scored.
    """

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
        self._paths = [path if path == STANDARD_INPUT else names.locate("", path) for path in map(os.fspath, paths)]
        self._shard, self.left_out = shard, LeftOut()
        if STANDARD_INPUT in self._paths:
            self._spool = tempfile.NamedTemporaryFile(prefix="blur_jax_")
            shutil.copyfileobj(standard_input or sys.stdin.buffer, self._spool)
            self._spool.flush()
            weakref.finalize(self, self._spool.close)
        for path in self._paths:
            if is_list(path):
                for _ in self._rows(path, LeftOut()):
                    pass

    def __iter__(self) -> Iterator[Input]:
        """Yields the pictures; raises ValueError if there are none, or a glob matches nothing or a list is damaged."""
        empty, seen, left_out = True, set(), LeftOut()
        index, count = self._shard
        for picture, table in self._all(left_out):
            empty = False
            part = int.from_bytes(_digest(os.path.normpath(picture.name), size=8), "big") % count
            digest = _digest(os.path.abspath(picture.name), f"\0{picture.box}")
            if part == index and digest not in seen:
                seen.add(digest)
                yield picture
            elif part == index and table:
                left_out.repeats[table] += 1
        self.left_out = left_out
        if empty:
            endings = " ".join(picture_files.ENDINGS)
            text = f"no pictures found in {', '.join(self._paths)}; their names must end in {endings}"
            raise ValueError("; ".join([text, *left_out.sentences()]))

    def identity(self) -> dict[str, Any]:
        """Returns the arguments as JSON values."""
        return {"inputs": self._paths, "shard": list(self._shard)}

    def _all(self, left_out: LeftOut) -> Iterator[tuple[Input, str]]:
        """Yields each picture and the list that it is from, or ""; adds to `left_out`."""
        for path in self._paths:
            if is_list(path):
                folder = "" if path == STANDARD_INPUT else os.path.dirname(path)
                for name, box in self._rows(path, left_out):
                    yield Input(located(folder, name), box), path
            elif os.path.isdir(path):
                yield from _walk(path, left_out)
            elif glob.has_magic(path) and not os.path.lexists(path):
                for match in _matches(path):
                    if os.path.isdir(match):
                        yield from _walk(match, left_out)
                    elif picture_files.is_picture(os.path.basename(match)):
                        yield Input(match, None), ""
                    else:
                        left_out.add_file(match)
            else:
                yield Input(path, None), ""

    def _rows(self, path: str, left_out: LeftOut) -> Iterator[picture_lists.Row]:
        if path == STANDARD_INPUT:
            with open(self._spool.name, "rb") as file:
                yield from picture_lists.read_paths(file, "standard input", left_out)
        else:
            with open(path, "rb") as file:
                yield from picture_lists.read_csv(file, path, left_out)


def _matches(pattern: str) -> list[str]:
    """Returns the sorted paths that match a glob, without those in a matching folder; raises ValueError if none do."""
    parts, found, within = pattern.split("/"), [], None
    if "**" in parts:  # With two links back to a parent folder, `glob` would visit 2^40 paths.
        fixed = next(index for index, part in enumerate(parts) if glob.has_magic(part))
        folder = "/".join(parts[:fixed]) or ("/" if fixed else os.curdir)
        for path, kind in picture_files.walk(folder):
            if within in (None, path):
                within = None
                if kind is not Kind.END and _fits(os.path.relpath(path, folder).split(os.sep), parts[fixed:]):
                    found.append(path)
                    within = path if kind is Kind.FOLDER else None
    else:
        found = glob.glob(pattern)
    if not found:
        raise ValueError(f"{pattern}: no file matches this pattern; correct the pattern")
    return sorted(found)


def _fits(names: Sequence[str], patterns: Sequence[str]) -> bool:
    names = [name for name in names if name != os.curdir]
    if not patterns:
        return not names
    if patterns[0] == "**":
        return any(_fits(names[start:], patterns[1:]) for start in range(len(names) + 1))
    return bool(names) and fnmatch.fnmatchcase(names[0], patterns[0]) and _fits(names[1:], patterns[1:])


def _digest(name: str, box: str = "", *, size: int = 16) -> bytes:
    return hashlib.blake2b(os.fsencode(name) + box.encode(), digest_size=size).digest()


def is_list(path: str) -> bool:
    return path == STANDARD_INPUT or (path.lower().endswith(".csv") and os.path.isfile(path))


def _walk(folder: str, left_out: LeftOut) -> Iterator[tuple[Input, str]]:
    """Yields the pictures at any depth in a folder, sorted, with the boxes of the nearest `boxes.csv` above them."""
    nearest: list[_Boxes | None] = [None]  # One for each folder on the branch.
    for path, kind in picture_files.walk(folder):
        if kind is Kind.FOLDER:
            own = os.path.join(path, BOXES_FILE)
            nearest.append(_Boxes(own, left_out) if os.path.isfile(own) else nearest[-1])
        elif kind is Kind.END:
            boxes = nearest.pop()
            if boxes and boxes is not nearest[-1]:
                yield from ((picture, "") for picture in boxes.unused())
        elif kind is Kind.LINK:
            left_out.add_link(path)
        elif kind is Kind.OTHER:
            picture_lists.check_table_name(path, BOXES_FILE)
            left_out.add_file(path)
        elif kind is Kind.PICTURE and (boxes := nearest[-1]):
            yield from ((Input(path, box), "") for box in boxes.of_picture(path) or [None])
        else:  # Reading an unreadable folder as a picture reports the reason.
            yield Input(path, None), ""


class _Boxes:
    def __init__(self, path: str, left_out: LeftOut) -> None:
        self._folder = os.path.dirname(path)
        self._by_name: dict[str, list[Box | None]] = {}
        self._used: set[str] = set()
        with open(path, "rb") as file:
            rows = [(names.normalize(name), box) for name, box in picture_lists.read_boxes(file, path)]
        self._rows = dict.fromkeys(rows)
        if repeats := len(rows) - len(self._rows):
            left_out.repeats[path] += repeats
        for name, box in self._rows:
            self._by_name.setdefault(name, []).append(box)

    def of_picture(self, path: str) -> list[Box | None]:
        path = names.normalize(os.path.relpath(path, self._folder or os.curdir))
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
                yield Input(located(self._folder, name), box)


def located(folder: str, name: str) -> str:
    """Returns the path of a picture in a list, below the list's folder or below one of `_NAME_ROOTS` there."""
    paths = [os.path.join(folder, root, name) for root in _NAME_ROOTS]
    spelled = (names.locate(os.path.join(folder, root), name) for root in _NAME_ROOTS)  # Takes ten times as long.
    return next(filter(os.path.lexists, itertools.chain(paths, spelled)), paths[0])
