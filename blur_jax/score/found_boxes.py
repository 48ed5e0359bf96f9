"""Writes the boxes of a score table's faces as a list to correct, to score, or to rename to boxes.csv.

The file is never replaced, since people correct it.
"""

import filecmp
import os
from collections.abc import Iterable

from blur_jax.data import files
from blur_jax.data.columns import BOX_COLUMNS, FACE_SCORE, FOUND_BOX_COLUMNS
from blur_jax.data.csv_tables import write_table
from blur_jax.data.picture_lists import BOXES_FILE
from blur_jax.score import tables
from blur_jax.score.journal import Row, path_of

_KEEP = "already exists and may have been corrected; rename it, or use a different --boxes"


def check(path: str, output: str, *, overwrite: bool) -> None:
    """Raises ValueError if the boxes of the table `output` could not be written to `path`."""
    files.check_output("--boxes", path, (".csv",), ())
    if os.path.basename(path).lower() == BOXES_FILE:
        raise ValueError(
            f"--boxes={path}: a {BOXES_FILE} would change what the same command scores next time; use a different name,"
            " and rename the file once you have corrected it"
        )
    if os.path.abspath(path) == os.path.abspath(output):
        raise ValueError(f"--boxes={path} is also the --output; choose a different file name")
    complete, unfinished = os.path.exists(output) and not overwrite, os.path.exists(path_of(output))
    if os.path.exists(path) and not complete and not unfinished:
        raise ValueError(f"--boxes={path} {_KEEP}")


def write(path: str, rows: Iterable[Row]) -> None:
    """Writes the rows that have a box: name,x,y,width,height,face_score; the score of a supplied box is empty.

    Names are relative to the file's folder if the pictures are below it, and absolute otherwise.

    Raises:
        ValueError: the file already exists with different contents.
    """
    folder = os.path.dirname(path) or os.curdir
    records = (
        {"name": _name(row.name, folder), **dict(zip(BOX_COLUMNS, row.box)), FACE_SCORE: tables.face_score(row)}
        for row in rows
        if row.box is not None
    )
    with files.replacing(path) as temporary:
        with open(temporary, "wb") as file:
            write_table(file, FOUND_BOX_COLUMNS, records)
        if os.path.exists(path) and not filecmp.cmp(temporary, path, shallow=False):
            raise ValueError(f"{path} {_KEEP}")


def _name(name: str, folder: str) -> str:
    relative = os.path.relpath(name, folder)
    return os.path.abspath(name) if relative.split(os.sep)[0] == os.pardir else relative
