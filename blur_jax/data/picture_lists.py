"""Lists of pictures: CSV with a column `name` and maybe a box, `boxes.csv` of a folder, or plain paths."""

import os
import re
from collections.abc import Iterator
from typing import IO, NamedTuple

from blur_jax.data.preprocessing import Box
from blur_jax.data.untrusted import LONGEST_LINE, LineError, Place, excerpt, read_table

BOXES_FILE = "boxes.csv"
BOX_COLUMNS = ("x", "y", "width", "height")


class Row(NamedTuple):
    """A row of a list: a path as it is written there, and a box or None for the whole picture."""

    name: str
    box: Box | None


def read_csv(file: IO[bytes], shown: str) -> Iterator[Row]:
    """Reads a CSV list, row after row.

    Args:
        file: the list, in UTF-8; other bytes in names are kept as Python keeps those of file names. It needs a header
            with `name`; with `x`, `y`, `width` and `height` rows may have boxes, in whole pixels. Other columns are
            ignored.
        shown: what errors call it.

    Raises:
        LineError: it is not such a list.
    """
    for place, fields in read_table(file, shown, ("name",)):
        yield parse_row(place, fields)


def read_boxes(file: IO[bytes], shown: str) -> Iterator[Row]:
    """Reads a `boxes.csv`, row after row, in UTF-8 like `read_csv`; it has a name and a box in each row.

    Raises:
        LineError: it is not such a table.
    """
    for place, fields in boxes_table(file, shown):
        yield parse_boxed_row(place, fields)


def boxes_table(file: IO[bytes], shown: str) -> Iterator[tuple[Place, dict[str, str | None]]]:
    """As `read_boxes`, before rows are parsed, so that the caller may continue after a bad one."""
    return read_table(file, shown, ("name", *BOX_COLUMNS), exact=True)


def parse_boxed_row(place: Place, fields: dict[str, str | None]) -> Row:
    """As `parse_row`, for a row that must have a box."""
    row = parse_row(place, fields)
    if row.box is None:
        raise LineError(place, f"{excerpt(row.name)} has no box; give x,y,width,height or delete the line")
    return row


def parse_row(place: Place, fields: dict[str, str | None]) -> Row:
    """Returns the row of a list that has the column `name`, and all four of `BOX_COLUMNS` or none of them.

    Args:
        place: where the row is.
        fields: its texts by column, from `untrusted.read_table`.

    Raises:
        LineError: the row has more or fewer fields than the header, no file can have its name, or its box is not four
            whole numbers.
    """
    missing, extra = sum(text is None for text in fields.values()), len(fields.get(None) or ())
    if missing or extra:
        columns = len(fields) - (None in fields)
        reason = f"the row has {columns - missing + extra} fields, the header {columns}; quote names that have a comma"
        raise LineError(place, reason)
    name, boxed = fields["name"], [column for column in BOX_COLUMNS if column in fields]
    if not name or "\0" in name:
        raise LineError(place, f"the name is empty, or no file can have it: {excerpt(name)}")
    if not boxed:
        return Row(name, None)
    if len(boxed) < len(BOX_COLUMNS):
        raise LineError(place, f"the header must name all of x,y,width,height or none; it names only {','.join(boxed)}")
    texts = [fields[column].strip() for column in BOX_COLUMNS]
    if not any(texts):
        return Row(name, None)
    if not all(re.fullmatch(r"-?[0-9]{1,9}", text) for text in texts):
        box = excerpt(",".join(texts))
        raise LineError(place, f"the box {box} is not four whole numbers of pixels: x,y,width,height")
    return Row(name, tuple(map(int, texts)))


def read_paths(file: IO[bytes], shown: str) -> Iterator[Row]:
    """Reads a CSV list, known by its header, or paths: one a line, or NUL after each as `find -print0` writes them.

    Raises:
        ValueError: as for `read_csv`; or a path is longer than a path can be.
    """
    start = file.read(1 << 16)
    file.seek(0)
    columns = start.partition(b"\n")[0].decode("utf-8-sig", "replace").strip().split(",")
    if "name" in [column.strip() for column in columns]:
        yield from read_csv(file, shown)
        return
    for path in _split(file, b"\0" if b"\0" in start else b"\n"):
        if len(path) > LONGEST_LINE:
            raise ValueError(
                f"{shown}: {excerpt(path[:LONGEST_LINE])} has more than {LONGEST_LINE:,} bytes, so it is not a path;"
                " give one path a line, or NUL after each"
            )
        path = path if b"\0" in start else path.removesuffix(b"\r")
        if path:
            yield Row(os.fsdecode(path), None)


def _split(file: IO[bytes], end: bytes) -> Iterator[bytes]:
    rest = b""
    while chunk := file.read(1 << 16):
        *whole, rest = (rest + chunk).split(end)
        yield from whole
        if len(rest) > LONGEST_LINE:  # Reading on might never end.
            break
    yield rest
