"""Rank statistics of scores against true blur, plain and matched by face size.

All metrics depend only on the order of the scores, not on their values. They are computed from two quantities, with
each example counted `counts` times (once for the metric itself, or as often as it was drawn for a resample):

* S, the number of concordant minus discordant pairs, and P and Q, the numbers of pairs that differ in rank and in
  score, respectively: pairwise accuracy is (1 + S / P) / 2 and Kendall's tau-b is S / sqrt(P Q). The AUC of one class
  against another is the pairwise accuracy for a rank with only these two levels;
* the mid-ranks of scores and ranks: Spearman's correlation is their correlation.

All values are integers until the last division, so the metrics are exact and repeatable.

Small faces tend to be blurrier, so a scorer could do well using face size alone. The size-matched metrics therefore
compare only faces in the same size bin. Within a wide bin, size is still informative, so `auc_matched_size` compares
only faces of nearly the same size, at the cost of fewer pairs, and the metrics with `-sizes` as scores show how well
size alone does.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

Array = np.ndarray
Bins = Sequence[float] | None

NAMES = ("auc", "pairwise_accuracy", "spearman", "kendall")
MATCHED_SIZE_RATIO = 1.1  # sizes match if the larger is at most this many times the smaller
_FEW = 5  # the maximum number of levels, or of gaps between levels, that are reported separately
_BLOCK = 1024  # number of columns of the n x n pair matrix held in memory at a time


def pairwise_accuracy(scores: ArrayLike, ranks: ArrayLike) -> float:
    """Returns the share of pairs with different ranks whose scores are in the same order as their ranks.

    Args:
        scores: [n] finite predicted blur; equal scores count as one half.
        ranks: [n] finite true blur, larger = blurrier; pairs with equal ranks are left out.

    Returns:
        a number in [0, 1], 0.5 = chance; nan if all ranks are equal.

    Raises:
        ValueError: the inputs are empty, not finite, not 1-D, or of different lengths.
    """
    return _once(scores, ranks)["pairwise_accuracy"]


def auc(scores: ArrayLike, ranks: ArrayLike) -> float:
    """Returns the area under the ROC curve for the clear level (the lowest rank) against all blurrier levels.

    This is `pairwise_accuracy` over all pairs of a clear face and a blurrier face.
    """
    return _once(scores, ranks)["auc"]


def spearman(scores: ArrayLike, ranks: ArrayLike) -> float:
    """Returns Spearman's correlation (SRCC), in [-1, 1], ties at mid-rank; nan if all scores or all ranks are equal."""
    return _once(scores, ranks)["spearman"]


def kendall(scores: ArrayLike, ranks: ArrayLike) -> float:
    """Returns Kendall's rank correlation (KRCC), tau-b, which accounts for ties; otherwise like `spearman`."""
    return _once(scores, ranks)["kendall"]


def _once(scores: ArrayLike, ranks: ArrayLike) -> dict[str, float]:
    scores, ranks, _ = checked(scores, ranks)
    return {name: float(value[0]) for name, value in plain(scores, ranks, np.ones((1, len(scores)))).items()}


def checked(scores: ArrayLike, ranks: ArrayLike, sizes: ArrayLike | None = None) -> tuple[Array, Array, Array]:
    """Returns the inputs as arrays [n]; sizes of None become zeros.

    Raises ValueError unless all inputs are finite numbers [n].
    """
    scores, ranks = np.asarray(scores), np.asarray(ranks)
    sizes = np.zeros(len(np.atleast_1d(scores))) if sizes is None else np.asarray(sizes)
    for name, array in (("scores", scores), ("ranks", ranks), ("sizes", sizes)):
        if array.ndim != 1:
            raise ValueError(f"{name} has shape {list(array.shape)}; expected one dimension, [n]")
        if not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
            raise ValueError(f"{name} has dtype {array.dtype}; expected real numbers")
        bad = np.flatnonzero(~np.isfinite(array))
        if len(bad):
            count = f"{len(bad)} of {len(array)} are not finite"
            raise ValueError(f"{name}[{bad[0]}] is {array[bad[0]]} ({count}); expected finite numbers")
    for name, array in (("ranks", ranks), ("sizes", sizes)):
        if len(array) != len(scores):
            raise ValueError(f"{len(scores)} scores but {len(array)} {name}; expected the same number of each")
    if not len(scores):
        raise ValueError("scores and ranks are empty; expected at least one example")
    if sizes.min() < 0:
        raise ValueError(f"sizes[{sizes.argmin()}] is {sizes.min()}; expected pixels, 0 or more")
    return scores, ranks, sizes


