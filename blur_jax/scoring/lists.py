"""Lists of pictures: CSV with a column `name` and maybe a box, or plain paths."""

import csv
import io
import os
import re
from collections.abc import Iterator
from typing import IO, NamedTuple

from blur_jax.preprocessing import Box

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
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    reader = csv.DictReader(text)
    try:
        header = [column.strip() for column in reader.fieldnames or ()]
        boxed = [column for column in BOX_COLUMNS if column in header]
        if "name" not in header or len(boxed) not in (0, len(BOX_COLUMNS)):
            raise ValueError(
                f"{shown}: line 1 must name the columns name, or name,x,y,width,height; found {','.join(header)!r}"
            )
        reader.fieldnames = header
        for row in reader:
            name = row["name"]
            if not name or "\0" in name:
                raise ValueError(f"{shown}:{reader.line_num}: the name is empty, or no file can have it: {name!r}")
            yield Row(name, _box(row, f"{shown}:{reader.line_num}") if boxed else None)
    except csv.Error as error:
        raise ValueError(f"{shown}:{reader.line_num}: not CSV ({error})") from error
    finally:
        text.detach()  # Whoever opened the file closes it.


def _box(row: dict[str, str | None], place: str) -> Box | None:
    texts = [(row[column] or "").strip() for column in BOX_COLUMNS]
    if not any(texts):
        return None
    if not all(re.fullmatch(r"-?[0-9]{1,9}", text) for text in texts):
        raise ValueError(f"{place}: the box {','.join(texts)!r} is not four whole numbers of pixels: x,y,width,height")
    return tuple(map(int, texts))


def read_paths(file: IO[bytes], shown: str) -> Iterator[Row]:
    """Reads a CSV list, known by its header, or paths: one a line, or NUL after each as `find -print0` writes them.

    Raises:
        ValueError: as `read_csv`.
    """
    start = file.read(1 << 16)
    file.seek(0)
    columns = start.partition(b"\n")[0].decode("utf-8-sig", "replace").strip().split(",")
    if "name" in [column.strip() for column in columns]:
        yield from read_csv(file, shown)
        return
    for path in _split(file, b"\0" if b"\0" in start else b"\n"):
        path = path if b"\0" in start else path.removesuffix(b"\r")
        if path:
            yield Row(os.fsdecode(path), None)


def _split(file: IO[bytes], end: bytes) -> Iterator[bytes]:
    rest = b""
    while chunk := file.read(1 << 16):
        *whole, rest = (rest + chunk).split(end)
        yield from whole
    yield rest
