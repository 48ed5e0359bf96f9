"""Comparisons of pictures by another system, and the qualities of these pictures, from CSV files."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from blur_jax.data.untrusted import excerpt, read_table

# Columns of our own score tables: whether larger is better.
LARGER_IS_BETTER = {"sharpness": True, "blur": False, "blur_percentile": False, "p_blurrier_than_anchor": False}
_MATED = {
    "1": True,
    "true": True,
    "yes": True,
    "mated": True,
    "0": False,
    "false": False,
    "no": False,
    "non-mated": False,
}


class Comparisons(NamedTuple):
    """n comparisons.

    Attributes:
        left: names of the first pictures.
        right: names of the second pictures.
        similarity: float64 [n], larger is more alike.
        mated: bool [n], whether both show the same person or thing.
    """

    left: list[str]
    right: list[str]
    similarity: np.ndarray
    mated: np.ndarray


class Measure(NamedTuple):
    """A column of scores to judge pictures by."""

    column: str
    larger_is_better: bool


def parse_measure(text: str) -> Measure:
    """Reads "sharpness", or "noise:lower" or "noise:higher" for a column that is not ours: which way is better.

    Raises:
        ValueError: it is not one of these.
    """
    column, _, better = text.partition(":")
    known = LARGER_IS_BETTER.get(column)
    if (known is None and not better) or better not in ("", "lower", "higher"):
        raise ValueError(f"--column={text}: say which way is better, --column={column}:higher or {column}:lower")
    if known is not None and better and (better == "higher") != known:
        raise ValueError(f"--column={text}: of {column}, {'higher' if known else 'lower'} is better")
    return Measure(column, better == "higher" if better else known)


def read_comparisons(path: str) -> Comparisons:
    """Reads a CSV file with the columns left, right (names), similarity and mated (1 or 0, yes or no).

    Raises:
        ValueError: it holds something else; the message has the line.
        OSError: it cannot be read.
    """
    left, right, similarity, mated = [], [], [], []
    for where, row in _rows(path, ("left", "right", "similarity", "mated")):
        text = (row["mated"] or "").strip().lower()
        if text not in _MATED:
            raise ValueError(f"{where}: mated must be 1 or 0, found {excerpt(row['mated'])}")
        left.append(row["left"])
        right.append(row["right"])
        similarity.append(_number(where, "similarity", row["similarity"]))
        mated.append(_MATED[text])
    return Comparisons(left, right, np.array(similarity), np.array(mated, bool))


def read_qualities(path: str, measures: Sequence[Measure]) -> dict[str, np.ndarray]:
    """Reads a CSV file with the column name and those of the measures, such as `blur_jax.score` writes.

    Returns:
        {name: [measures], larger is better; -inf where the row has no value, as for a picture that cannot be scored}.

    Raises:
        ValueError: it holds something else; the message has the line.
        OSError: it cannot be read.
    """
    qualities = {}
    for where, row in _rows(path, ("name", *(measure.column for measure in measures))):
        if row["name"] in qualities:
            raise ValueError(f"{where}: {excerpt(row['name'])} has two rows; give each picture one row")
        values = []
        for column, larger_is_better in measures:
            value = -math.inf
            if (row[column] or "").strip():
                value = _number(where, column, row[column]) * (1 if larger_is_better else -1)
            values.append(value)
        qualities[row["name"]] = np.array(values)
    return qualities


def mated_qualities(compared: Comparisons, qualities: Mapping[str, np.ndarray], path: str) -> np.ndarray:
    """Looks up the pictures of mated comparisons in what `read_qualities` read from `path`.

    Returns:
        float64 [2, mated comparisons, measures], of the left and of the right pictures.

    Raises:
        ValueError: a picture is not there, mated or not.
    """
    missing = sorted({*compared.left, *compared.right} - qualities.keys())
    if missing:
        raise ValueError(f"{path}: has no row for {missing[0]} ({len(missing)} of the pictures compared have none)")
    if not compared.mated.any():
        raise ValueError("there is no mated comparison")
    rows = np.flatnonzero(compared.mated)
    return np.array([[qualities[names[row]] for row in rows] for names in (compared.left, compared.right)])


def _rows(path: str, wanted: Sequence[str]) -> Iterator[tuple[str, dict[str, str | None]]]:
    """Yields where each row is, for errors, and its fields."""
    with open(path, "rb") as file:
        yield from read_table(file, path, wanted)


def _number(where: str, column: str, text: str | None) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{where}: {column} must be a number, found {excerpt(text)}")
    return value
