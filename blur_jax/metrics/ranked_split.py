"""A ranked test split with its scores, and the selection of faces to show; contains no plotting code."""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
    """A ranked test split of n faces and their scores; raises ValueError if fields differ in length or are empty."""

    split: str  # For example, "test".
    scores: np.ndarray  # float32 [n], predicted blur, 0 = sharp, 1 = blurred.
    ranks: np.ndarray  # float32 [n], true blur, larger = blurrier, ties allowed.
    names: list[str]
    groups: list[str]  # n blur families, events or folders; "" means no group.
    images: np.ndarray  # uint8 [n, S, S, 3] RGB.
    metrics: dict[str, Any]  # The result of `bootstrap.rank_metrics`; "groups" contains the metrics of each group.

    def __post_init__(self) -> None:
        lengths = {name: len(getattr(self, name)) for name in ("scores", "ranks", "names", "groups", "images")}
        if len(set(lengths.values())) != 1 or not len(self.scores):
            raise ValueError(f"evaluation of {self.split!r} has {lengths}; expected equal lengths of at least 1")


def sorted_sample(scores: ArrayLike, count: int) -> np.ndarray:
    """Returns at most `count` indices of [n] scores, evenly spaced in score order from the lowest to the highest."""
    order = np.argsort(scores, kind="stable")
    return order[np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int)]


def mistaken_pairs(scores: ArrayLike, ranks: ArrayLike, count: int) -> list[tuple[int, int]]:
    """Returns up to `count` of the worst wrongly ordered pairs, as indices (sharper, blurrier).

    The worst pairs have the largest gap in true rank (percentile), then in score; their blurrier face has the strictly
    lower score. Each face is in at most one pair; otherwise, a single outlier could fill the list.
    """
    scores, ranks = np.asarray(scores), rankdata(ranks)
    order, pairs = np.argsort(scores, kind="stable"), []
    while len(pairs) < count and len(order) > 1:
        score, rank = scores[order], ranks[order]
        # A running maximum finds the blurriest face with a lower score; the first to reach it has the lowest score.
        rises = np.diff(np.maximum.accumulate(rank), prepend=0) > 0
        blurriest = np.maximum.accumulate(np.where(rises, np.arange(len(rank)), 0))
        lower = np.searchsorted(score, score)  # number of lower scores
        partner = blurriest[np.maximum(lower - 1, 0)]
        gap = np.where(lower > 0, rank[partner] - rank, 0)
        sharper = np.lexsort((score - score[partner], gap))[-1]
        if gap[sharper] <= 0:
            break
        pair = [sharper, partner[sharper]]
        pairs.append((int(order[pair[0]]), int(order[pair[1]])))
        order = np.delete(order, pair)
    return pairs


class AtThreshold(NamedTuple):
    """The effect of a threshold on a split, as shares in [0, 1]; faces below the threshold are kept."""

    keep_below: float
    discarded: float  # The discarded share of all faces.
    caught: float  # The discarded share of the blurred faces.
    lost: float  # The discarded share of the clear faces.


def clear_and_blurred(ranks: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Returns which faces are clear and which are blurred, as two bool [n], given their true ranks [n].

    If the ranks have a clear level (`has_clear_level`), the lowest rank is clear and every other rank is blurred.
    Otherwise, the sharpest third is clear and the blurriest third is blurred.
    """
    ranks = np.asarray(ranks)
    if has_clear_level(ranks):
        return ranks == ranks.min(), ranks > ranks.min()
    places = percentiles(ranks)
    return places < 1 / 3, places > 2 / 3


def has_clear_level(ranks: ArrayLike) -> bool:
    """Returns whether at least one face in twenty has the lowest rank; if all ranks differ, only one face does."""
    ranks = np.asarray(ranks)
    return bool(np.mean(ranks == ranks.min()) >= 0.05)


def at_thresholds(scores: ArrayLike, ranks: ArrayLike, thresholds: Sequence[float]) -> list[AtThreshold]:
    """Returns the effect of each threshold on faces with [n] scores and true ranks; [] if all ranks are equal."""
    scores, (clear, blurred) = np.asarray(scores), clear_and_blurred(ranks)
    if not clear.any() or not blurred.any():
        return []
    members = (..., blurred, clear)
    return [AtThreshold(t, *(float(np.mean(scores[member] >= t)) for member in members)) for t in thresholds]


def round_thresholds(scores: ArrayLike) -> list[float]:
    """Returns up to nine thresholds, in increasing order, that discard between 80% and 5% of the [n] scores."""
    quantiles = np.quantile(np.asarray(scores, np.float64), [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95])
    return sorted({float(f"{value:.3g}") for value in quantiles})


def percentiles(ranks: ArrayLike) -> np.ndarray:
    """Returns the relative positions of [n] ranks, float64 [n] in (0, 1); equal ranks share their mean position."""
    places = rankdata(ranks)
    return (places - 0.5) / len(places)


def ordered_groups(evaluation: Evaluation) -> list[str]:
    """Returns the group names, largest group first; [] if no face belongs to a group."""
    names, sizes = np.unique([group for group in evaluation.groups if group] or [""], return_counts=True)
    return [str(name) for name in names[np.argsort(-sizes, kind="stable")] if name]


def rank_texts(ranks: ArrayLike) -> list[str]:
    """Formats ranks with three digits for the largest rank, or as whole numbers if all of them are whole."""
    ranks = np.asarray(ranks, np.float64)
    whole = np.all(ranks == np.round(ranks))
    decimals = 0 if whole else max(0, 2 - int(np.floor(np.log10(np.abs(ranks).max()))))
    return [f"{rank:.{decimals}f}" for rank in ranks]
