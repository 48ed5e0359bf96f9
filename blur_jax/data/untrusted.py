"""What somebody else wrote: JSON, tables and values for messages. Damage is a ValueError, and is never echoed whole."""

import csv
import io
import json
import reprlib
from collections.abc import Iterator, Sequence
from typing import IO, Any, NamedTuple

LONGEST_LINE = 1 << 16  # Characters of a line, and bytes of a path: a longer one is no row, and no file can have it.
_SHOWN = 200  # Characters of a value in a message.

_REPR = reprlib.Repr()
_REPR.maxlevel, _REPR.maxstring, _REPR.maxother, _REPR.maxlong = 2, _SHOWN, _SHOWN, _SHOWN


class Place(NamedTuple):
    """A line of a file, from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class LineError(ValueError):
    """A line that cannot be used: `place` says which, `reason` why."""

    def __init__(self, place: Place, reason: str) -> None:
        """Makes the error, whose message has both."""
        super().__init__(f"{place}: {reason}")
        self.place, self.reason = place, reason


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


def read_table(
    file: IO[bytes], shown: str, required: Sequence[str], *, exact: bool = False
) -> Iterator[tuple[Place, dict[str, str | None]]]:
    """Reads a CSV file with a header, row after row.

    Args:
        file: the table, in UTF-8; other bytes are kept as Python keeps those of file names.
        shown: what errors call it.
        required: columns that it must have, in any order.
        exact: whether it must have no others.

    Yields:
        (where the row ends; {column: text, None where the row is too short; None: texts behind the last column}).

    Raises:
        LineError: it is not such a table.
    """
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    reader = csv.DictReader(_lines(text, shown), strict=True)
    try:
        header = reader.fieldnames = [column.strip() for column in reader.fieldnames or ()]
        names = list(filter(None, header))  # Spreadsheets may add columns without a name.
        if len(set(names)) < len(names):
            raise LineError(Place(shown, 1), f"the header names a column twice: {excerpt(','.join(header))}")
        if not set(required) <= set(names) or (exact and len(names) > len(required)):
            wanted = f"{', '.join(required)}{' and no others' * exact}"
            raise LineError(
                Place(shown, 1), f"the header must name the columns {wanted}; found {excerpt(','.join(header))}"
            )
        for row in reader:
            yield Place(shown, reader.line_num), row
    except csv.Error as error:
        place = Place(shown, reader.reader.line_num)
        raise LineError(place, f"not CSV ({error}); correct or delete the line") from error
    finally:
        text.detach()  # The caller closes the file.


def _lines(text: io.TextIOBase, shown: str) -> Iterator[str]:
    number = 0
    while line := text.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            raise LineError(Place(shown, number), f"a line of more than {LONGEST_LINE:,} characters is no table row")
        yield line