def in_order(left: Array, right: Array, order: Array | int = 1) -> Array:
    """Returns 1 where scores [m] of left and right faces agree with `order`, 0.5 where they are equal, else 0.

    The order is +1 if the right face is truly blurrier, -1 if the left face is; it is [m] or one value for all pairs.
    """
    return 0.5 + 0.5 * np.sign((right - left) * order)


def plain(scores: Array, ranks: Array, counts: Array, clear: float | None = None) -> dict[str, Array]:
    """Returns {name: float64 [resamples]} for `NAMES`, nan if undefined.

    Here and below, `counts` [resamples, n] is how often each of the n faces is counted. `clear` is the rank of the
    clear level; None means the lowest rank.
    """
    blurred = ranks > (ranks.min() if clear is None else clear)
    concordance, pairs = _compare(scores, lambda columns: _signs(ranks, columns), counts)
    (score_midranks, score_pairs), (rank_midranks, _) = _midranks(scores, counts), _midranks(ranks, counts)
    covariance = (counts * score_midranks * rank_midranks).sum(axis=1)
    score_variance, rank_variance = ((counts * midranks**2).sum(axis=1) for midranks in (score_midranks, rank_midranks))
    with np.errstate(invalid="ignore"):  # 0 / 0: undefined, nan
        return {
            "auc": _accuracy(*_compare(scores, lambda columns: _signs(blurred, columns), counts)),
            "pairwise_accuracy": _accuracy(concordance, pairs),
            "spearman": covariance / np.sqrt(score_variance * rank_variance),
            "kendall": concordance / np.sqrt(score_pairs * pairs),
        }


def by_size(
    scores: Array, ranks: Array, sizes: Array, counts: Array, clear: float | None = None, size_bins: Bins = None
) -> dict[str, tuple[Array, Array, dict[str, Array]]]:
    """Returns {"32-40": (faces [resamples], blurred faces [resamples], `plain`)} for the non-empty bins.

    `size_bins` are increasing edges in pixels. There is a bin below the first edge, a bin from each edge up to but not
    including the next, and a bin from the last edge upward. None or no edges means one bin. Raises ValueError if the
    edges do not increase.
    """
    clear = ranks.min() if clear is None else clear
    edges = (0, *(size_bins or ()), math.inf)
    if any(low >= high for low, high in zip(edges, edges[1:])):
        raise ValueError(f"size_bins is {list(edges[1:-1])}; expected increasing edges in pixels, above 0")
    bins = {}
    for low, high in zip(edges, edges[1:]):
        members = (sizes >= low) & (sizes < high)
        if members.any():
            blurred = counts[:, members & (ranks > clear)].sum(axis=1)
            values = plain(scores[members], ranks[members], counts[:, members], clear)
            name = f"{low:g}-{high:g}" if math.isfinite(high) else f"{low:g}+"
            bins[name] = counts[:, members].sum(axis=1), blurred, values
    return bins


def size_matched(
    scores: Array, ranks: Array, sizes: Array, counts: Array, clear: float | None = None, size_bins: Bins = None
) -> dict[str, Array]:
    """Returns {name: float64 [resamples]}: weighted means of `by_size` over the bins where a metric is defined.

    A bin's weight is its number of blurred faces (above the clear level). With one bin, these are the plain metrics.
    """
    _, weights, bins = zip(*by_size(scores, ranks, sizes, counts, clear, size_bins).values())
    matched = {}
    for name in NAMES:
        values = np.stack([metrics[name] for metrics in bins])
        shares = np.where(np.isnan(values), 0, np.stack(weights))
        with np.errstate(invalid="ignore"):  # 0 / 0: undefined, nan
            matched[name] = (shares / shares.sum(axis=0) * np.nan_to_num(values)).sum(axis=0)
    return matched


def auc_matched_size(scores: Array, ranks: Array, sizes: Array, counts: Array, clear: float | None = None) -> Array:
    """Returns the AUC [resamples] over pairs of faces whose sizes differ by at most 10%."""
    blurred = ranks > (ranks.min() if clear is None else clear)

    def order(columns: slice) -> Array:
        left, right = sizes[:, None], sizes[None, columns]
        matched = (left <= MATCHED_SIZE_RATIO * right) & (right <= MATCHED_SIZE_RATIO * left)
        return _signs(blurred, columns) * matched

    return _accuracy(*_compare(scores, order, counts))


