"""Reads picture lists: CSV with a `name` column and optional boxes, a folder's `boxes.csv`, or plain paths."""

import codecs
import os
import re
from collections.abc import Iterator
from typing import IO, NamedTuple

from blur_jax.data import columns
from blur_jax.data.columns import BOX_COLUMNS, FACE_SCORE
from blur_jax.data.csv_tables import Fields, check_length, read_table
from blur_jax.data.left_out import LeftOut
from blur_jax.data.preprocessing import Box
from blur_jax.data.untrusted import LONGEST_LINE, LineError, Place, excerpt

BOXES_FILE = "boxes.csv"
ONE_BOX = (
    "each picture must have one box here: delete its other lines; or rename the file, and run blur_jax.label or"
    " tfds_builders.prepare with --faces, which takes the largest face"
)


class Row(NamedTuple):
    """A row in a list: the path as written there, and a box (None means the whole picture)."""

    name: str
    box: Box | None


def read_csv(file: IO[bytes], shown: str, left_out: LeftOut | None = None) -> Iterator[Row]:
    """Reads a CSV list (see `read_table`) row by row.

    The list has a `name` column. If it also has `x`, `y`, `width` and `height`, rows may have boxes in whole pixels.
    Other columns, except for `face_score`, are counted in `left_out`.

    Raises:
        LineError: the list is malformed.
    """
    for place, fields in read_table(file, shown, ("name",), (*BOX_COLUMNS, FACE_SCORE), left_out=left_out):
        yield parse_row(place, fields)


def read_boxes(file: IO[bytes], shown: str) -> Iterator[Row]:
    """Reads a `boxes.csv` like `read_csv`; each row has a name and a box."""
    for place, fields in boxes_table(file, shown):
        yield parse_boxed_row(place, fields)


def check_table_name(path: str, *tables: str) -> None:
    """Raises ValueError if a file name differs from one of `tables` only in letter case."""
    folder, name = os.path.split(path)
    if name not in tables and name.lower() in tables and not os.path.exists(os.path.join(folder, name.lower())):
        raise ValueError(f"{path}: rename the file to {name.lower()}; its current name is not recognized")


def boxes_table(file: IO[bytes], shown: str) -> Iterator[tuple[Place, Fields]]:
    """Yields the unparsed rows of a `boxes.csv`, so the caller can continue after a bad row."""
    return read_table(file, shown, ("name", *BOX_COLUMNS))


def parse_boxed_row(place: Place, fields: Fields) -> Row:
    """Parses a row like `parse_row`, but requires a box."""
    row = parse_row(place, fields)
    if row.box is None:
        raise LineError(place, f"{excerpt(row.name)} has no box; add x,y,width,height or delete the line")
    return row


def parse_row(place: Place, fields: Fields) -> Row:
    """Parses a `read_table` row that has a `name` column and either all or none of `BOX_COLUMNS`.

    Raises:
        LineError: the row has more or fewer fields than the header, its name is not a valid file name, only some of
            `BOX_COLUMNS` exist, or its box is not four whole numbers.
    """
    check_length(place, fields)
    name, boxed = fields["name"], [column for column in BOX_COLUMNS if column in fields]
    if not name or "\0" in name:
        raise LineError(place, f"{excerpt(name)} is not a valid file name; fix or delete the row")
    if not boxed:
        return Row(name, None)
    if len(boxed) < len(BOX_COLUMNS):
        raise LineError(
            place, f"the header must have all of x,y,width,height or none of them; it has only {','.join(boxed)}"
        )
    texts = [fields[column].strip() for column in BOX_COLUMNS]
    if not any(texts):
        return Row(name, None)
    if not all(re.fullmatch(r"-?[0-9]{1,9}", text) for text in texts):
        box = excerpt(",".join(texts))
        raise LineError(place, f"the box {box} must be four whole numbers: x,y,width,height in pixels")
    x, y, width, height = map(int, texts)
    return Row(name, (x, y, width, height))


def read_paths(file: IO[bytes], shown: str, left_out: LeftOut | None = None) -> Iterator[Row]:
    """Reads a CSV list (recognized by its header) or paths, one per line or NUL-terminated (`find -print0`).

    Raises:
        ValueError: a CSV list is malformed (see `read_csv`), or a path is too long.
    """
    start = file.read(1 << 16)
    file.seek(0)
    first = start.partition(b"\n")[0].decode("utf-8-sig", "replace").strip()
    if columns.names_pictures(first) or start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        yield from read_csv(file, shown, left_out)
        return
    for path in _split(file, b"\0" if b"\0" in start else b"\n"):
        if len(path) > LONGEST_LINE:
            raise ValueError(
                f"{shown}: {excerpt(path[:LONGEST_LINE])} has more than {LONGEST_LINE:,} bytes, so it is not a path;"
                " put each path on its own line, or terminate each path with NUL"
            )
        if path := path if b"\0" in start else path.removesuffix(b"\r"):
            yield Row(os.fsdecode(path), None)


def _split(file: IO[bytes], end: bytes) -> Iterator[bytes]:
    rest = b""
    while chunk := file.read(1 << 16):
        *whole, rest = (rest + chunk).split(end)
        yield from whole
        if len(rest) > LONGEST_LINE:  # The line may never end.
            break
    yield rest
