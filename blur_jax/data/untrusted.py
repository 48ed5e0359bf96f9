"""What somebody else wrote: JSON, tables and values for messages. Damage is a ValueError, and is never echoed whole."""

import csv
import io
import json
import reprlib
from collections.abc import Iterator, Sequence
from typing import IO, Any

LONGEST_LINE = 1 << 16  # Characters of a line, and bytes of a path: a longer one is no row, and no file can have it.
_SHOWN = 200  # Characters of a value in a message.

_REPR = reprlib.Repr()
_REPR.maxlevel, _REPR.maxstring, _REPR.maxother, _REPR.maxlong = 2, _SHOWN, _SHOWN, _SHOWN


def excerpt(value: Any) -> str:
    """Returns the `repr` of a value for a message: at most about 200 characters, and two levels deep."""
    text = _REPR.repr(value)
    return text if len(text) <= _SHOWN + 2 else f"{text[:_SHOWN]}..."


def reason(error: Exception) -> str:
    """Returns the first line of what an error of a library says, at most 300 characters; never an empty text."""
    return (str(error).strip().splitlines() or [repr(error)])[0][:300]


def read_json(text: str | bytes) -> Any:
    """Parses JSON; raises ValueError for anything else, also for what Python's parser gives up on."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_table(file: IO[bytes], shown: str, required: Sequence[str]) -> Iterator[tuple[str, dict[str, str | None]]]:
    """Reads a CSV file with a header, row after row.

    Args:
        file: the table, in UTF-8; other bytes are kept as Python keeps those of file names.
        shown: what errors call it.
        required: columns that it must have; others may be there, too.

    Yields:
        (where the row is, such as "faces.csv:3"; {column: text, None where the row is too short}).

    Raises:
        ValueError: it is no such table; the message names the line.
    """
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    reader = csv.DictReader(_lines(text, shown))
    try:
        header = [column.strip() for column in reader.fieldnames or ()]
        if not set(required) <= set(header):
            raise ValueError(
                f"{shown}: line 1 must name the columns {', '.join(required)}; found {excerpt(','.join(header))}"
            )
        reader.fieldnames = header
        for row in reader:
            yield f"{shown}:{reader.line_num}", row
    except csv.Error as error:
        raise ValueError(f"{shown}:{reader.reader.line_num}: not CSV ({error}); correct or delete the line") from error
    finally:
        text.detach()  # Whoever opened the file closes it.


def _lines(text: io.TextIOBase, shown: str) -> Iterator[str]:
    number = 0
    while line := text.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            raise ValueError(f"{shown}:{number}: a line of more than {LONGEST_LINE:,} characters is no row of a table")
        yield line
