"""A test by several people: reads a list of pairs, and writes their answers as a table of judged pairs.

The table is the one that `blur_jax.data.judged_table` reads; pairs that not all people have answered are left out.
"""

import csv
import io
import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from blur_jax.data import files
from blur_jax.data.csv_tables import check_length, read_table
from blur_jax.data.untrusted import LineError, Place, excerpt
from blur_jax.label.answers import Answer, State, order_from
from blur_jax.label.photos import Photos
from blur_jax.threshold import rules

UNNAMED = "judge"  # The column of a person without a name.
_RESERVED, _SURE = ("split", "left", "right"), "_sure"


class Listed(NamedTuple):
    """A pair to judge: the name of its split, and its pictures."""

    split: str
    left: str
    right: str


def read_list(path: str, photos: Photos) -> list[Listed]:
    """Reads a CSV file with the columns left, right and, optionally, split.

    Raises:
        LineError: a line is malformed, repeats a pair, or names an unknown picture.
        ValueError: there are no pairs.
        OSError: the file cannot be read.
    """
    places: dict[frozenset[str], Place] = {}
    found = []
    with open(path, "rb") as file:
        for place, fields in read_table(file, path, ("left", "right"), ("split",)):
            check_length(place, fields)
            left, right = (_known(place, fields[side], photos) for side in ("left", "right"))
            pair = frozenset((left, right))
            if len(pair) == 1:
                raise LineError(place, f"{excerpt(left)} is compared with itself; correct or delete the line")
            if pair in places:
                raise LineError(place, f"this pair is already in {places[pair]}; delete one of the lines")
            places[pair] = place
            found.append(Listed((fields.get("split") or "").strip() or "test", left, right))
    if not found:
        raise ValueError(f"{path}: there are no pairs; add lines such as a.jpg,b.jpg")
    return found


def _known(place: Place, name: str, photos: Photos) -> str:
    known = photos.find(name.strip())
    if known is None or known not in photos.row:
        raise LineError(place, f"{excerpt(name)} is not a usable picture in {photos.folder}; correct the name")
    return known


def is_judge(name: str) -> bool:
    """Returns whether a person's name can be the name of a column."""
    return name not in _RESERVED and not name.endswith(_SURE)


def path_of(listed: str, ending: str) -> str:
    """Returns the path of a file beside a list, such as list.judged.csv for list.csv."""
    return os.path.splitext(listed)[0] + ending


class Judgments(NamedTuple):
    """The people, sorted, and for each pair that all of them have answered, their answers in the same order."""

    people: list[str]
    pairs: list[tuple[Listed, list[Answer]]]


def complete(state: State, listed: Sequence[Listed]) -> Judgments:
    """Returns the answers to the pairs that all people with an answer have ordered."""
    people = sorted({answer.annotator for answer in state.answers.values() if answer.order})
    pairs = []
    for pair in listed:
        given = [state.of_pair(person, frozenset((pair.left, pair.right))) for person in people]
        ordered = [[answer for answer in of_person if answer.order] for of_person in given]
        if people and all(ordered):
            pairs.append((pair, [of_person[-1] for of_person in ordered]))
    return Judgments(people, pairs)


def write(path: str, judgments: Judgments) -> None:
    """Writes the table atomically; does nothing while no pair is complete."""
    if not judgments.pairs:
        return
    names = [person or UNNAMED for person in judgments.people]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow([*_RESERVED, *(column for name in names for column in (name, name + _SURE))])
    for pair, given in judgments.pairs:
        columns = (value for answer in given for value in (order_from(pair.left, answer), int(answer.sure)))
        table.writerow([*pair, *columns])
    with files.replacing(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.write(text.getvalue())


def agreement(judgments: Judgments) -> str:
    """Says how often all people agree, which is how good a scorer can be at all; "" for fewer than two people."""
    if len(judgments.people) < 2 or not judgments.pairs:
        return ""
    orders = [{order_from(pair.left, answer) for answer in given} for pair, given in judgments.pairs]
    share = rules.share(np.array([len(order) == 1 for order in orders]))
    return f"all {len(judgments.people)} people agree on {share} of the pairs"
