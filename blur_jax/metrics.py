"""How well do scores put pictures in their true order of blur? Rank statistics with intervals.

Every figure here depends on the order of the scores alone, never on their values. All three come
from two quantities, for examples that are counted `counts` times (once each for the figure
itself, as drawn for a bootstrap resample):

* S, concordant less discordant pairs, and the numbers P and Q of pairs that differ in rank and in
  score: pairwise accuracy is (1 + S / P) / 2 and Kendall's tau-b is S / sqrt(P Q);
* the mid-ranks of both, whose correlation is Spearman's.

Everything is an integer until the last division, so the figures are exact and repeatable.
"""

import numpy as np

_BLOCK = 1024  # columns of the n x n concordance matrix held at a time


def pairwise_accuracy(scores, ranks):
    """Share of the pairs that differ in rank which the scores put in the same order.

    Args:
      scores: [n] finite predicted blur; equal scores count one half.
      ranks: [n] finite true blur, larger = blurrier; pairs of equal rank are left out.

    Returns:
      float in [0, 1], 0.5 = chance; nan where all ranks are equal (there is no pair).

    Raises:
      ValueError: the inputs are empty, not finite, not 1-D, or of different lengths.
    """
    return _figures(scores, ranks)["pairwise_accuracy"]


def spearman(scores, ranks):
    """Spearman's rank correlation (SRCC) of [n] scores and [n] ranks, ties at their mid-rank.

    Returns a float in [-1, 1], nan where all scores or all ranks are equal; raises ValueError as
    `pairwise_accuracy` does.
    """
    return _figures(scores, ranks)["spearman"]


def kendall(scores, ranks):
    """Kendall's rank correlation (KRCC) of [n] scores and [n] ranks: tau-b, which allows for ties.

    Returns a float in [-1, 1], nan where all scores or all ranks are equal; raises ValueError as
    `pairwise_accuracy` does.
    """
    return _figures(scores, ranks)["kendall"]


def summarize(scores, ranks, *, resamples=1000, seed=0):
    """All three figures with 95% bootstrap intervals, ready for JSON.

    The percentile bootstrap draws examples (faces), not pairs, with replacement: pairs that share a
    face are not independent. A face drawn twice ties with its own copy, which is not a pair.
    Resamples in which a figure is undefined (for instance all of one rank) are left out of its
    interval. The same `seed` and n draw the same faces whatever the scores, so that the resamples of
    two scorers are paired. Memory is of order n * resamples.

    Args:
      scores: [n] finite predicted blur.
      ranks: [n] finite true blur, larger = blurrier, ties allowed.
      resamples: number of bootstrap resamples, at least 1.
      seed: seed of the resampling.

    Returns:
      {"examples": n, "pairs": number of pairs that differ in rank, and for each of
      "pairwise_accuracy", "spearman", "kendall": {"value": v, "low": l, "high": h}}, where an
      undefined figure is None, not nan, as JSON has none.

    Raises:
      ValueError: as `pairwise_accuracy`, or `resamples` is below 1.
    """
    scores, ranks = _checked(scores, ranks)
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}; it must be at least 1")
    n = len(scores)
    figures = _statistics(scores, ranks, np.ones((1, n)))
    draws = np.random.default_rng(seed).integers(n, size=(resamples, n))
    cells = draws + n * np.arange(resamples)[:, None]
    counts = np.bincount(cells.ravel(), minlength=resamples * n).reshape(resamples, n)
    resampled = _statistics(scores, ranks, counts.astype(np.float64))

    summary = {"examples": n, "pairs": int(figures.pop("pairs")[0])}
    for name, value in figures.items():
        defined = resampled[name][np.isfinite(resampled[name])]
        low, high = np.percentile(defined, [2.5, 97.5]) if len(defined) else (np.nan, np.nan)
        values = {"value": value[0], "low": low, "high": high}
        summary[name] = {k: float(v) if np.isfinite(v) else None for k, v in values.items()}
    return summary


def _checked(scores, ranks):
    scores, ranks = np.asarray(scores), np.asarray(ranks)
    for name, array in (("scores", scores), ("ranks", ranks)):
        if array.ndim != 1:
            raise ValueError(f"{name} has shape {list(array.shape)}; expected one dimension, [n]")
        if not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
            raise ValueError(f"{name} has dtype {array.dtype}; expected real numbers")
        bad = np.flatnonzero(~np.isfinite(array))
        if len(bad):
            raise ValueError(
                f"{name}[{bad[0]}] is {array[bad[0]]} ({len(bad)} of {len(array)} are not finite);"
                " expected finite numbers"
            )
    if len(scores) != len(ranks):
        raise ValueError(f"{len(scores)} scores but {len(ranks)} ranks; expected one of each")
    if not len(scores):
        raise ValueError("scores and ranks are empty; expected at least one example")
    return scores, ranks


def _figures(scores, ranks):
    scores, ranks = _checked(scores, ranks)
    figures = _statistics(scores, ranks, np.ones((1, len(scores))))
    return {name: float(value[0]) for name, value in figures.items()}


def _statistics(scores, ranks, counts):
    """The figures, each [resamples], of examples [n] counted `counts` [resamples, n] times."""
    # Order is all that counts: small integers in place of the values. unique keeps exact ties only.
    scores, ranks = (np.unique(values, return_inverse=True)[1] for values in (scores, ranks))
    score_midranks, score_pairs = _midranks(scores, counts)
    rank_midranks, rank_pairs = _midranks(ranks, counts)
    concordance = _concordance(scores, ranks, counts)
    covariance = (counts * score_midranks * rank_midranks).sum(axis=1)
    score_variance = (counts * score_midranks**2).sum(axis=1)
    rank_variance = (counts * rank_midranks**2).sum(axis=1)
    with np.errstate(invalid="ignore"):  # 0 / 0: undefined, nan
        return {
            "pairs": rank_pairs,
            "pairwise_accuracy": (1 + concordance / rank_pairs) / 2,
            "spearman": covariance / np.sqrt(score_variance * rank_variance),
            "kendall": concordance / np.sqrt(score_pairs * rank_pairs),
        }


def _midranks(levels, counts):
    """Twice the centred mid-rank of each example [resamples, n]; number of untied pairs [resamples].

    The factor of two keeps the mid-ranks integers.
    """
    order = np.argsort(levels, kind="stable")
    starts = np.flatnonzero(np.diff(levels[order], prepend=-1))
    level_counts = np.add.reduceat(counts[:, order], starts, axis=1)
    total = level_counts.sum(axis=1, keepdims=True)
    midranks = 2 * np.cumsum(level_counts, axis=1) - level_counts - total
    untied = (total[:, 0] ** 2 - (level_counts**2).sum(axis=1)) / 2
    return midranks[:, levels], untied


def _concordance(scores, ranks, counts):
    """Concordant less discordant pairs [resamples]: half of counts C counts^T, block by block."""
    counts32 = counts.astype(np.float32)  # exact: the products below are integers under 2**24
    total = np.zeros(len(counts))
    for start in range(0, len(scores), _BLOCK):
        block = slice(start, start + _BLOCK)
        signs = np.sign(scores[:, None] - scores[None, block])
        signs *= np.sign(ranks[:, None] - ranks[None, block])
        total += ((counts32 @ signs.astype(np.float32)) * counts[:, block]).sum(axis=1)
    return total / 2
