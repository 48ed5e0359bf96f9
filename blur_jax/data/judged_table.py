"""Reads tables of judged pairs, which are pairs of test pictures that several judges have compared.

The columns are `split`, `left`, `right` and, for each judge, NAME and NAME_sure:

    split,left,right,ann,ann_sure,ben,ben_sure
    test1,a.jpg,b.jpg,1,1,1,0
"""

import dataclasses
import os
from collections.abc import Sequence

import numpy as np

from blur_jax.data import names, user_cache
from blur_jax.data.csv_tables import Fields, check_length, read_table
from blur_jax.data.untrusted import LineError, Place, excerpt

_PAIR, _SURE = ("split", "left", "right"), "_sure"
_ORDERS, _FLAGS = {"1": 1, "+1": 1, "-1": -1}, {"1": 1, "0": 0}


@dataclasses.dataclass(frozen=True, eq=False)
class JudgedTable:
    """The n pairs in a table, in file order.

    Attributes:
        splits: n split names, such as the test set that each pair comes from.
        names: n pairs of normalized names, (left picture, right picture).
        judges: judge names.
        orders: int8 [n, judges]: +1 if the right picture is blurrier, -1 if the left one is.
        sure: bool [n, judges]: False if the answer was a guess.
    """

    splits: list[str]
    names: list[tuple[str, str]]
    judges: list[str]
    orders: np.ndarray
    sure: np.ndarray


def read(path: str | os.PathLike) -> JudgedTable:
    """Reads a CSV file of judged pairs; see the module docstring for the format.

    Raises:
        ValueError: the file has no pairs or a line is invalid; the message states the line and how to fix it.
        OSError: the file cannot be read.
    """
    path, judges, splits, orders, sure = user_cache.expand(path), [], [], [], []
    places: dict[tuple[str, str, str], Place] = {}
    pairs: list[tuple[str, str]] = []
    with open(path, "rb") as file:
        for place, fields in read_table(file, path, _PAIR):
            judges = judges or _judges(Place(path, 1), [column for column in fields if column])
            check_length(place, fields)
            split, left, right = _pair(place, fields)
            key = (split, min(left, right), max(left, right))
            if key in places:
                raise LineError(
                    place, f"{excerpt(split)} already has this pair in {places[key]}; delete one of the lines"
                )
            places[key] = place
            splits.append(split)
            pairs.append((left, right))
            orders.append([_answer(place, fields, judge, _ORDERS) for judge in judges])
            sure.append([_answer(place, fields, judge + _SURE, _FLAGS) for judge in judges])
    if not pairs:
        raise ValueError(f"{path}: there are no pairs; add lines such as test,a.jpg,b.jpg,1,1")
    return JudgedTable(splits, pairs, judges, np.array(orders, np.int8), np.array(sure, bool))


def _judges(header: Place, columns: Sequence[str]) -> list[str]:
    others = [column for column in columns if column not in _PAIR]
    judges = [column for column in others if not column.endswith(_SURE)]
    expected = {judge + _SURE for judge in judges}
    alone = sorted(set(others) - set(judges) - expected)
    if alone:
        judge = alone[0].removesuffix(_SURE)
        raise LineError(
            header, f"{excerpt(alone[0])} has no judge column; add the column {excerpt(judge)} or delete it"
        )
    missing = sorted(expected - set(others))
    if missing:
        raise LineError(header, f"add the column {excerpt(missing[0])}: 1 if the judge was sure, 0 for a guess")
    if not judges:
        raise LineError(header, "there are no judge columns; add two columns for each judge, such as ann and ann_sure")
    return judges


def _pair(place: Place, fields: Fields) -> tuple[str, str, str]:
    split, left, right = (fields[column].strip() for column in _PAIR)
    if not (split and left and right):
        raise LineError(place, "split, left and right must not be empty; fill them in or delete the line")
    left, right = names.normalize(left), names.normalize(right)
    if left == right:
        raise LineError(place, f"{excerpt(left)} is compared with itself; correct or delete the line")
    return split, left, right


def _answer(place: Place, fields: Fields, column: str, answers: dict[str, int]) -> int:
    value = answers.get(fields[column].strip())
    if value is None:
        meaning = (
            "1 (the judge was sure) or 0 (a guess)"
            if answers is _FLAGS
            else "1 (the right picture is blurrier) or -1 (the left one is)"
        )
        raise LineError(place, f"{column} must be {meaning}, found {excerpt(fields[column])}; correct it")
    return value
