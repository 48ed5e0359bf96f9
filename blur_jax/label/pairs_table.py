"""Derives `pairs.csv` from the answer log, and keeps the lines that a person or another tool has written."""

import csv
import io
import os
from collections.abc import Callable, Iterable, Sequence

from blur_jax.data import files
from blur_jax.data.columns import ORDERS, PAIR_COLUMNS
from blur_jax.data.csv_tables import check_length, read_table
from blur_jax.data.left_out import LeftOut
from blur_jax.data.untrusted import LineError, Place, excerpt
from blur_jax.label.answers import Line, Lines, Pair

PAIRS_FILE = "pairs.csv"

Find = Callable[[str], str | None]  # Returns a picture's name as spelled on disk, or None.


def read(path: str) -> list[Line]:
    """Reads `pairs.csv` as `folder_face_blur` does; a missing file has no lines.

    Raises:
        LineError: the file is not valid CSV, has unknown columns, or has an order that is not 1, -1 or 0.
        OSError: the file cannot be read.
    """
    if not os.path.exists(path):
        return []
    lines, left_out = [], LeftOut()
    with open(path, "rb") as file:
        for place, fields in read_table(file, path, *PAIR_COLUMNS, left_out=left_out):
            check_length(place, fields)
            if "" in fields:
                left_out.columns[path] = ["(without a name)"]
            line = Line(*((fields.get(column) or "").strip() for column in Line._fields))
            if line.order not in ORDERS:
                raise LineError(
                    place, f"order must be 1, -1 or 0, found {excerpt(line.order)}; correct or delete the line"
                )
            lines.append(line)
    if unknown := left_out.columns.get(path):  # They would be lost when the file is written again.
        raise LineError(Place(path, 1), f"the columns {excerpt(','.join(unknown))} are unknown; delete them")
    return lines


def order_of(line: Line) -> int:
    """Returns the order of a line that `read` accepts."""
    return ORDERS[line.order]


def foreign(lines: Iterable[Line], given: Lines) -> list[Line]:
    """Returns the lines that the log has never given: those from a person or another tool, or edited since."""
    return [line for line in lines if line not in given.ever]


def merged(lines: Iterable[Line], given: Lines, find: Find) -> list[Line]:
    """Returns the lines of the new `pairs.csv`, given those of the current one.

    Foreign lines come first, as they are. A pair that a foreign line orders for the same person is not repeated: a
    line that was edited by hand replaces the answer.
    """
    kept = foreign(lines, given)
    keys = {(line.annotator, pair_of(line, find)) for line in kept}
    return kept + [line for key, line in given.current.items() if key not in keys]


def pair_of(line: Line, find: Find) -> Pair:
    """Returns the pictures of a line, as spelled on disk if they exist."""
    return frozenset(find(name) or name for name in (line.left, line.right))


def to_csv(lines: Sequence[Line]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([Line._fields, *lines])
    return text.getvalue()


def update(path: str, given: Lines, find: Find) -> list[Line]:
    """Brings `pairs.csv` up to date atomically and returns its foreign lines; leaves a current file as it is.

    Raises the same errors as `read`, and OSError if the file cannot be written.
    """
    lines = read(path)
    wanted = merged(lines, given, find)
    if wanted != lines:
        with files.replacing(os.path.realpath(path)) as temporary, open(temporary, "wb") as file:
            file.write(to_csv(wanted).encode("utf-8", "surrogateescape"))
    return foreign(lines, given)
