"""Writes score tables as CSV, JSON lines or Parquet, row by row, and describes their columns."""

import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import IO, Any

import numpy as np

from blur_jax.data import csv_tables, files
from blur_jax.data.columns import BOX_COLUMNS, FACE_SCORE
from blur_jax.data.face_boxes import NO_FACE
from blur_jax.score.groups import Groups
from blur_jax.score.journal import Row

ENDINGS = (".csv", ".jsonl", ".parquet")
OK, FAILED, WITHOUT_FACE = "ok", "failed", "no_face"
METADATA_KEY = "blur_jax"  # The key in Parquet's key-value metadata.

# {column: description}; `Scorer.columns` returns the columns from "blur" to "keep".
MEANING = {
    "name": "path of the picture, relative to the folder where the command ran",
    "x": "left edge of the face box, in pixels of the upright picture; empty for a whole picture",
    "y": "top edge of the box",
    "width": "width of the box",
    "height": "height of the box",
    FACE_SCORE: "in [0, 1], larger is surer: the detector's score of the face; empty for a box that was supplied",
    "faces": "number of faces found in the picture; empty for a box that was supplied",
    "status": f"{OK}; if the score is missing, {FAILED} or {WITHOUT_FACE} (no face was found)",
    "reason": "why the score is missing",
    "blur": "in [0, 1], larger is blurrier",
    "sharpness": "in [0, 100], larger is better: 100 * (1 - blur)",
    "blur_percentile": "in [0, 100], larger is blurrier: the percentage of the reference set that is sharper",
    "p_blurrier_than_anchor": "in [0, 1], larger is blurrier: the probability of being called blurrier than the anchor",
    "keep": "keep if blur < keep_below, otherwise discard",
    "reduction": "picture pixels per pixel that the network sees, along each side; below 1 if enlarged",
    "flags": "dark, blank or overexposed, separated by spaces, if the score means little; usually empty",
    "best_tile": "in [0, 1], larger is blurrier: the least blur of any tile at full size",
    "worst_tile": "in [0, 1], larger is blurrier: the most blur of any tile at full size",
    "group": "number of the group of pictures that look the same, from 1",
    "best_of_group": "best for the sharpest picture in each group, by best_tile or else by blur; otherwise empty",
}
FACES, TILES, GROUPS = (FACE_SCORE, "faces"), ("best_tile", "worst_tile"), ("group", "best_of_group")
BEST = "best"
_DECIMALS = {
    "blur": 6,
    "sharpness": 4,
    "blur_percentile": 4,
    "p_blurrier_than_anchor": 6,
    "reduction": 3,
    "best_tile": 6,
    "worst_tile": 6,
}
_CHUNK = 1 << 14  # Rows held in memory, and rows per Parquet row group.

Record = dict[str, Any]
Columns = Callable[[np.ndarray], Mapping[str, np.ndarray]]  # Maps blur, float32 [n], to {column: [n]}.


def column_names(
    columns: Columns,
    *,
    with_boxes: bool,
    with_faces: bool = False,
    with_tiles: bool = False,
    with_groups: bool = False,
) -> list[str]:
    """Returns the columns of `records`, in order."""
    places = BOX_COLUMNS * with_boxes + FACES * with_faces
    scores = columns(np.zeros(1, np.float32))
    extras = TILES * with_tiles + GROUPS * with_groups
    return ["name", *places, "status", "reason", *scores, "reduction", "flags", *extras]


def records(
    rows: Iterable[Row],
    columns: Columns,
    *,
    with_boxes: bool,
    with_faces: bool = False,
    with_tiles: bool = False,
    groups: Groups | None = None,
) -> Iterator[Record]:
    """Yields a record {column: value} for each row; a missing value is None. `groups` has a value for each row."""
    rows, done = iter(rows), 0
    while chunk := list(itertools.islice(rows, _CHUNK)):
        blur = np.array([0.0 if row.blur is None else row.blur for row in chunk], np.float32)
        scores = {name: values.tolist() for name, values in columns(blur).items()}
        scores |= {"reduction": [row.reduction for row in chunk], "flags": [row.flags for row in chunk]}
        if with_tiles:
            scores |= zip(TILES, zip(*(row.tiles[:2] if row.tiles else (None, None) for row in chunk)))
        if groups is not None:
            number, best = (values[done : done + len(chunk)] for values in groups)
            scores |= zip(GROUPS, (number.tolist(), np.where(best, BEST, "").tolist()))
        done += len(chunk)
        for index, row in enumerate(chunk):
            record: Record = {"name": row.name}
            if with_boxes:
                record |= zip(BOX_COLUMNS, row.box or [None] * len(BOX_COLUMNS))
            if with_faces:
                record |= zip(FACES, (face_score(row), _faces(row)))
            record |= {"status": _status(row), "reason": row.error}
            for name, column in scores.items():
                value = column[index] if row.error is None else None
                record[name] = round(value, _DECIMALS[name]) if value is not None and name in _DECIMALS else value
            yield record


def face_score(row: Row) -> float | None:
    """Returns the detector's score as tables show it; None unless the row's box was found."""
    return round(row.found.score, 6) if row.found else None


def _faces(row: Row) -> int | None:
    if row.found:
        return row.found.faces
    return 0 if row.error == NO_FACE else None


def _status(row: Row) -> str:
    if row.error is None:
        return OK
    return WITHOUT_FACE if row.error == NO_FACE else FAILED


def write(path: str, columns: Sequence[str], rows: Iterable[Record], metadata: Mapping[str, Any]) -> None:
    """Writes records atomically, in the format of the path's extension; Parquet files also contain the metadata.

    Bytes in names that are not UTF-8 stay the same in CSV, become lone surrogates in JSON (as in Python), and become
    backslash escapes in Parquet.
    """
    ending = os.path.splitext(path)[1].lower()
    writer = {".csv": _write_csv, ".jsonl": _write_jsonl, ".parquet": _write_parquet}[ending]
    with files.replacing(path) as temporary, open(temporary, "wb") as file:
        writer(file, columns, rows, metadata)


def _write_csv(file: IO[bytes], columns: Sequence[str], rows: Iterable[Record], _: Mapping) -> None:
    csv_tables.write_table(file, columns, rows)


def _write_jsonl(file: IO[bytes], columns: Sequence[str], rows: Iterable[Record], _: Mapping) -> None:
    for record in rows:
        file.write(json.dumps({column: record[column] for column in columns}).encode() + b"\n")


def _write_parquet(file: IO[bytes], columns: Sequence[str], rows: Iterable[Record], metadata: Mapping) -> None:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise ValueError("a .parquet --output needs the pyarrow package; run pip install pyarrow") from error
    kinds = dict.fromkeys([*BOX_COLUMNS, "faces", "group"], pa.int32()) | dict.fromkeys(
        [*_DECIMALS, FACE_SCORE], pa.float64()
    )
    fields = [pa.field(column, kinds.get(column, pa.string())) for column in columns]
    schema = pa.schema(fields, metadata={METADATA_KEY: json.dumps(metadata)})
    rows = iter(rows)
    with parquet.ParquetWriter(file, schema) as writer:
        while chunk := list(itertools.islice(rows, _CHUNK)):
            for record in chunk:
                record["name"] = os.fsencode(record["name"]).decode("utf-8", "backslashreplace")
            writer.write_table(pa.Table.from_pylist(chunk, schema))
