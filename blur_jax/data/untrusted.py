"""Reads untrusted text. Damaged input raises ValueError; long values are shortened in error messages."""

import json
import reprlib
from typing import Any, NamedTuple

LONGEST_LINE = 1 << 16  # Characters in a line of a table, or bytes in a path.
_SHOWN = 200  # Maximum number of characters of a value in a message.

_REPR = reprlib.Repr()
_REPR.maxlevel, _REPR.maxstring, _REPR.maxother, _REPR.maxlong = 2, _SHOWN, _SHOWN, _SHOWN


class Place(NamedTuple):
    """A line of a file; line numbers start at 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class LineError(ValueError):
    """A line cannot be used; the error contains its place and the reason."""

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
