"""Tables of scores as CSV, JSON lines or Parquet, row after row, and what their columns mean."""

import csv
import io
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import IO, Any

import numpy as np

from blur_jax.data import files
from blur_jax.data.picture_lists import BOX_COLUMNS
from blur_jax.score.journal import Row

ENDINGS = (".csv", ".jsonl", ".parquet")
OK, FAILED = "ok", "failed"
METADATA_KEY = "blur_jax"  # In Parquet's key-value metadata.

# {column: what it holds}; `Scorer.columns` makes "blur" and those after it.
MEANING = {
    "name": "the path of the picture, from where the command ran",
    "x": "left edge of the box of the face, in pixels of the upright picture; empty for a whole picture",
    "y": "top edge of the box",
    "width": "width of the box",
    "height": "height of the box",
    "status": f"{OK}, or {FAILED}: then there is no score",
    "reason": f"why it {FAILED}",
    "blur": "in [0, 1], larger is blurrier",
    "sharpness": "in [0, 100], larger is better: 100 * (1 - blur)",
    "blur_percentile": "in [0, 100], larger is blurrier: the share of the calibration's reference that is sharper",
    "p_blurrier_than_anchor": "in [0, 1], larger is blurrier: how probably people call it blurrier than the anchor",
    "keep": "keep, where blur < keep_below, or discard",
}
_DECIMALS = {"blur": 6, "sharpness": 4, "blur_percentile": 4, "p_blurrier_than_anchor": 6}
_CHUNK = 1 << 14  # Rows in memory, and in a row group of Parquet.


def check_ending(path: str) -> None:
    """Raises ValueError if the ending of an output does not say its format."""
    if not path.lower().endswith(ENDINGS):
        raise ValueError(f"{path}: the ending of --output says the format: {', '.join(ENDINGS)}")


def column_names(columns: Callable[[np.ndarray], Mapping[str, np.ndarray]], *, with_boxes: bool) -> list[str]:
    """Returns the names of the columns of `records`, in order."""
    boxes = BOX_COLUMNS if with_boxes else ()
    return ["name", *boxes, "status", "reason", *columns(np.zeros(1, np.float32))]


def records(
    rows: Iterable[Row], columns: Callable[[np.ndarray], Mapping[str, np.ndarray]], *, with_boxes: bool
) -> Iterator[dict[str, Any]]:
    """Yields a record {column: value} for each row; a missing value is None.

    Args:
        rows: the rows.
        columns: from blur, float32 [n], to {column: [n]}.
        with_boxes: whether there are columns of boxes.
    """
    rows = iter(rows)
    while chunk := list(itertools.islice(rows, _CHUNK)):
        blur = np.array([0.0 if row.blur is None else row.blur for row in chunk], np.float32)
        scores = {name: values.tolist() for name, values in columns(blur).items()}
        for index, row in enumerate(chunk):
            record = {"name": row.name}
            if with_boxes:
                record |= zip(BOX_COLUMNS, row.box or [None] * len(BOX_COLUMNS))
            record |= {"status": OK if row.error is None else FAILED, "reason": row.error}
            values = {name: _rounded(name, column[index]) for name, column in scores.items()}
            yield record | (values if row.error is None else dict.fromkeys(values))


def _rounded(name: str, value: Any) -> Any:
    return round(value, _DECIMALS[name]) if name in _DECIMALS else value


def write(path: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]], metadata: Mapping[str, Any]) -> None:
    """Writes a table in the format of its ending, whole or not at all.

    Bytes of names that are not UTF-8 stay the same in CSV, become lone surrogates in JSON, as in Python, and backslash
    escapes in Parquet.

    Args:
        path: the file.
        columns: the columns, in order, which all records have.
        rows: the records.
        metadata: goes into the table if its format has a place for it: Parquet.
    """
    ending = os.path.splitext(path)[1].lower()
    writer = {".csv": _write_csv, ".jsonl": _write_jsonl, ".parquet": _write_parquet}[ending]
    with files.replacing(path) as temporary, open(temporary, "wb") as file:
        writer(file, columns, rows, metadata)


def _write_csv(file: IO[bytes], columns: Sequence[str], rows: Iterable[Mapping], _: Mapping) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="")
    plain = csv.writer(text, lineterminator="\n")
    quoted = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    plain.writerow(columns)
    for record in rows:
        # Before Python 3.13 the writer does not see that a carriage return needs quotes.
        (quoted if "\r" in record["name"] else plain).writerow([record[column] for column in columns])
    text.detach()


def _write_jsonl(file: IO[bytes], columns: Sequence[str], rows: Iterable[Mapping], _: Mapping) -> None:
    for record in rows:
        file.write(json.dumps({column: record[column] for column in columns}).encode() + b"\n")


def _write_parquet(file: IO[bytes], columns: Sequence[str], rows: Iterable[Mapping], metadata: Mapping) -> None:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise ValueError("writing Parquet needs a package: pip install pyarrow") from error
    kinds = dict.fromkeys(BOX_COLUMNS, pa.int32()) | dict.fromkeys(_DECIMALS, pa.float64())
    fields = [pa.field(column, kinds.get(column, pa.string())) for column in columns]
    schema = pa.schema(fields, metadata={METADATA_KEY: json.dumps(metadata)})
    rows = iter(rows)
    with parquet.ParquetWriter(file, schema) as writer:
        while chunk := list(itertools.islice(rows, _CHUNK)):
            named = [record | {"name": _utf8(record["name"])} for record in chunk]
            writer.write_table(pa.Table.from_pylist(named, schema))


def _utf8(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "backslashreplace")
