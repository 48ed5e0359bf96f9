"""The pictures of a folder that may be compared: those that `folder_face_blur` accepts in `pairs.csv`."""

import hashlib
import os
from typing import NamedTuple

from blur_jax.data import contents, names, picture_folder, picture_lists
from blur_jax.data.csv_tables import read_table
from blur_jax.data.picture_files import IMAGES, UNLABELED
from blur_jax.data.picture_folder import PictureFolder
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
    """Identifies a picture's file and its box; returns "" if the file does not exist."""
    record = contents.record(photo.path)
    return "" if record is None else hashlib.blake2b(f"{record} {photo.box}".encode(), digest_size=8).hexdigest()


def to_json(photo: Photo) -> dict[str, str]:
    """Returns what the page needs to show a picture."""
    return {"id": photo.id, "version": version(photo), "name": photo.name}


class Photos:
    """The n pictures of a folder, sorted by name.

    `left_out` is {reason: number of pictures}; `find` is `PictureFolder.find`.
    """

    def __init__(self, folder: str, *, with_tests: bool = False) -> None:
        """Finds the pictures, without reading them; those in `ranked.csv` only `with_tests`.

        Raises:
            ValueError: there are fewer than two usable pictures, or `boxes.csv` or `ranked.csv` is damaged.
        """
        picture_folder.check(folder)
        self.folder, pictures = folder, PictureFolder(folder)
        self.find = pictures.find
        paths = {name: path for name, path in pictures.paths.items() if _is_writable(name)}
        boxes, ranked = self._boxes(), set() if with_tests else self._ranked()
        counts = {
            f"neither in {IMAGES}/ nor in {UNLABELED}/": pictures.outside,
            "names that a line of pairs.csv cannot hold; rename them": len(pictures.paths) - len(paths),
            f"in both {IMAGES}/ and {UNLABELED}/; rename or delete one": len(pictures.repeated),
            "without a box in boxes.csv": 0 if boxes is None else sum(name not in boxes for name in paths),
            "test pictures in ranked.csv": len(ranked),
        }
        self.left_out = {why: count for why, count in counts.items() if count}
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

    def sentences(self) -> list[str]:
        """Returns one sentence for each reason that pictures are left out."""
        return [f"left out {count:,} pictures: {why}" for why, count in self.left_out.items()]

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
                    raise LineError(place, f"{excerpt(row.name)} already has a box; {picture_lists.ONE_BOX}")
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


def _is_writable(name: str) -> bool:
    """Returns whether a name survives a round trip through `pairs.csv`, whose fields are stripped."""
    return names.is_utf_8(name) and name == name.strip() and "\0" not in name and len(name.splitlines()) == 1
