"""Reads untrusted CSV tables, and writes tables, row by row."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, Any

from blur_jax.data import columns
from blur_jax.data.left_out import LeftOut
from blur_jax.data.untrusted import LONGEST_LINE, LineError, Place

Fields = dict[str | None, Any]  # {column: text, or None if the row is too short; None: any extra texts}.


def read_table(
    file: IO[bytes],
    shown: str,
    required: Sequence[str],
    optional: Sequence[str] = (),
    *,
    left_out: LeftOut | None = None,
) -> Iterator[tuple[Place, Fields]]:
    """Reads a CSV file with a header; yields (the line where the row ends, its fields) for each row.

    The file is UTF-8; invalid bytes are decoded like those in file names (surrogateescape). Error messages use `shown`
    as the file name. Columns may be in any order (see `columns.match`). Columns that are neither required nor optional
    are counted in `left_out`.

    Raises:
        LineError: the file is not valid CSV, or its header is invalid.
    """
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    reader = csv.DictReader(_lines(text, shown), strict=True)
    try:
        header = reader.fieldnames or ()
        try:
            header = reader.fieldnames = columns.match(header, required, optional)
        except ValueError as error:
            raise LineError(Place(shown, 1), str(error)) from error
        if left_out is not None and (unread := columns.unread(header, required, optional)):
            left_out.columns[shown] = unread
        for row in reader:
            yield Place(shown, reader.line_num), row
    except csv.Error as error:
        line = reader.reader.line_num
        raise LineError(Place(shown, line), f"not valid CSV ({error}); fix or delete the line") from error
    finally:
        text.detach()  # The caller closes the file.


def write_table(file: IO[bytes], columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes a CSV file with a header; `rows` are {column: value}, with a name.

    Bytes in names that are not UTF-8 stay the same.
    """
    text = io.TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="")
    plain = csv.writer(text, lineterminator="\n")
    quoted = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    plain.writerow(columns)
    for row in rows:
        # Before Python 3.13, `csv.writer` does not quote carriage returns.
        (quoted if "\r" in row["name"] else plain).writerow([row[column] for column in columns])
    text.detach()


def check_length(place: Place, fields: Fields) -> None:
    """Raises LineError if a row of `read_table` has more or fewer fields than the header."""
    missing, extra = sum(text is None for text in fields.values()), len(fields.get(None) or ())
    if missing or extra:
        expected = len(fields) - (None in fields)
        reason = (
            f"the row has {expected - missing + extra} fields but the header has {expected};"
            " quote names that contain commas"
        )
        raise LineError(place, reason)


def _lines(text: io.TextIOBase, shown: str) -> Iterator[str]:
    for number, line in enumerate(iter(lambda: text.readline(LONGEST_LINE + 1), ""), 1):
        if len(line) > LONGEST_LINE:
            raise LineError(Place(shown, number), f"the line is longer than {LONGEST_LINE:,} characters; shorten it")
        yield line
