"""Lists of pictures: CSV with a column `name` and maybe a box, or plain paths."""

import os
import re
from collections.abc import Iterator
from typing import IO, NamedTuple

from blur_jax.data.preprocessing import Box
from blur_jax.data.untrusted import LONGEST_LINE, excerpt, read_table

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
        ValueError: it is not such a list; the message names the line.
    """
    for where, fields in read_table(file, shown, ("name",)):
        yield parse_row(where, fields)


def parse_row(where: str, fields: dict[str, str | None]) -> Row:
    """Returns the row of a list that has the column `name`, and all four of `BOX_COLUMNS` or none.

    Args:
        where: what errors call the row.
        fields: its texts by column, as of `untrusted.read_table`.

    Raises:
        ValueError: the name or the box is none.
    """
    name, boxed = fields["name"], [column for column in BOX_COLUMNS if column in fields]
    if not name or "\0" in name:
        raise ValueError(f"{where}: the name is empty, or no file can have it: {excerpt(name)}")
    if not boxed:
        return Row(name, None)
    if len(boxed) < len(BOX_COLUMNS):
        raise ValueError(
            f"{where}: line 1 must name the columns name, or name,x,y,width,height; of the box it names {boxed} alone"
        )
    texts = [(fields[column] or "").strip() for column in BOX_COLUMNS]
    if not any(texts):
        return Row(name, None)
    if not all(re.fullmatch(r"-?[0-9]{1,9}", text) for text in texts):
        raise ValueError(
            f"{where}: the box {excerpt(','.join(texts))} is not four whole numbers of pixels: x,y,width,height"
        )
    return Row(name, tuple(map(int, texts)))


def read_paths(file: IO[bytes], shown: str) -> Iterator[Row]:
    """Reads a CSV list, known by its header, or paths: one a line, or NUL after each as `find -print0` writes them.

    Raises:
        ValueError: as `read_csv`; or a path is longer than any can be.
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
                f"{shown}: {excerpt(path[:LONGEST_LINE])} goes on for more than {LONGEST_LINE:,} bytes and is no path;"
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
        if len(rest) > LONGEST_LINE:  # Whoever reads on would gather it for ever.
            break
    yield rest
