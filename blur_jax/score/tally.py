"""Counts what the rows of a score table say, as they arrive, and summarizes it."""

import array
import collections
import dataclasses
import hashlib
import json
from collections.abc import Iterable

import numpy as np

from blur_jax.data.contents import State
from blur_jax.data.face_boxes import NO_FACE
from blur_jax.score import flags
from blur_jax.score.journal import Rows

# Blur with a sigma below half the reduction hardly changes a score (docs/scoring.md). Above a reduction of 4, this
# includes a sigma of 2 pixels, which removes all detail finer than 4 pixels and looks blurred at full size.
REDUCED = 4


@dataclasses.dataclass(frozen=True)
class Summary:
    """A summary of a table's rows.

    Attributes:
        rows: the number of rows.
        failed: the number of rows without a score, except for those that `no_face` counts.
        with_boxes: whether any row has a box.
        inputs: a hash of the inputs' names and boxes.
        records: a hash of all inputs' `contents.State.record`.
        contents: a hash of all inputs' `contents.State.content`.
        reduced: the number of pictures whose reduction is above `REDUCED`.
        flags: {flag: number of pictures}.
        faces: the number of faces that were found.
        photographs: the number of pictures in which they were found.
        no_face: the number of pictures in which no face was found.
        kept: the number of scores below the threshold; None without a threshold.
    """

    rows: int
    failed: int
    with_boxes: bool
    inputs: str
    records: str
    contents: str
    reduced: int = 0
    flags: dict[str, int] = dataclasses.field(default_factory=dict)
    faces: int = 0
    photographs: int = 0
    no_face: int = 0
    kept: int | None = None

    @property
    def without_score(self) -> int:
        return self.failed + self.no_face

    @property
    def pictures(self) -> int:
        return self.rows - self.faces + self.photographs

    def __str__(self) -> str:
        scored = self.rows - self.without_score
        kept = "" if self.kept is None else f" ({self.kept:,} kept, {scored - self.kept:,} discarded)"
        counts = [f"{scored:,} scored{kept}", f"{self.failed:,} failed"]
        counts += [f"{self.no_face:,} without a face"] * (self.no_face > 0)
        return ", ".join(counts) + "; see the reason column" * (self.without_score > 0)

    def warnings(self) -> list[str]:
        """Returns the number of faces, if any were looked for, and warnings about unreliable or missing scores."""
        sentences = []
        if self.faces or self.no_face:
            sentences.append(f"found {self.faces:,} faces in {self.photographs:,} pictures")
        if self.no_face:
            sentences.append(
                f"warning: no face was found in {self.no_face:,} pictures, and blurred faces are missed more often than"
                " clear ones; without these pictures, the rest looks sharper than it is"
            )
        if self.flags:
            counts = ", ".join(f"{count:,} {flag}" for flag, count in self.flags.items())
            sentences.append(f"warning: {counts}; the scores of these pictures mean little (see the flags column)")
        if self.reduced:
            sentences.append(
                f"warning: {self.reduced:,} pictures are reduced by more than a factor of {REDUCED}, which hides fine"
                " blur (see the reduction column); pass --tiles to add scores at full size"
            )
        return sentences


class Tally:
    """Running totals over all rows; `blur` takes four bytes per row, with NaN for a missing score.

    `looks`, for groups, takes about 120 bytes per row. `best`, the best tile's blur or else `blur`, decides which
    picture is the best in a group.
    """

    def __init__(self, keep_below: float | None = None) -> None:
        self._keep_below = keep_below
        self.inputs, self.blur, self.best, self.looks = 0, array.array("f"), array.array("f"), []
        self._failed, self._no_face, self._faces, self._photographs, self._with_boxes = 0, 0, 0, 0, False
        self._inputs, self._records, self._contents = hashlib.sha256(), hashlib.sha256(), hashlib.sha256()
        self._reduced, self._flags = 0, collections.Counter()

    def add(self, inputs: Iterable[Rows]) -> None:
        for rows in inputs:
            self.inputs += 1
            self._photographs += rows[0].found is not None
            self._inputs.update(json.dumps(rows[0].input).encode())
            self.add_file(rows[0].file)
            self._add_rows(rows)

    def _add_rows(self, rows: Rows) -> None:
        for row in rows:
            self.blur.append(np.nan if row.blur is None else row.blur)
            self.best.append(row.tiles.best if row.tiles else self.blur[-1])
            self.looks.append(row.look)
            self._reduced += row.reduction is not None and row.reduction > REDUCED
            self._flags.update((row.flags or "").split())
            self._failed += row.error is not None and row.error != NO_FACE
            self._no_face += row.error == NO_FACE
            self._faces += row.found is not None
            self._with_boxes |= row.box is not None

    def add_file(self, file: State) -> None:
        self._records.update(f"{file.record}\n".encode())
        self._contents.update(f"{file.content}\n".encode())

    def summary(self) -> Summary:
        counts = {flag: self._flags[flag] for flag in flags.NAMES if flag in self._flags}
        hashes = (digest.hexdigest()[:16] for digest in (self._inputs, self._records, self._contents))
        faces = (self._faces, self._photographs, self._no_face)
        kept = None if self._keep_below is None else int(np.sum(np.array(self.blur) < self._keep_below))
        return Summary(len(self.blur), self._failed, self._with_boxes, *hashes, self._reduced, counts, *faces, kept)
