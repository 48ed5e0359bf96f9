"""Reads CSV files of picture comparisons by another system, and of the qualities of these pictures."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from blur_jax.data import names
from blur_jax.data.csv_tables import Fields, read_table
from blur_jax.data.left_out import LeftOut
from blur_jax.data.untrusted import Place, excerpt
from blur_jax.score.tables import MEANING

# {column that `blur_jax.score` writes: whether larger is better}.
LARGER_IS_BETTER = {"sharpness": True, "blur": False, "blur_percentile": False, "p_blurrier_than_anchor": False}
_MATED = dict.fromkeys(("1", "true", "yes", "mated"), True) | dict.fromkeys(("0", "false", "no", "non-mated"), False)


class Comparisons(NamedTuple):
    """n comparisons, each of two pictures."""

    left: list[str]  # Names of the first pictures.
    right: list[str]  # Names of the second pictures.
    similarity: np.ndarray  # float64 [n], larger is more similar.
    mated: np.ndarray  # bool [n], whether both show the same person or thing.


class Measure(NamedTuple):
    """A score column to judge pictures by."""

    column: str
    larger_is_better: bool


def parse_measure(text: str) -> Measure:
    """Parses text like "sharpness" or, for another system's column, "noise:lower"; raises ValueError if invalid."""
    column, _, better = text.partition(":")
    better = better or {True: "higher", False: "lower", None: ""}[LARGER_IS_BETTER.get(column)]
    if better not in ("lower", "higher"):
        raise ValueError(
            f"--column={text} must specify which direction is better; pass {column}:higher or {column}:lower"
        )
    measure = Measure(column, better == "higher")
    if LARGER_IS_BETTER.get(column, measure.larger_is_better) != measure.larger_is_better:
        raise ValueError(
            f"--column={text}: {'lower' if better == 'higher' else 'higher'} {column} is better; pass {column}"
        )
    return measure


def read_comparisons(path: str, left_out: LeftOut | None = None) -> Comparisons:
    """Reads a CSV file with the columns left, right (names), similarity and mated (1 or 0, yes or no).

    Names are normalized. Other columns are counted in `left_out`.

    Raises:
        ValueError: a row is invalid; the message states its line.
        OSError: the file cannot be read.
    """
    left, right, similarity, mated = [], [], [], []
    for where, row in _rows(path, ("left", "right", "similarity", "mated"), (), left_out):
        text = (row["mated"] or "").strip().lower()
        if text not in _MATED:
            raise ValueError(f"{where}: mated must be 1 or 0, found {excerpt(row['mated'])}")
        left.append(names.normalize(row["left"] or ""))
        right.append(names.normalize(row["right"] or ""))
        similarity.append(_number(where, "similarity", row["similarity"]))
        mated.append(_MATED[text])
    return Comparisons(left, right, np.array(similarity), np.array(mated, bool))


def read_qualities(path: str, measures: Sequence[Measure], left_out: LeftOut | None = None) -> dict[str, np.ndarray]:
    """Reads a CSV file like those `blur_jax.score` writes, with a `name` column and a column for each measure.

    Columns that `blur_jax.score` does not write are counted in `left_out`.

    Returns:
        {normalized name: [measures], larger is better; -inf for a missing value, such as for a picture that cannot be
        scored}.

    Raises:
        ValueError: a row is invalid; the message states its line.
        OSError: the file cannot be read.
    """
    qualities = {}
    for where, row in _rows(path, ("name", *(measure.column for measure in measures)), tuple(MEANING), left_out):
        name, values = names.normalize(row["name"] or ""), np.full(len(measures), -math.inf)
        if name in qualities:
            raise ValueError(f"{where}: {excerpt(name)} has two rows; keep one row for each picture")
        for index, (column, larger_is_better) in enumerate(measures):
            if (row[column] or "").strip():
                values[index] = _number(where, column, row[column]) * (1 if larger_is_better else -1)
        qualities[name] = values
    return qualities


def mated_qualities(compared: Comparisons, qualities: Mapping[str, np.ndarray], path: str) -> np.ndarray:
    """Returns float64 [2, mated comparisons, measures]: the qualities, read from `path`, of left and right pictures.

    Raises:
        ValueError: a picture, mated or not, has no quality.
    """
    missing = sorted({*compared.left, *compared.right} - qualities.keys())
    if missing:
        count = f"{len(missing)} compared pictures have no row"
        hint = names.Known(qualities).hint(missing[0])
        raise ValueError(f"{path}: no row for {excerpt(missing[0])} ({count}); score them too{hint}")
    if not compared.mated.any():
        raise ValueError("no mated comparisons were found; mark at least one comparison with mated = 1")
    rows = np.flatnonzero(compared.mated)
    return np.array([[qualities[pictures[row]] for row in rows] for pictures in (compared.left, compared.right)])


def check_direction(compared: Comparisons, path: str) -> None:
    """Raises ValueError if mated comparisons, read from `path`, are less similar than non-mated ones.

    A mated comparison must be more similar than a non-mated one in at least half of all combinations, which fails if
    the similarities are distances.
    """
    mated, others = compared.similarity[compared.mated], np.sort(compared.similarity[~compared.mated])
    if not len(mated) or not len(others):
        return
    below, at_most = (np.searchsorted(others, mated, side=side) for side in ("left", "right"))
    share = float(np.mean(below + at_most)) / (2 * len(others))  # Equal similarities count as one half.
    if share < 0.5:
        raise ValueError(
            f"{path}: mated comparisons are less similar than non-mated ones (more similar in only {share:.0%} of all"
            " combinations); negate the similarity column if it contains distances, or correct the mated column"
        )


def _rows(
    path: str, required: Sequence[str], optional: Sequence[str], left_out: LeftOut | None
) -> Iterator[tuple[Place, Fields]]:
    with open(path, "rb") as file:
        yield from read_table(file, path, required, optional, left_out=left_out)


def _number(where: Place, column: str, text: str | None) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{where}: {column} must be a number, found {excerpt(text)}")
    return value
