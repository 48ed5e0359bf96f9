"""The pictures of a folder that may be compared: those that `folder_face_blur` accepts in `pairs.csv`."""

import hashlib
import os
from collections import Counter
from typing import NamedTuple

from blur_jax.data import names, picture_files, picture_lists
from blur_jax.data.csv_tables import read_table
from blur_jax.data.picture_files import IMAGES, UNLABELED, Kind
from blur_jax.data.preprocessing import Box
from blur_jax.data.untrusted import LineError, Place, excerpt

RANKED_FILE = "ranked.csv"


class Photo(NamedTuple):
    """A picture's name in `pairs.csv`, its path, and the face box in pixels; None means the whole picture."""

    name: str
    path: str
    box: Box | None

    @property
    def id(self) -> str:
        """Identifies the picture in addresses, which therefore cannot name any other file."""
        return hashlib.blake2b(self.name.encode(), digest_size=12).hexdigest()


def version(photo: Photo) -> str:
    """Identifies the content of a picture's file and its box; raises OSError if the file does not exist."""
    status = os.stat(photo.path)
    text = f"{status.st_mtime_ns} {status.st_size} {status.st_ino} {photo.box}"
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def to_json(photo: Photo) -> dict[str, str]:
    """Returns what the page needs to show a picture; the version of a picture that was deleted is ""."""
    try:
        current = version(photo)
    except OSError:
        current = ""
    return {"id": photo.id, "version": current, "name": photo.name}


class Photos:
    """The n pictures of a folder, sorted by name; `left_out` is {reason: number of pictures}."""

    def __init__(self, folder: str, *, with_tests: bool = False) -> None:
        """Finds the pictures, without reading them; those in `ranked.csv` only `with_tests`.

        Raises:
            ValueError: there are fewer than two usable pictures, or `boxes.csv` or `ranked.csv` is damaged.
        """
        if not os.path.isdir(folder):
            raise ValueError(f"{folder} is not a folder; pass a folder of pictures{names.hint(folder)}")
        self.folder, self.left_out = folder, Counter()
        paths = dict(sorted(_walk(folder, self.left_out)))
        self._known = names.Known(paths)
        boxes, ranked = self._boxes(), set() if with_tests else self._ranked()
        if boxes is not None:
            self.left_out["without a box in boxes.csv"] = sum(name not in boxes for name in paths)
        self.left_out["test pictures in ranked.csv"] = len(ranked)
        usable = [name for name in paths if name not in ranked and (boxes is None or name in boxes)]
        self.photos = [Photo(name, paths[name], boxes[name] if boxes else None) for name in usable]
        self.row = {name: row for row, name in enumerate(usable)}
        self.row_of_id = {photo.id: row for row, photo in enumerate(self.photos)}
        if len(usable) < 2:
            raise ValueError(
                "; ".join([f"{folder}: there are no two pictures to compare; add some", *self.sentences()])
            )

    def __len__(self) -> int:
        return len(self.photos)

    def find(self, name: str) -> str | None:
        """Returns a picture's name as spelled on disk, or None if the folder has no such picture."""
        known = self._known.find(name)
        if known is None:
            name = names.normalize(name).removeprefix(f"{names.normalize(os.path.abspath(self.folder))}/")
            known = self._known.find(name.removeprefix(f"{IMAGES}/").removeprefix(f"{UNLABELED}/"))
        return known

    def sentences(self) -> list[str]:
        """Returns one sentence for each reason that pictures are left out."""
        return [f"left out {count:,} pictures: {why}" for why, count in self.left_out.items() if count]

    def _boxes(self) -> dict[str, Box] | None:
        path = os.path.join(self.folder, picture_lists.BOXES_FILE)
        if not os.path.isfile(path):
            return None
        boxes = {}
        with open(path, "rb") as file:
            for place, fields in picture_lists.boxes_table(file, path):
                row = picture_lists.parse_boxed_row(place, fields)
                name = self.find(row.name)
                if name in boxes:
                    raise LineError(place, f"{excerpt(row.name)} already has a box; delete one of the two lines")
                if name is not None and row.box is not None:
                    boxes[name] = row.box
        return boxes

    def _ranked(self) -> set[str]:
        path = os.path.join(self.folder, RANKED_FILE)
        if not os.path.isfile(path):
            return set()
        with open(path, "rb") as file:
            rows = list(read_table(file, path, ("name", "rank")))
        found = {self.find(_name(place, fields["name"])) for place, fields in rows}
        return {name for name in found if name is not None}


def _name(place: Place, text: str | None) -> str:
    if not text:
        raise LineError(place, "the line has no name; add it, or delete the line")
    return text


def _walk(folder: str, left_out: Counter) -> list[tuple[str, str]]:
    """Returns (name, path) of each picture, named as in tables; a name in both folders counts once."""
    has_images = os.path.isdir(os.path.join(folder, IMAGES))
    tops = [os.path.join(folder, top, "") for top in (IMAGES, UNLABELED)] if has_images else [os.path.join(folder, "")]
    found: dict[str, str] = {}
    for path, kind in picture_files.walk(os.path.join(folder, "")):
        if kind is not Kind.PICTURE or os.path.isdir(path):
            continue
        top = next((top for top in tops if path.startswith(top)), None)
        name = None if top is None else path[len(top) :].replace(os.sep, "/")
        if name is None:
            left_out[f"neither in {IMAGES}/ nor in {UNLABELED}/"] += 1
        elif not _is_writable(name):
            left_out["names that a line of pairs.csv cannot hold; rename them"] += 1
        elif name in found:
            left_out[f"in both {IMAGES}/ and {UNLABELED}/; rename or delete one"] += 1
        else:
            found[name] = path
    return list(found.items())


def _is_writable(name: str) -> bool:
    """Returns whether a name survives a round trip through `pairs.csv`, whose fields are stripped."""
    utf_8 = name == name.encode(errors="ignore").decode()
    return utf_8 and name == name.strip() and "\0" not in name and len(name.splitlines()) == 1
