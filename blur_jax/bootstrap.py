"""How sure are the figures? 95% bootstrap intervals that resample faces; paired differences; means over splits.

Every figure is an array [1 + resamples]: first its value on the faces themselves, then on each resample of them.
Resamples depend on the seed and the number of faces alone, so those of two scorers on the same faces are paired,
and comparing is arithmetic:

    ours = headline(our_scores, ranks, sizes)          # {"auc": [1 + resamples], ...}, size-matched
    rival = headline(rival_scores, ranks, sizes)
    interval(ours["auc"])                              # {"value": ..., "low": ..., "high": ...}
    interval(ours["auc"] - rival["auc"])               # paired: beats it where low > 0
    headlines({"test1": (scores, ranks, sizes), ...})  # of each split and, under "mean", of the mean over splits
"""

import numpy as np

from blur_jax import metrics

MEAN_OF = ("test1", "test2")  # Events that nobody was trained on: where there are such splits, the headline is theirs.


def headline(scores, ranks, sizes=None, *, resamples=1000, seed=0):
    """The size-matched figures of one scorer on one split, the values and those of each resample.

    Args:
      scores: [n] finite predicted blur.
      ranks: [n] finite true blur, larger = blurrier, ties allowed.
      sizes: [n] shorter side of the original face in pixels; None: all alike, the figures are plain ones.
      resamples: number of bootstrap resamples, at least 1.
      seed: seed of the resampling: the same for scorers that are compared, another for another split.

    Returns:
      {"auc", "pairwise_accuracy", "spearman", "kendall": float64 [1 + resamples], see `metrics.size_matched`,
       "auc_like_size": float64 [1 + resamples], the stricter match of `metrics.auc_like_size`}, nan where undefined.

    Raises:
      ValueError: as `metrics.pairwise_accuracy`, or `resamples` is below 1.
    """
    scores, ranks, sizes = metrics.checked(scores, ranks, sizes)
    return _headline(scores, ranks, sizes, _draws(len(scores), resamples, seed), None)


def headlines(splits, mean_of=None, *, resamples=1000):
    """`headline` of every split and of the mean over splits.

    Args:
      splits: {split: (scores, ranks, sizes)}. The seed of a split is its place: give scorers that are compared the same
        splits in the same order.
      mean_of: the splits to average; None takes all.
      resamples: as of `headline`.

    Returns:
      {split: {figure: [1 + resamples]}, "mean": {figure: [1 + resamples]}}.
    """
    found = {
        split: headline(*columns, resamples=resamples, seed=seed)
        for seed, (split, columns) in enumerate(splits.items())
    }
    parts = [found[split] for split in mean_of or splits]
    return found | {"mean": {name: np.mean([part[name] for part in parts], axis=0) for name in parts[0]}}


def headline_splits(splits):
    """Those of `splits` whose mean is the headline: those of `MEAN_OF`, or all where there are none."""
    return [split for split in MEAN_OF if split in splits] or list(splits)


def interval(values):
    """{"value", "low", "high"}: a figure [1 + resamples] with its 95% percentile interval, ready for JSON.

    Resamples in which the figure is undefined (for instance all of one rank) are left out of the interval.
    What is undefined is None, not nan, as JSON has none.
    """
    defined = values[1:][np.isfinite(values[1:])]
    low, high = np.percentile(defined, [2.5, 97.5]) if len(defined) else (np.nan, np.nan)
    found = {"value": values[0], "low": low, "high": high}
    return {key: float(value) if np.isfinite(value) else None for key, value in found.items()}


def interval_text(interval, sign=""):
    """An interval as "0.878 [0.839, 0.916]"; sign "+" shows the signs, of differences. "" where it is undefined."""
    if interval["value"] is None:
        return ""
    return f"{{value:{sign}.3f}} [{{low:{sign}.3f}}, {{high:{sign}.3f}}]".format(**interval)


def summarize(scores, ranks, sizes=None, *, clear=None, resamples=1000, seed=0):
    """All figures of a set of scores with 95% bootstrap intervals, ready for JSON.

    The percentile bootstrap draws examples (faces), not pairs, with replacement: pairs that share a
    face are not independent. A face drawn twice ties with its own copy, which is not a pair.
    Memory is of order n * (n + resamples).

    Args:
      scores, ranks, sizes, resamples, seed: as of `headline`.
      clear: rank of the clear level; None is the lowest of `ranks`. For a part of a split, the split's lowest.

    Returns:
      {"examples": n, "pairs": number of pairs that differ in rank,
       "auc", "pairwise_accuracy", "spearman", "kendall": interval,
       "auc_between": {"0-1": interval, ...}, of every two levels of rank; empty where there are more than 5,
       "pairwise_accuracy_by_gap": {"1": {"pairs": number, **interval}, ...}, see `metrics.by_gap`},
      where an interval is {"value", "low", "high"}; and where sizes fall into more than one of `metrics.SIZE_EDGES`
      {"size_matched": {figure: interval}, of all that `headline` returns,
       "size_alone": {figure: interval}, the same of a scorer that knows nothing but size: what the match leaves over,
       "by_size": {"32-40": {"examples": faces, "blurred": those above the clear level, **{figure: interval}}, ...}}.

    Raises:
      ValueError: as `headline`.
    """
    scores, ranks, sizes = metrics.checked(scores, ranks, sizes)
    counts = _draws(len(scores), resamples, seed)
    gaps = {
        gap: {"pairs": int(pairs[0]), **interval(accuracy)}
        for gap, (pairs, accuracy) in metrics.by_gap(scores, ranks, counts).items()
    }
    summary = {"examples": len(scores), "pairs": sum(gap["pairs"] for gap in gaps.values())}
    summary |= _intervals(metrics.plain(scores, ranks, counts, clear))
    summary["auc_between"] = _intervals(metrics.between_levels(scores, ranks, counts))
    summary["pairwise_accuracy_by_gap"] = gaps
    bins = metrics.by_size(scores, ranks, sizes, counts, clear)
    if len(bins) > 1:
        summary["size_matched"] = _intervals(_headline(scores, ranks, sizes, counts, clear))
        summary["size_alone"] = _intervals(_headline(0.0 - sizes, ranks, sizes, counts, clear))
        summary["by_size"] = {
            name: {"examples": int(faces[0]), "blurred": int(blurred[0]), **_intervals(figures)}
            for name, (faces, blurred, figures) in bins.items()
        }
    return summary


def _headline(scores, ranks, sizes, counts, clear):
    matched = metrics.size_matched(scores, ranks, sizes, counts, clear)
    return matched | {"auc_like_size": metrics.auc_like_size(scores, ranks, sizes, counts, clear)}


def _intervals(figures):
    return {name: interval(values) for name, values in figures.items()}


def _draws(n, resamples, seed):
    """How often each of n examples counts, float64 [1 + resamples, n]: once, then as drawn with replacement."""
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}; it must be at least 1")
    draws = np.random.default_rng(seed).integers(n, size=(resamples, n))
    cells = draws + n * np.arange(resamples)[:, None]
    counts = np.bincount(cells.ravel(), minlength=resamples * n).reshape(resamples, n)
    return np.concatenate([np.ones((1, n)), counts])
