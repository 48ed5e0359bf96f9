"""95% bootstrap intervals for metrics, for paired differences between scorers and for means over splits.

Every metric is an array [1 + resamples]: its value on the original faces, then on each resample.
Resamples depend only on the seed and the number of faces, so to compare two scorers on the same faces, subtract their
metrics:

    ours = headline(our_scores, ranks, sizes, size_bins=bins)  # {"auc": [1 + resamples], ...}, size-matched
    baseline = headline(baseline_scores, ranks, sizes, size_bins=bins)
    interval(ours["auc"])                                      # {"value": ..., "low": ..., "high": ...}
    interval(ours["auc"] - baseline["auc"])                    # paired: better than the baseline if low > 0
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from blur_jax.metrics import rank_statistics
from blur_jax.metrics.interval import Interval
from blur_jax.metrics.rank_statistics import Bins


def headline(
    scores: ArrayLike,
    ranks: ArrayLike,
    sizes: ArrayLike | None = None,
    *,
    size_bins: Bins = None,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Computes the size-matched metrics of one scorer on one split and on each of its resamples.

    Args:
        scores: [n] finite predicted blur.
        ranks: [n] finite true blur, larger = blurrier, ties allowed.
        sizes: [n] shorter side of the original face in pixels; None means that all sizes are equal.
        size_bins: increasing edges in pixels, see `rank_statistics.by_size`; None or an empty list means plain metrics.
        resamples: number of bootstrap resamples, at least 1.
        seed: resampling seed; use the same seed for scorers that you compare and different seeds for different splits.

    Returns:
        {"auc", "pairwise_accuracy", "spearman", "kendall", "auc_matched_size": float64 [1 + resamples]}, see
        `rank_statistics.size_matched` and `auc_matched_size`; nan if undefined.

    Raises:
        ValueError: `rank_statistics.checked` rejects an input, `resamples` is below 1, or `size_bins` do not increase.
    """
    scores, ranks, sizes = rank_statistics.checked(scores, ranks, sizes)
    return _headline(scores, ranks, sizes, size_bins, draws(len(scores), resamples, seed), None)


def headlines(
    splits: Mapping[str, tuple[ArrayLike, ArrayLike, ArrayLike | None]],
    mean_of: Sequence[str] | None = None,
    *,
    size_bins: Bins = None,
    resamples: int = 1000,
) -> dict[str, dict[str, np.ndarray]]:
    """Returns `headline` for every split {split: (scores, ranks, sizes)} and, under "mean", for the mean over splits.

    A split's position is its seed, so pass the same splits in the same order for all scorers that you compare.
    `mean_of` lists the splits to average; None or an empty list means all. See `headline` for the other arguments.
    """
    resampled = {
        split: headline(*columns, size_bins=size_bins, resamples=resamples, seed=seed)
        for seed, (split, columns) in enumerate(splits.items())
    }
    parts = [resampled[split] for split in mean_of or splits]
    return resampled | {"mean": {name: np.mean([part[name] for part in parts], axis=0) for name in parts[0]}}


def interval(values: np.ndarray) -> Interval:
    """Returns the value and 95% percentile interval of a metric [1 + resamples], ready for JSON; None if undefined.

    The interval ignores resamples where the metric is undefined, for example because all faces have the same rank.
    """
    defined = values[1:][np.isfinite(values[1:])]
    low, high = np.percentile(defined, [2.5, 97.5]) if len(defined) else (np.nan, np.nan)
    value, low, high = (float(end) if np.isfinite(end) else None for end in (values[0], low, high))
    return Interval(value=value, low=low, high=high)


def rank_metrics(
    scores: ArrayLike,
    ranks: ArrayLike,
    sizes: ArrayLike | None = None,
    *,
    size_bins: Bins = None,
    clear: float | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Computes all metrics for a set of scores, with 95% bootstrap intervals, ready for JSON.

    The percentile bootstrap draws examples (faces), not pairs, with replacement, because pairs that share a face are
    not independent. Two copies of the same face do not count as a pair. Memory use is O(n * (n + resamples)). Arguments
    and errors are those of `headline`; `clear` is the rank of the clear level, and None means the lowest rank. For part
    of a split, pass the split's lowest rank.

    Returns:
        {"examples": n, "pairs": number of pairs that differ in rank,
        "auc", "pairwise_accuracy", "spearman", "kendall": `Interval`,
        "auc_between": {"0-1": `Interval`, ...}, for every pair of rank levels; empty if there are more than 5 levels,
        "pairwise_accuracy_by_gap": {"1": {"pairs": number, **`Interval`}, ...}, see `rank_statistics.by_gap`};
        and, if the faces fall into more than one size bin,
        {"size_matched": {name: `Interval`}, for all metrics that `headline` returns,
        "size_alone": the same for a scorer that uses only size, which shows how well size predicts blur within bins,
        "by_size": {"32-40": {"examples": faces, "blurred": faces above the clear level, **{name: `Interval`}}, ...}}.
    """
    scores, ranks, sizes = rank_statistics.checked(scores, ranks, sizes)
    counts = draws(len(scores), resamples, seed)
    by_gap = rank_statistics.by_gap(scores, ranks, counts)
    gaps = {gap: {"pairs": int(pairs[0]), **interval(accuracy)} for gap, (pairs, accuracy) in by_gap.items()}
    summary: dict[str, Any] = {"examples": len(scores), "pairs": sum(gap["pairs"] for gap in gaps.values())}
    summary |= _intervals(rank_statistics.plain(scores, ranks, counts, clear))
    summary["auc_between"] = _intervals(rank_statistics.between_levels(scores, ranks, counts))
    summary["pairwise_accuracy_by_gap"] = gaps
    bins = rank_statistics.by_size(scores, ranks, sizes, counts, clear, size_bins)
    if len(bins) > 1:
        summary["size_matched"] = _intervals(_headline(scores, ranks, sizes, size_bins, counts, clear))
        summary["size_alone"] = _intervals(_headline(0.0 - sizes, ranks, sizes, size_bins, counts, clear))
        summary["by_size"] = {
            name: {"examples": int(faces[0]), "blurred": int(blurred[0]), **_intervals(values)}
            for name, (faces, blurred, values) in bins.items()
        }
    return summary


def _headline(
    scores: np.ndarray, ranks: np.ndarray, sizes: np.ndarray, size_bins: Bins, counts: np.ndarray, clear: float | None
) -> dict[str, np.ndarray]:
    auc = rank_statistics.auc_matched_size(scores, ranks, sizes, counts, clear)
    return rank_statistics.size_matched(scores, ranks, sizes, counts, clear, size_bins) | {"auc_matched_size": auc}


def _intervals(values: Mapping[str, np.ndarray]) -> dict[str, Interval]:
    return {name: interval(resampled) for name, resampled in values.items()}


def draws(n: int, resamples: int, seed: int) -> np.ndarray:
    """Returns example counts, float64 [1 + resamples, n]: all ones, then draws with replacement."""
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}; it must be at least 1")
    draws = np.random.default_rng(seed).integers(n, size=(resamples, n))
    cells = draws + n * np.arange(resamples)[:, None]
    counts = np.bincount(cells.ravel(), minlength=resamples * n).reshape(resamples, n)
    return np.concatenate([np.ones((1, n)), counts])
