"""Measures how much content affects scores, and which groups of faces a threshold discards.

A perfect blur scorer gives equally blurred faces equal scores. Any remaining spread comes from content: who is shown,
pose, light, background. Readings are float [n], larger is blurrier, on an unbounded scale, such as the logits of
scores. `counts` [resamples, n], from `bootstrap.draws`, is how often each face counts in each resample. Results are
float64 [resamples], ready for `bootstrap.interval`; nan if undefined, for example because a group is empty.
"""

from typing import NamedTuple

import numpy as np

Array = np.ndarray


class Discarded(NamedTuple):
    """The shares, in [0, 1], of a group and of the other faces that a threshold discards, and their ratio."""

    group: Array
    others: Array
    ratio: Array  # 1 is fair.


def content_share(equal: Array, unchanged: Array, counts: Array) -> Array:
    """Returns the standard deviation of the readings at equal blur, divided by that of the unmodified faces.

    0: all equally blurred faces get the same reading. 1: equally blurred faces vary as much as the unmodified faces.
    """
    with np.errstate(invalid="ignore", divide="ignore"):  # x / 0: undefined, nan or inf
        return _spread(equal, counts) / _spread(unchanged, counts)


def blurriest(readings: Array, rate: float, counts: Array) -> Array:
    """Returns a mask of the faces that a threshold discards, the blurriest share `rate`, bool [resamples, n].

    At least `rate` of the counted faces reach the threshold; with ties, more faces may be discarded.
    """
    order = np.argsort(-readings, kind="stable")
    reached = np.cumsum(counts[:, order], axis=1) >= np.round(rate * counts.sum(axis=1, keepdims=True), 6)
    thresholds = readings[order][reached.argmax(axis=1)]
    return readings >= thresholds[:, None]


def discarded(discards: Array, group: Array, among: Array, counts: Array) -> Discarded:
    """Returns the discarded shares of a group and of the other faces.

    Args:
        discards: bool or shares in [0, 1], [resamples, n].
        group: bool [n].
        among: bool [n], the faces that count, such as the clear faces, which should all be kept.
        counts: see the module docstring.
    """
    with np.errstate(invalid="ignore", divide="ignore"):  # 0 / 0: undefined, nan
        shares = [
            (counts * discards)[:, members].sum(axis=1) / counts[:, members].sum(axis=1)
            for members in (among & group, among & ~group)
        ]
        return Discarded(*shares, shares[0] / shares[1])


def _spread(readings: Array, counts: Array) -> Array:
    """Returns the standard deviation in each resample, [resamples]."""
    centered = readings - readings.mean()
    weights = counts / counts.sum(axis=1, keepdims=True)
    return np.sqrt(np.maximum(weights @ centered**2 - (weights @ centered) ** 2, 0))
