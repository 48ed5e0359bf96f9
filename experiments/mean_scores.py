"""Combines scorers by the mean of their normal scores."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from scipy import stats

from experiments import evaluated_runs

Scores = dict[str, np.ndarray]  # {split: float [n]}


def parse(texts: Sequence[str], scorers: Collection[str]) -> dict[str, list[str]]:
    """Parses NAME=A+B strings to {name: scorers}; raises ValueError for unknown scorers and for names in use."""
    means = {name: parts.split("+") for name, parts in evaluated_runs.parse(texts, flag="--mean", form="A+B").items()}
    for name, parts in means.items():
        if name in scorers:
            raise ValueError(f"--mean={name}=... uses the name of a scorer; choose a different name")
        if unknown := [part for part in parts if part not in scorers]:
            raise ValueError(f"--mean={name}=...: there is no scorer {unknown[0]!r}; choose from {', '.join(scorers)}")
    return means


def mean(scores: Sequence[Scores], axes: Mapping[str, Collection[str]]) -> Scores:
    """Returns the mean of the scorers' normal scores, which depend only on each scorer's order of an axis's faces.

    `scores` contains each scorer's scores, and `axes` is {axis: its splits}. A normal score is the standard normal
    quantile of the rank (Blom, 1958, with an offset of 1/2).
    """
    means: Scores = {}
    for names in axes.values():
        ends = np.cumsum([len(scores[0][name]) for name in names])
        ranks = [stats.rankdata(np.concatenate([values[name] for name in names])) for values in scores]
        mean = np.mean([stats.norm.ppf((rank - 0.5) / ends[-1]) for rank in ranks], axis=0)
        means |= zip(names, np.split(mean, ends[:-1]))
    return means
