"""Pairs that several judges have compared: how often the judges agree, and how often scorers agree with them.

The consensus is the order of the pairs that all judges order alike; other pairs have none. A judge is measured against
the consensus of the other judges, which shows how much agreement to expect. 95% intervals resample pairs; pairs seldom
share a face. All values for the same pairs and seed use the same resamples, so differences between scorers are paired.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from blur_jax.metrics.bootstrap import draws, interval
from blur_jax.metrics.rank_statistics import in_order


def consensus(orders: np.ndarray) -> np.ndarray:
    """Returns the order on which all judges agree, int [n], +1, -1, or 0 if they disagree or there is no judge.

    `orders` is int [n, judges]: +1 if the right face is blurrier, -1 if the left face is.
    """
    sums = np.asarray(orders, np.int64).sum(axis=1)
    return np.sign(sums) * (np.abs(sums) == np.shape(orders)[1])


def agreement(right: np.ndarray, order: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Returns the share of ordered pairs that are right, float64 [resamples]; nan if no pair has an order.

    Args:
        right: float [n] in [0, 1], such as `rank_statistics.in_order` of two scores.
        order: int [n]; pairs with order 0 do not count.
        counts: float [resamples, n], how often each pair counts.
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
        judges: their names.
        scores: {scorer: finite [n, 2]}, predicted blur of the left and right faces; equal scores count one half.
        first: the scorer to subtract the others from; no differences without it or if it is not in `scores`.
        resamples: number of bootstrap resamples, at least 1.
        seed: resampling seed.

    Returns:
        {"pairs": n, "agreed": number of pairs on which all judges agree, "sure": number of those on which all are sure,
        "judges": {judge: `Interval`, the agreement with the consensus of the others}; empty for a single judge,
        "scorers": {scorer: {"consensus": `Interval`, the agreement with the consensus, "sure": the same on pairs on
        which all judges are sure, "each_judge": the agreement with one judge on all pairs, averaged over judges, which
        compares with that of "judges", "first_minus_this": the paired difference in "consensus"}}}.

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
