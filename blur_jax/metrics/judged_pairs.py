"""Measures how often judges of the same pairs agree with each other, and how often scorers agree with them.

A pair has a consensus if all judges order it the same way. Each judge is measured against the consensus of the other
judges, which shows how much agreement to expect. The 95% intervals resample pairs, which seldom share a face. All
values for the same pairs and seed use the same resamples, so differences between scorers are paired.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from blur_jax.metrics.bootstrap import draws, interval
from blur_jax.metrics.rank_statistics import in_order


def consensus(orders: np.ndarray) -> np.ndarray:
    """Returns the order that all judges agree on, int [n]: +1, -1, or 0 if they disagree or there are no judges.

    `orders` is int [n, judges]: +1 if the right face is blurrier, -1 if the left face is.
    """
    sums = np.asarray(orders, np.int64).sum(axis=1)
    return np.sign(sums) * (np.abs(sums) == np.shape(orders)[1])


def agreement(right: np.ndarray, order: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Returns the share of pairs with an order that are correct, float64 [resamples]; nan if there are none.

    Args:
        right: float [n] in [0, 1], 1 if a pair is correct, such as the result of `rank_statistics.in_order`.
        order: int [n]; pairs with order 0 are ignored.
        counts: float [resamples, n], how often each pair counts in each resample.
    """
    ordered = counts * (np.asarray(order) != 0)
    with np.errstate(invalid="ignore"):  # 0 / 0: undefined, nan
        return ordered @ right / ordered.sum(axis=1)


def summarize(
    orders: np.ndarray,
    sure: np.ndarray,
    judges: Sequence[str],
    scores: Mapping[str, np.ndarray],
    *,
    first: str | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Measures judges and scorers on the same n pairs.

    Args:
        orders: int [n, judges], n at least 1: +1 if the right face is blurrier, -1 if the left face is.
        sure: bool [n, judges], False if the answer was a guess.
        judges: judge names.
        scores: {scorer: finite [n, 2]}, predicted blur of the left and right faces; equal scores count as half correct.
        first: the scorer to subtract the others from; if None or not in `scores`, there are no differences.
        resamples: number of bootstrap resamples, at least 1.
        seed: resampling seed.

    Returns:
        {"pairs": n, "agreed": number of pairs that all judges agree on, "sure": number of those that all are sure
        about, "judges": {judge: `Interval`, the agreement with the consensus of the others}; empty for a single judge,
        "scorers": {scorer: {"consensus": `Interval`, the agreement with the consensus, "sure": the same on pairs that
        all judges are sure about, "each_judge": the agreement with one judge on all pairs, averaged over judges, to
        compare with "judges", "first_minus_this": the paired difference in "consensus"}}}.

    Raises:
        ValueError: there are no pairs, or `resamples` is below 1.
    """
    orders, sure = np.asarray(orders), np.asarray(sure, bool)
    if not len(orders):
        raise ValueError("there are no judged pairs to measure; expected at least one")
    counts, agreed = draws(len(orders), resamples, seed), consensus(orders)
    certain = agreed * sure.all(axis=1)
    values = {name: _scorer(pair_scores, orders, agreed, certain, counts) for name, pair_scores in scores.items()}
    if first is not None and first in values:
        for name in values.keys() - {first}:
            values[name]["first_minus_this"] = values[first]["consensus"] - values[name]["consensus"]
    return {
        "pairs": len(orders),
        "agreed": int(np.count_nonzero(agreed)),
        "sure": int(np.count_nonzero(certain)),
        "judges": {name: interval(value) for name, value in _judges(orders, judges, counts).items()},
        "scorers": {
            name: {measure: interval(value) for measure, value in measures.items()} for name, measures in values.items()
        },
    }


def _judges(orders: np.ndarray, judges: Sequence[str], counts: np.ndarray) -> dict[str, np.ndarray]:
    if len(judges) < 2:
        return {}
    others = {judge: consensus(np.delete(orders, column, axis=1)) for column, judge in enumerate(judges)}
    return {judge: agreement(order == orders[:, k], order, counts) for k, (judge, order) in enumerate(others.items())}


def _scorer(
    scores: np.ndarray, orders: np.ndarray, agreed: np.ndarray, certain: np.ndarray, counts: np.ndarray
) -> dict[str, np.ndarray]:
    left, right = np.asarray(scores, np.float64).T
    values = {
        name: agreement(in_order(left, right, order), order, counts)
        for name, order in (("consensus", agreed), ("sure", certain))
    }
    each = [agreement(in_order(left, right, order), order, counts) for order in orders.T]
    return values | {"each_judge": np.mean(each, axis=0)}
