"""The tables next to the pictures, parsed and checked line by line without reading a picture.

- `pairs.csv`: `left,right,order[,annotator,time]`; +1 if the right picture is blurrier, -1 if the left is, 0 for a tie;
- `boxes.csv`: `name,x,y,width,height`; the face box in pixels of the upright picture;
- `ranked.csv`: `name,rank`; test faces, where a larger rank is blurrier;
- `attributes.csv`: `name`, then columns of 0 or 1 with any names; who or what a test face shows.

Files are UTF-8 with a header; a byte order mark, CRLF line endings and blank lines are accepted. Names in `boxes.csv`
must match exactly (see `picture_lists.read_boxes`); spaces around other fields are ignored.
"""

import contextlib
import csv
import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

from blur_jax.data import columns, picture_lists
from blur_jax.data.preprocessing import Box
from blur_jax.data.untrusted import LineError
from tfds_builders.folder_face_blur.layout import TABLES, Layout
from tfds_builders.problems import LONGEST_LINE, Problem

PAIRS, BOXES, RANKED, ATTRIBUTES = TABLES
COLUMNS = {  # {file: (required, optional)}; `attributes.csv` may have any others.
    PAIRS: columns.PAIR_COLUMNS,
    RANKED: (("name", "rank"), ()),
    ATTRIBUTES: (("name",), ()),
}


class Vote(NamedTuple):
    """A line of `pairs.csv`; `annotator` may be empty."""

    line: int
    left: str
    right: str
    order: int
    annotator: str


class Boxed(NamedTuple):
    """A line of `boxes.csv`."""

    line: int
    box: Box


class Ranked(NamedTuple):
    """A line of `ranked.csv`."""

    line: int
    rank: float


class Described(NamedTuple):
    """A line of `attributes.csv`: {column: whether it is 1}."""

    line: int
    attributes: dict[str, bool]


@dataclasses.dataclass
class Tables:
    """The valid lines of each table, keyed by name except for `votes`; None if the table is missing."""

    votes: list[Vote] | None = None
    boxes: dict[str, Boxed] | None = None
    ranks: dict[str, Ranked] | None = None
    attributes: dict[str, Described] | None = None
    problems: list[Problem] = dataclasses.field(default_factory=list)
    warnings: list[Problem] = dataclasses.field(default_factory=list)


def read_tables(layout: Layout) -> Tables:
    tables = Tables()
    if (layout.root / PAIRS).is_file():
        tables.votes = list(_read_votes(tables, layout))
    if (layout.root / BOXES).is_file():
        tables.boxes = _read_boxes(tables, layout)
    if (layout.root / RANKED).is_file():
        tables.ranks = _read_ranks(tables, layout)
    if (layout.root / ATTRIBUTES).is_file():
        tables.attributes = _read_attributes(tables, layout)
    return tables


def _fields(raw: bytes) -> list[str]:
    """Splits a table line into fields; raises ValueError if its format is wrong."""
    if len(raw) > LONGEST_LINE:
        raise ValueError(f"the line has {len(raw)} bytes; at most {LONGEST_LINE} are allowed")
    try:
        (fields,) = csv.reader([raw.decode("utf-8")], strict=True)
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8: {raw[:80]!r}") from error
    except csv.Error as error:
        raise ValueError(f"{raw[:80]!r}: {error}") from error
    return [field.strip() for field in fields]


def _header(fields: list[str], file: str) -> list[str]:
    """Returns the columns; raises ValueError if the file must not have them."""
    required, optional = COLUMNS[file]
    try:
        matched = columns.match(fields, required, optional)
        others = [] if file == ATTRIBUTES else columns.unread(matched, required, optional)
        if others := others or [""] * matched.count(""):
            raise ValueError(f"the columns {','.join(others)!r} are unknown; delete them")
        return matched
    except ValueError as error:
        allowed = ",".join(required) + f"[,{','.join(optional)}]" * bool(optional)
        raise ValueError(f"the first line is {','.join(fields)!r}, not the header {allowed!r}: {error}") from error


