"""What the answers say about a scorer and about the ranker; pure functions."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from blur_jax.label.pairs import Ranker
from blur_jax.metrics import labeled_pairs, rank_statistics

LAST = 50  # Answers whose effect on the order decides whether more are worth giving.
_WINDOW = 20  # Answers that a point of the curve averages.
_SETTLED = 0.98  # Rank correlation.


class Agreement(NamedTuple):
    """How often scores order pairs like people: `right` of `total` pairs with an order, and a 95% interval.

    Equal scores count as half; `low` and `high` are in [0, 1], and None without a pair.
    """

    right: float
    total: int
    low: float | None
    high: float | None


def agreement(scores: np.ndarray, pairs: np.ndarray, order: np.ndarray) -> Agreement:
    """Compares scores [n] with answers: rows [m, 2] (left, right) and order [m], +1, -1 or 0 (tie, ignored)."""
    found = labeled_pairs.pair_metrics(scores, pairs, order)
    accuracy, total = found["pairwise_accuracy"], found["pairs"]
    return Agreement(total * (accuracy["value"] or 0.0), total, accuracy["low"], accuracy["high"])


def tests(pairs: np.ndarray, picker: Sequence[str], time: Sequence[str], since: str) -> np.ndarray:
    """Returns which answers test a scorer that has learned from all those up to the time `since`, bool [m].

    These are the answers about random pairs that nobody had answered before. `pairs` are rows, int [m, 2]; `picker` and
    the times are as in `Answer`.
    """
    learned = {frozenset(pair) for pair, when in zip(pairs.tolist(), time) if when <= since}
    new = [frozenset(pair) not in learned for pair in pairs.tolist()]
    given = zip(new, picker, time)
    return np.array([is_new and how == "random" and when > since for is_new, how, when in given], bool)


def disagreements(scores: np.ndarray, pairs: np.ndarray, order: np.ndarray, count: int) -> list[int]:
    """Returns up to `count` of the answers that the scores contradict, largest gap first; see `agreement`."""
    gaps = (scores[pairs[:, 0]] - scores[pairs[:, 1]]) * order
    wrong = np.flatnonzero(gaps > 0)
    return wrong[np.argsort(-gaps[wrong], kind="stable")][:count].tolist()


def curve(predicted: Sequence[float], order: Sequence[int]) -> list[tuple[int, float]]:
    """Returns (number of answers, share predicted correctly before each was learned from) over moving windows.

    `predicted` are probabilities, in [0, 1], that the right picture is blurrier; ties are ignored. There is one point
    for each window of 20 answers, half overlapping, and none below 20.
    """
    given = [(value, sign) for value, sign in zip(predicted, order) if sign]
    right = np.array([1.0 if (value - 0.5) * sign > 0 else 0.5 if value == 0.5 else 0.0 for value, sign in given])
    ends = range(_WINDOW, len(right) + 1, _WINDOW // 2)
    return [(end, float(right[end - _WINDOW : end].mean())) for end in ends]


def settled(features: np.ndarray, pairs: np.ndarray, order: np.ndarray) -> float | None:
    """Returns the rank correlation of the ranker's scores with and without the last 50 answers; None if too few.

    Rows of `features` [n, d] are those that are scored; answers are as in `agreement`.
    """
    if len(order) < 2 * LAST:
        return None
    before, after = Ranker(features), Ranker(features)
    before.learn(pairs[:-LAST], order[:-LAST])
    after.learn(pairs, order)
    if not before.weights.any():
        return None
    return float(rank_statistics.spearman(after.scores, before.scores))


def hint(correlation: float | None) -> str:
    """Returns advice on whether to continue, given the result of `settled`; "" if there is none."""
    if correlation is None:
        return ""
    if correlation >= _SETTLED:
        return (
            f"The last {LAST} answers hardly changed the order (rank correlation {correlation:.3f}). You can stop: more"
            " answers will teach little."
        )
    return f"The last {LAST} answers still changed the order (rank correlation {correlation:.3f})."


def to_json(found: Agreement) -> dict[str, Any]:
    return found._asdict()
