"""Reads a folder of pictures and its tables once for all parts of the data set."""

import functools
import os
from typing import NamedTuple

from blur_jax.data import likeness, pictures
from blur_jax.data.preprocessing import Box, Preprocessing, check_judgeable, crop_and_resize
from tfds_builders import schema
from tfds_builders.folder_face_blur import splits
from tfds_builders.folder_face_blur.layout import Layout, read_layout
from tfds_builders.folder_face_blur.tables import PAIRS, RANKED, Tables, read_tables
from tfds_builders.folder_face_blur.votes import Combined, combine
from tfds_builders.pictures import Failure, content_of, encode_png, in_threads


class Look(NamedTuple):
    """A picture's width and height in pixels, and its hash from `likeness.look`."""

    width: int
    height: int
    hash: str


class Sources:
    """A folder of pictures and its tables; both are read on first use."""

    def __init__(self, manual_dir: str | os.PathLike, preprocessing: Preprocessing) -> None:
        self._manual_dir, self._preprocessing = manual_dir, preprocessing

    @functools.cached_property
    def layout(self) -> Layout:
        return read_layout(self._manual_dir)

    @functools.cached_property
    def tables(self) -> Tables:
        return read_tables(self.layout)

    @functools.cached_property
    def combined(self) -> Combined:
        return combine(self.tables.votes or [])

    @functools.cached_property
    def uses(self) -> dict[str, tuple[str, int]]:
        """{picture: file and line of the first pair or rank that uses it}."""
        uses = {}
        for vote in self.tables.votes or []:
            for name in (vote.left, vote.right):
                uses.setdefault(name, (PAIRS, vote.line))
        for name, ranked in (self.tables.ranks or {}).items():
            uses.setdefault(name, (RANKED, ranked.line))
        return uses

    @functools.cached_property
    def wanted(self) -> list[str]:
        """The pictures to store, sorted; if boxes.csv exists, only pictures with a box."""
        boxes = self.tables.boxes
        return splits.chosen((name for name in self.layout.paths if boxes is None or name in boxes), self.uses)

    def box(self, name: str) -> Box | None:
        """Returns the face box in a wanted picture, or None if the face is the whole picture."""
        return self.tables.boxes[name].box if self.tables.boxes is not None else None

    @functools.cached_property
    def faces_fingerprint(self) -> str:
        """The `digest` of the picture names, boxes and contents."""
        paths = self.layout.paths
        content = content_of(paths[name] for name in self.wanted)
        return schema.digest([[name, self.box(name), content[paths[name]]] for name in self.wanted])

    @functools.cached_property
    def fingerprint(self) -> str:
        """The `digest` of the labels and the faces."""
        votes = [list(vote) for vote in self.tables.votes or []]
        ranks = [[name, ranked.rank] for name, ranked in (self.tables.ranks or {}).items()]
        return schema.digest([votes, ranks, self.faces_fingerprint])

    @functools.cached_property
    def faces(self) -> dict[str, tuple[bytes, Look] | Failure]:
        """{wanted picture: (face as PNG, look), or failure}; each picture is decoded once."""
        return dict(zip(self.wanted, in_threads(self._read, self.wanted, faces=len(self.wanted))))

    def _read(self, name: str) -> list[tuple[bytes, Look] | Failure]:
        box, kind = self.box(name), "unreadable image"
        try:
            image = pictures.decode(self.layout.paths[name])
            kind = "box outside"
            face = crop_and_resize(image, box, self._preprocessing)
            kind = "too small"
            check_judgeable(image.size, box, self._preprocessing)
        except (ValueError, OSError) as error:
            return [Failure(kind, str(error))]
        return [(encode_png(face), Look(*image.size, likeness.look(image)))]