def between_levels(scores: Array, ranks: Array, counts: Array) -> dict[str, Array]:
    """Returns {"0-1": AUC [resamples]} for every pair of rank levels; empty if there are more than 5 levels."""
    levels = np.unique(ranks)
    aucs = {}
    for j, high in enumerate(levels if len(levels) <= _FEW else []):
        for low in levels[:j]:
            members = (ranks == low) | (ranks == high)
            aucs[f"{low:g}-{high:g}"] = plain(scores[members], ranks[members], counts[:, members])["auc"]
    return aucs


def by_gap(scores: Array, ranks: Array, counts: Array) -> dict[str, tuple[Array, Array]]:
    """Returns {"1": (pairs [resamples], pairwise accuracy [resamples])} by the rank gap between the faces.

    Pairs with equal ranks are left out. Up to 5 distinct gaps are reported separately ("1"); more gaps are merged into
    four groups with about the same number of pairs ("0.1 to 0.25": smallest and largest gap). Gaps are rounded to four
    significant digits of the largest gap.
    """
    levels, level, members = np.unique(ranks.astype(np.float64), return_inverse=True, return_counts=True)
    if len(levels) < 2:
        return {}
    decimals = 3 - math.floor(math.log10(levels[-1] - levels[0]))
    gaps = np.round(np.abs(levels[:, None] - levels), decimals)  # [levels, levels]
    upper = np.triu_indices(len(levels), 1)
    distinct, which = np.unique(gaps[upper], return_inverse=True)
    pairs = np.cumsum(np.bincount(which, weights=np.outer(members, members)[upper]))
    last = np.arange(len(distinct))  # the last gap of each class
    if len(distinct) > _FEW:
        last = np.unique(np.searchsorted(pairs, pairs[-1] * np.array([0.25, 0.5, 0.75, 1])))
    gap_class = np.searchsorted(distinct[last], gaps)
    np.fill_diagonal(gap_class, -1)  # no pairs

    gap_metrics, first = {}, 0
    for k, end in enumerate(last):

        def order(columns: slice, k: int = k) -> Array:
            return _signs(ranks, columns) * (gap_class[level[:, None], level[None, columns]] == k)

        name = f"{distinct[first]:g}" if first == end else f"{distinct[first]:g} to {distinct[end]:g}"
        concordance, pairs = _compare(scores, order, counts)
        gap_metrics[name] = pairs, _accuracy(concordance, pairs)
        first = end + 1
    return gap_metrics


def _signs(values: Array, columns: slice) -> Array:
    """Returns the order of each pair, int8 [n, columns]: 1 if the first is larger, -1 if the second is, 0 for a tie."""
    left, right = values[:, None], values[None, columns]
    return (left > right).astype(np.int8) - (left < right)


def _compare(scores: Array, order: Callable[[slice], Array], counts: Array) -> tuple[Array, Array]:
    """Returns the number of concordant minus discordant pairs and the number of all pairs, both [resamples].

    `order(columns)` returns the true order of the pairs in a block, like `_signs`; 0 leaves a pair out.
    """
    counts32 = counts.astype(np.float32)  # exact: the products below are integers under 2**24
    concordance, pairs = np.zeros((2, len(counts)))
    for start in range(0, len(scores), _BLOCK):
        block = slice(start, start + _BLOCK)
        true = order(block).astype(np.float32)
        concordance += ((counts32 @ (true * _signs(scores, block))) * counts[:, block]).sum(axis=1)
        pairs += ((counts32 @ np.abs(true)) * counts[:, block]).sum(axis=1)
    return concordance / 2, pairs / 2  # each pair was counted twice


def _accuracy(concordance: Array, pairs: Array) -> Array:
    with np.errstate(invalid="ignore"):  # 0 / 0: undefined, nan
        return (1 + concordance / pairs) / 2


def _midranks(values: Array, counts: Array) -> tuple[Array, Array]:
    """Returns twice the centered mid-rank of each example [resamples, n], and the number of untied pairs [resamples].

    The factor of two keeps the mid-ranks integers.
    """
    level = np.unique(values, return_inverse=True)[1]  # only exactly equal values are ties
    order = np.argsort(level, kind="stable")
    starts = np.flatnonzero(np.diff(level[order], prepend=-1))
    level_counts = np.add.reduceat(counts[:, order], starts, axis=1)
    total = level_counts.sum(axis=1, keepdims=True)
    midranks = 2 * np.cumsum(level_counts, axis=1) - level_counts - total
    untied = (total[:, 0] ** 2 - (level_counts**2).sum(axis=1)) / 2
    return midranks[:, level], untied
