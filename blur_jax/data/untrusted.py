"""Reads untrusted JSON and tables. Damaged input raises ValueError; long values are shortened in error messages."""

import csv
import io
import json
import reprlib
from collections.abc import Iterator, Sequence
from typing import IO, Any, NamedTuple

LONGEST_LINE = 1 << 16  # Characters in a line of a table, or bytes in a path.
_SHOWN = 200  # Characters of a value that a message shows.

_REPR = reprlib.Repr()
_REPR.maxlevel, _REPR.maxstring, _REPR.maxother, _REPR.maxlong = 2, _SHOWN, _SHOWN, _SHOWN
Fields = dict[str | None, Any]  # {column: text, or None if the row is too short; None: texts after the last column}.


class Place(NamedTuple):
    """A line of a file; line numbers start at 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class LineError(ValueError):
    """A line cannot be used; contains the place and the reason."""

    def __init__(self, place: Place, reason: str) -> None:
        super().__init__(f"{place}: {reason}")
        self.place, self.reason = place, reason


def excerpt(value: Any) -> str:
    """Returns the `repr` of a value for a message, limited to about 200 characters and two levels of nesting."""
    text = _REPR.repr(value)
    return text if len(text) <= _SHOWN + 2 else f"{text[:_SHOWN]}..."


def reason(error: BaseException) -> str:
    """Returns the first line of a library's error message, 1 to 300 characters."""
    return (str(error).strip().splitlines() or [repr(error)])[0][:300]


def read_json(text: str | bytes) -> Any:
    """Parses JSON; raises ValueError if it is invalid or nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_table(
    file: IO[bytes], shown: str, required: Sequence[str], *, exact: bool = False
) -> Iterator[tuple[Place, Fields]]:
    """Reads a CSV file with a header; for each row, yields the line where it ends and its fields.

    The file is UTF-8; invalid bytes are decoded like those in file names (surrogateescape). Error messages show `shown`
    as the file name. The required columns may be in any order; if `exact`, other columns are an error.

    Raises:
        LineError: the file is not a table of this format.
    """
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    reader = csv.DictReader(_lines(text, shown), strict=True)
    try:
        header = reader.fieldnames = [column.strip() for column in reader.fieldnames or ()]
        names = list(filter(None, header))  # Spreadsheets may add unnamed columns.
        if len(set(names)) < len(names):
            raise LineError(Place(shown, 1), f"the header has a duplicate column: {excerpt(','.join(header))}")
        if not set(required) <= set(names) or (exact and len(names) > len(required)):
            wanted = f"the header must have the columns {', '.join(required)}{' and no others' * exact}"
            raise LineError(Place(shown, 1), f"{wanted}; found {excerpt(','.join(header))}")
        for row in reader:
            yield Place(shown, reader.line_num), row
    except csv.Error as error:
        line = reader.reader.line_num
        raise LineError(Place(shown, line), f"not valid CSV ({error}); fix or delete the line") from error
    finally:
        text.detach()  # The caller closes the file.


def _lines(text: io.TextIOBase, shown: str) -> Iterator[str]:
    for number, line in enumerate(iter(lambda: text.readline(LONGEST_LINE + 1), ""), 1):
        if len(line) > LONGEST_LINE:
            raise LineError(Place(shown, number), f"the line is longer than {LONGEST_LINE:,} characters; shorten it")
        yield line
