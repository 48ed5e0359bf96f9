"""The file in a folder of sorted pictures that lists all of them before the first is copied or moved.

With it, an interrupted command can continue, and a finished one can be undone: which pictures are done shows on the
disk. The first line is a `Header` as JSON, the others are [label, path]. Then come `SORTED`, when all pictures are
done, and `UNDOING`, when they are being put back.
"""

import dataclasses
import json
import os
import re
from collections.abc import Iterator, Sequence
from typing import IO, Any, NamedTuple

from blur_jax.data import files, moves
from blur_jax.data.untrusted import LineError, Place, excerpt, read_json
from blur_jax.score.results import DISCARD, KEEP

NAME = "undo.jsonl"
_UNFINISHED = f".{NAME}.tmp"
SORTED, UNDOING = "sorted", "undoing"
COPY, LINK, MOVE = "copy", "link", "move"
_FORMAT = 1


class Picture(NamedTuple):
    """A picture to sort: `KEEP` or `DISCARD`, and its path relative to `Header.root`."""

    label: str
    path: str


@dataclasses.dataclass(frozen=True)
class Header:
    """What is sorted, and how.

    Attributes:
        action: `COPY`, `LINK` or `MOVE`.
        root: the absolute path of the folder that contains all pictures.
        table: a hash of the score table.
        created: whether the folder of sorted pictures did not exist.
        folders: the folders in it that did not exist, as relative paths; parents come first.
        temporary: the name of an unfinished copy, in the folder of the picture; no user's file has it.
        pictures: the number of pictures.
        unscored: the number of pictures that stay where they are because they have no score.
        links: the number of symbolic links that stay where they are.
    """

    action: str
    root: str
    table: str
    created: bool
    folders: list[str]
    temporary: str
    pictures: int
    unscored: int
    links: int
    format: int = _FORMAT

    def check(self) -> None:
        """Raises ValueError if a value cannot have been written by this module."""
        valid = (
            self.format == _FORMAT
            and self.action in (COPY, LINK, MOVE)
            and os.path.isabs(self.root)
            and all(map(_is_below, self.folders))
            and re.fullmatch(r"\.blur_jax-[0-9a-f]{16}\.tmp", self.temporary)
        )
        if not valid:
            raise ValueError("the header has an invalid value")


class Log:
    """An open log, which no other process can open; `folder` is the absolute path of the sorted pictures."""

    def __init__(self, folder: str, file: IO[bytes], header: Header, pictures: Sequence[Picture], state: str) -> None:
        self.folder, self.header, self.pictures, self.state = folder, header, pictures, state
        self._file = file

    def mark(self, state: str) -> None:
        """Writes `SORTED` or `UNDOING`, and waits until it is on disk."""
        self._file.write(_line(state))
        self._sync()
        self.state = state

    def paths(self) -> Iterator[tuple[str, str]]:
        """Yields each picture's absolute path before and after sorting."""
        for label, path in self.pictures:
            yield os.path.join(self.header.root, path), os.path.join(self.folder, label, path)

    def temporary(self, path: str) -> str:
        """Returns the path of an unfinished copy of the picture at `path`."""
        return os.path.join(os.path.dirname(path), self.header.temporary)

    def remove(self) -> None:
        """Removes the log, and its folder if that was created for it and contains nothing else."""
        folder = self.folder
        if self.header.created and os.listdir(folder) == [NAME]:
            folder = _hidden(folder)
            os.rename(self.folder, folder)  # The folder disappears with its log, whenever the process is killed.
        os.unlink(os.path.join(folder, NAME))
        if folder != self.folder:
            os.rmdir(folder)

    def close(self) -> None:
        """Lets other processes open the log."""
        self._file.close()

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def exists(folder: str) -> bool:
    return os.path.lexists(os.path.join(folder, NAME))


def create(folder: str, header: Header, pictures: Sequence[Picture]) -> Log:
    """Writes a log to disk, and then gives it its name; creates `folder` if `header.created`.

    Raises ValueError if another process is doing the same.
    """
    place = _hidden(folder) if header.created else folder
    os.makedirs(place, exist_ok=True)
    path = os.path.join(place, _UNFINISHED)
    with files.naming(path):
        file = _locked(path, folder)
        log = Log(folder, file, header, pictures, "")
        try:
            file.truncate(0)
            file.write(_line(dataclasses.asdict(header)))
            file.writelines(map(_line, pictures))
            log._sync()
            if exists(folder):
                raise ValueError(_in_use(folder))
            os.rename(path, os.path.join(place, NAME))
            if header.created:
                os.rename(place, folder)
        except BaseException:
            file.close()
            remove_remains(folder)
            raise
    moves.sync_folder(folder)
    moves.sync_folder(os.path.dirname(folder))
    return log


def load(folder: str) -> Log:
    """Opens the log in a folder.

    Raises:
        FileNotFoundError: there is no log.
        ValueError: it is damaged, or another process uses it.
    """
    path = os.path.join(folder, NAME)
    os.stat(path)  # `_locked` would create it.
    file = _locked(path, folder)
    try:
        file.seek(0)
        header, pictures, state, end = None, [], "", 0
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):  # A kill while `mark` wrote.
                file.truncate(end)
                break
            end += len(line)
            try:
                value = read_json(line)
                if header is None:
                    header = Header(**value)
                    header.check()
                elif value in (SORTED, UNDOING):
                    state = value
                else:
                    pictures.append(_picture(value))
            except (ValueError, TypeError) as error:
                reason = f"the line is damaged ({excerpt(line)}); restore the file, or sort the pictures by hand"
                raise LineError(Place(path, number), reason) from error
        if header is None or len(pictures) != header.pictures:
            raise ValueError(f"{path} is cut short; restore the file, or sort the pictures by hand")
    except BaseException:
        file.close()
        raise
    return Log(folder, file, header, pictures, state)


def remove_remains(folder: str) -> None:
    """Removes what `create` and `Log.remove` leave if they do not finish."""
    hidden = _hidden(folder)
    for path in (os.path.join(hidden, NAME), os.path.join(hidden, _UNFINISHED), os.path.join(folder, _UNFINISHED)):
        moves.discard(path)
    if os.path.isdir(hidden):
        os.rmdir(hidden)


def _hidden(folder: str) -> str:
    """Returns the path of a folder while it is created or removed."""
    parent, name = os.path.split(folder)
    return os.path.join(parent, f".{name}.blur_jax")


def _locked(path: str, folder: str) -> IO[bytes]:
    file = open(path, "a+b")
    try:
        files.lock(file, _in_use(folder))
    except BaseException:
        file.close()
        raise
    return file


def _in_use(folder: str) -> str:
    return f"{folder}: another process is sorting pictures into this folder; wait for it"


def _line(value: Any) -> bytes:
    return json.dumps(value).encode() + b"\n"


def _picture(value: Any) -> Picture:
    match value:
        case [str(label), str(path)] if label in (KEEP, DISCARD) and _is_below(path):
            return Picture(label, path)
    raise ValueError("not a picture")


def _is_below(path: str) -> bool:
    """Returns whether a relative path leads to something below the folder that it is relative to."""
    first = path.split(os.sep)[0]
    return path == os.path.normpath(path) and first not in ("", os.curdir, os.pardir) and "\0" not in path
