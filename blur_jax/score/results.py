"""Reads the score tables that `tables.write` writes."""

import math
import os
from collections.abc import Iterator
from typing import IO, Any, NamedTuple

from blur_jax.data.columns import BOX_COLUMNS
from blur_jax.data.csv_tables import read_table
from blur_jax.data.untrusted import LineError, Place, excerpt, read_json

KEEP, DISCARD = "keep", "discard"
_COLUMNS = ("name", "blur", "keep")


class Result(NamedTuple):
    """A row: a picture or one of its faces.

    `blur` is in [0, 1]; `keep` is `KEEP` or `DISCARD`. Both are None without a score, and `keep` also without a
    threshold.
    """

    name: str
    blur: float | None
    keep: str | None


def read(path: str) -> Iterator[Result]:
    """Yields the rows of a .csv, .jsonl or .parquet table.

    Raises:
        LineError: a row is damaged.
        ValueError: a Parquet table has a name with a backslash, which may stand for bytes that are not UTF-8.
    """
    reader = {".csv": _read_csv, ".jsonl": _read_jsonl, ".parquet": _read_parquet}[os.path.splitext(path)[1].lower()]
    with open(path, "rb") as file:
        for place, row in reader(file, path):
            yield _parse(place, *(row.get(column) for column in _COLUMNS))


def _parse(place: Place, name: Any, blur: Any, keep: Any) -> Result:
    try:
        number = None if blur in (None, "") else float(blur)
    except (TypeError, ValueError):
        number = math.nan
    if not isinstance(name, str) or not name or "\0" in name:
        raise LineError(place, f"{excerpt(name)} is not a file name")
    if number is not None and not 0 <= number <= 1:
        raise LineError(place, f"blur must be a number from 0 to 1, found {excerpt(blur)}")
    if keep not in (None, "", KEEP, DISCARD):
        raise LineError(place, f"keep must be {KEEP}, {DISCARD} or empty, found {excerpt(keep)}")
    return Result(name, number, keep or None)


def _read_csv(file: IO[bytes], path: str) -> Iterator[tuple[Place, dict]]:
    yield from read_table(file, path, ("name", "blur"), ("keep", *BOX_COLUMNS))


def _read_jsonl(file: IO[bytes], path: str) -> Iterator[tuple[Place, dict]]:
    for number, line in enumerate(file, 1):
        try:
            row = read_json(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise LineError(Place(path, number), f"{excerpt(line)} is not a row of a score table")
        yield Place(path, number), row


def _read_parquet(file: IO[bytes], path: str) -> Iterator[tuple[Place, dict]]:
    from pyarrow import parquet

    table = parquet.ParquetFile(file)
    columns = [column for column in _COLUMNS if column in table.schema_arrow.names]
    rows = (row for batch in table.iter_batches(columns=columns) for row in batch.to_pylist())
    for number, row in enumerate(rows, 1):
        if "\\" in (row["name"] or ""):
            raise ValueError(
                f"{path}: {excerpt(row['name'])} has a backslash, so its bytes are ambiguous in Parquet; write the"
                " table as .csv or .jsonl"
            )
        yield Place(path, number), row
