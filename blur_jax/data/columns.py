"""Matches a table's header to the columns that are read, and refuses box columns that would be ignored."""

import os
import re
from collections.abc import Sequence

from blur_jax.data.untrusted import excerpt

_LONGEST = 60  # Only the start of a column name is checked, up to this length.
_UTF_16 = ("\udcff\udcfe", "\udcfe\udcff")  # Byte order marks, as decoded by surrogateescape.
BOX_COLUMNS = ("x", "y", "width", "height")
PAIR_COLUMNS = (("left", "right", "order"), ("annotator", "time"))  # Required and optional columns of a pairs.csv.
# {order in a pairs.csv: its meaning}; spreadsheets write 1 as 1.0.
ORDERS = {"+1": 1, "1": 1, "-1": -1, "0": 0, "1.0": 1, "-1.0": -1, "0.0": 0}
FACE_SCORE = "face_score"  # Tables of found boxes have this column, which is not read.
FOUND_BOX_COLUMNS = ("name", *BOX_COLUMNS, FACE_SCORE)
# Other programs' names for the "name" column, in lower case and without punctuation.
_ALIASES = (
    "file", "files", "filename", "filepath", "fname", "path", "image", "images", "imagename", "imagepath", "imagefile",
    "imageid", "img", "imgname", "imgpath", "picture", "photo", "names", "src", "uri", "url",
)  # fmt: skip
_WORDS = (
    r"(?:face|head|person|object|obj|crop|roi|b|box|rect|rectangle|region|bounding|detection|det|min|max|start"
    r"|end|begin|center|centre|c|tl|br|tr|bl|ul|ll|lr|ur|mid|from|to|pos|position|coord|coordinate|offset|origin|corner"
    r"|point|px|pixel|pixels|top|bottom|upper|lower|left|right|\d)*"
)
_SIDEWAYS = re.compile(f"{_WORDS}(?:x|w|width|left|right){_WORDS}")
_UPWARDS = re.compile(f"{_WORDS}(?:y|h|height|top|bottom|upper|lower){_WORDS}")
_WHOLE = re.compile(
    rf"{_WORDS}(?:bbox|bboxes|box|boxes|boundingbox|rect|rects|rectangle|roi|rois|bounds|xywh|xyxy|ltrb|tlbr|ltwh|tlwh"
    rf"|cxcywh|shapeattributes){_WORDS}"
)


def match(header: Sequence[str], required: Sequence[str], optional: Sequence[str] = ()) -> list[str]:
    """Returns a header's columns, with known names spelled as in `required` and `optional`.

    Letter case and surrounding whitespace are ignored. Unnamed columns, which spreadsheets add, become "".

    Raises:
        ValueError: a column is missing or duplicated, or columns look like a box but are not read. The message says how
            to fix the table.
    """
    texts, known = [text.strip() for text in header], {name.lower(): name for name in (*required, *optional)}
    present = set(texts)  # If both "Quality" and "quality" exist, they are different columns.
    names = [known.get(text.lower(), text) for text in texts]
    columns = [text if name in present else name for text, name in zip(texts, names)]
    named, shown = list(filter(None, columns)), excerpt(",".join(texts))
    if len(set(named)) < len(named):
        raise ValueError(f"the header has a duplicate column: {shown}; rename or delete it")
    if boxes := box_columns(unread(named, required, optional)):
        raise ValueError(_box_remedy(boxes, reads_boxes=set(BOX_COLUMNS) <= {*required, *optional}))
    if not set(required) <= set(named):
        hint = _hint(texts, required)
        raise ValueError(f"the header must have the columns {', '.join(required)}; found {shown}{hint}")
    return columns


def unread(columns: Sequence[str], required: Sequence[str], optional: Sequence[str] = ()) -> list[str]:
    """Returns the named columns that are neither required nor optional."""
    read = {*required, *optional, ""}
    return [column for column in columns if column not in read]


def box_columns(columns: Sequence[str]) -> list[str]:
    """Returns the columns that look like a box: one named like "bbox", or one for each axis, such as x1 and y1."""
    plain = {column: _plain(column[:_LONGEST]) for column in columns}
    whole, sideways, upwards = (
        [column for column, text in plain.items() if kind.fullmatch(text)] for kind in (_WHOLE, _SIDEWAYS, _UPWARDS)
    )
    found = {*whole, *(sideways + upwards if sideways and upwards else ())}
    return [column for column in columns if column in found]


def names_pictures(line: str) -> bool:
    """Returns whether a list's first line is a header with a column of picture names, whatever its name."""
    texts = {text.strip(' "').lower() for text in re.split(r"[,;\t|]", line)}
    aliases = {_plain(text) for text in texts if "/" not in text and "\\" not in text}.intersection(_ALIASES)
    return "name" in texts or bool(aliases and not os.path.lexists(line))


def _plain(text: str) -> str:
    return re.sub(r"[\W_]", "", text).lower()


def _box_remedy(boxes: list[str], *, reads_boxes: bool) -> str:
    text = f"the columns {excerpt(','.join(boxes))} look like a box, but "
    if reads_boxes:
        return (
            f"{text}boxes must be in the columns {','.join(BOX_COLUMNS)} (left edge, top edge, width and height in"
            " whole pixels); convert and rename the columns, or delete them to use whole pictures"
        )
    return f"{text}this table cannot have boxes; delete the columns (boxes belong in boxes.csv or in a list to score)"


def _hint(texts: Sequence[str], required: Sequence[str]) -> str:
    """Returns the likely reason why a header lacks a column, or ""."""
    line = ",".join(texts).lower()
    if line[:2] in _UTF_16:
        return "; the file is encoded in UTF-16; save it as UTF-8 CSV"
    for separator in ";\t|":
        if set(required) <= {text.strip(' "') for text in line.split(separator)}:
            return f"; the columns are separated by {separator!r}; save the file with commas"
    alias = next((text for text in texts if _plain(text) in _ALIASES), None)
    if "name" in required and "name" not in line.split(",") and alias:
        return f"; rename the column {excerpt(alias)} to 'name'"
    return ""
