"""Finds the largest face in each picture of a folder, and writes the folder's `boxes.csv`."""

import contextlib
import dataclasses
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tqdm import tqdm

from blur_jax.data import csv_tables, face_boxes, files, names, picture_folder, picture_lists, preprocessing
from blur_jax.data.columns import BOX_COLUMNS, FACE_SCORE, FOUND_BOX_COLUMNS
from blur_jax.data.face_boxes import NO_FACE, Face
from blur_jax.data.picture_folder import PictureFolder
from blur_jax.data.picture_lists import BOXES_FILE
from blur_jax.data.pictures import why_unusable
from blur_jax.data.preprocessing import Preprocessing
from blur_jax.data.untrusted import excerpt

_PROTOCOL = Preprocessing()  # Other protocols read the file, too.
_MOST_SHOWN = 8  # Maximum number of unreadable pictures that are named.


def write_boxes(folder: str) -> list[str]:
    """Writes `boxes.csv`, with the largest face that `face_boxes.find_judgeable` finds in each picture of a folder.

    An existing file is kept, because a person may have corrected it. Pictures without a face, and pictures that cannot
    be read, get no line. The file is written atomically.

    Returns:
        sentences for the user.

    Raises:
        FileNotFoundError, ImportError: as in `face_boxes.check`.
        OSError: the file cannot be written.
        ValueError: as in `face_boxes.check`; or `folder` is not a folder, no picture has a face, or a `boxes.csv`
            exists in other letter case or was written by another program in the meantime.
    """
    picture_folder.check(folder)
    path = os.path.join(folder, BOXES_FILE)
    if os.path.isfile(path):
        return [f"{path} exists and is used as it is; to find the faces again, rename it and rerun the same command"]
    pictures = PictureFolder(folder)
    for other in pictures.others:
        picture_lists.check_table_name(other, BOXES_FILE)
    face_boxes.check()
    tally = _Tally(len(pictures.paths))
    with _threads() as pool, files.replacing(path) as temporary:
        found = zip(pictures.paths, pool.map(_faces, pictures.paths.items()))
        bar = tqdm(found, "finding faces", tally.pictures, unit="picture", disable=None)
        with bar, open(temporary, "wb") as file:
            csv_tables.write_table(file, FOUND_BOX_COLUMNS, _records(bar, tally))
        if not tally.with_face:
            remedy = "omit --faces to use whole pictures"
            raise ValueError("; ".join([f"{path} is not written: {tally}", *tally.reasons(), remedy]))
        if os.path.lexists(path):
            raise ValueError(f"{path} was written by another program in the meantime; rerun the same command to use it")
    return [*tally.reasons(), f"{path}: {tally}; if a box is wrong, correct or delete its line"]


@dataclasses.dataclass
class _Tally:
    """The numbers of pictures; `unreadable` is {name: reason}."""

    pictures: int
    with_face: int = 0
    with_several: int = 0
    without_face: int = 0
    unreadable: dict[str, str] = dataclasses.field(default_factory=dict)

    def __str__(self) -> str:
        several = f" (in {self.with_several:,}, the largest of several)" * (self.with_several > 0)
        without = f", left out {self.without_face:,} without a face" * (self.without_face > 0)
        unreadable = f", left out {len(self.unreadable):,} that cannot be read" * bool(self.unreadable)
        return f"found a face in {self.with_face:,} of {self.pictures:,} pictures{several}{without}{unreadable}"

    def reasons(self) -> list[str]:
        lines = [f"left out {excerpt(name)}: {reason}" for name, reason in self.unreadable.items()]
        more = [f"left out {len(lines) - _MOST_SHOWN:,} more that cannot be read"] * (len(lines) > _MOST_SHOWN)
        return lines[:_MOST_SHOWN] + more


def _records(found: Iterable[tuple[str, list[Face] | str]], tally: _Tally) -> Iterator[dict[str, Any]]:
    """Yields the line of each picture that has a face, given (name, faces or the reason why there are none)."""
    for name, faces in found:
        if faces == NO_FACE:
            tally.without_face += 1
        elif isinstance(faces, str):
            tally.unreadable[name] = faces
        else:
            tally.with_face += 1
            tally.with_several += len(faces) > 1
            yield {"name": name, **dict(zip(BOX_COLUMNS, faces[0].box)), FACE_SCORE: round(faces[0].score, 6)}


def _faces(picture: tuple[str, str]) -> list[Face] | str:
    """Returns the faces in a picture, given its name and path, largest first; or the reason why there are none."""
    name, path = picture
    if not names.is_utf_8(name):
        return "its name is not valid UTF-8"
    try:
        return face_boxes.find_judgeable(preprocessing.to_image(path), _PROTOCOL)
    except Exception as error:  # One bad picture must not stop the search in thousands of others.
        return why_unusable(error)


@contextlib.contextmanager
def _threads() -> Iterator[ThreadPoolExecutor]:
    """Yields one thread per core; an error or Ctrl-C in the block cancels what has not started."""
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