def _rows(tables: Tables, layout: Layout, file: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields (line, {column: text}) for each line that matches the header."""
    header = None
    for number, raw in enumerate((layout.root / file).read_bytes().removeprefix(b"\xef\xbb\xbf").splitlines(), 1):
        if not raw.strip():
            continue
        try:
            fields = _fields(raw)
            if header is None:
                header = _header(fields, file)
                continue
            if len(fields) != len(header):
                raise ValueError(
                    f"the row has {len(fields)} fields but the header has {len(header)}: {','.join(fields)!r}"
                )
        except ValueError as error:
            tables.problems.append(Problem("malformed line", file, number, str(error)))
            if header is None:
                return
        else:
            yield number, dict(zip(header, fields))
    if header is None:
        tables.problems.append(Problem("malformed line", file, 0, "the file is empty; it needs a header"))


def _known(tables: Tables, layout: Layout, file: str, line: int, name: str) -> str | None:
    """Returns a picture's name in the Unicode form on disk; if the picture is missing, reports it and returns None."""
    known = layout.find(name)
    if known is None:
        kind, text = layout.why_not(name)
        if (file, kind) == (BOXES, "unknown picture"):  # A box for a removed picture is harmless.
            tables.warnings.append(Problem("unused box", file, line, text))
        else:
            tables.problems.append(Problem(kind, file, line, text))
    return known


def _read_votes(tables: Tables, layout: Layout) -> Iterator[Vote]:
    for line, row in _rows(tables, layout, PAIRS):
        left, right = (_known(tables, layout, PAIRS, line, row[side]) for side in ("left", "right"))
        if row["order"] not in columns.ORDERS:
            text = f"order {row['order']!r} is not +1 (right is blurrier), -1 (left is blurrier) or 0 (tie)"
            tables.problems.append(Problem("malformed line", PAIRS, line, text))
        elif left is not None and left == right:
            tables.problems.append(Problem("pair with itself", PAIRS, line, repr(left)))
        elif left is not None and right is not None:
            yield Vote(line, left, right, columns.ORDERS[row["order"]], row.get("annotator", ""))


def _read_boxes(tables: Tables, layout: Layout) -> dict[str, Boxed]:
    boxes = {}
    with open(layout.root / BOXES, "rb") as file, _malformed(tables):
        for place, fields in picture_lists.boxes_table(file, BOXES):
            with _malformed(tables):
                row = picture_lists.parse_boxed_row(place, fields)
                name = _known(tables, layout, BOXES, place.line, row.name)
                if name in boxes:
                    text = f"{name!r} already has a box on line {boxes[name].line}; {picture_lists.ONE_BOX}"
                    tables.problems.append(Problem("repeated line", BOXES, place.line, text))
                elif name is not None and row.box is not None:
                    boxes[name] = Boxed(place.line, row.box)
    return boxes


@contextlib.contextmanager
def _malformed(tables: Tables) -> Iterator[None]:
    """Reports an error from the box parser and exits the block."""
    try:
        yield
    except LineError as error:
        tables.problems.append(Problem("malformed line", BOXES, error.place.line, error.reason))


def _read_ranks(tables: Tables, layout: Layout) -> dict[str, Ranked]:
    ranks = {}
    for line, row in _rows(tables, layout, RANKED):
        name = _known(tables, layout, RANKED, line, row["name"])
        try:
            rank = float(row["rank"])
        except ValueError:
            rank = float("nan")
        if not abs(rank) < 3e38:  # The range of float32.
            text = f"rank {row['rank']!r} is not a finite number"
            tables.problems.append(Problem("malformed line", RANKED, line, text))
        elif name in ranks:
            text = f"{name!r} is already on line {ranks[name].line}"
            tables.problems.append(Problem("repeated line", RANKED, line, text))
        elif name is not None:
            ranks[name] = Ranked(line, rank)
    return ranks


def _read_attributes(tables: Tables, layout: Layout) -> dict[str, Described]:
    described = {}
    for line, row in _rows(tables, layout, ATTRIBUTES):
        name = _known(tables, layout, ATTRIBUTES, line, row.pop("name"))
        wrong = [f"{column} is {text!r}" for column, text in row.items() if text not in ("0", "1")]
        if wrong:
            tables.problems.append(Problem("malformed line", ATTRIBUTES, line, f"{', '.join(wrong)}, not 0 or 1"))
        elif name in described:
            text = f"{name!r} is already on line {described[name].line}"
            tables.problems.append(Problem("repeated line", ATTRIBUTES, line, text))
        elif name is not None:
            described[name] = Described(line, {column: text == "1" for column, text in row.items()})
    return described
