"""How much of a score is content: what spreads the scores of equally blurred faces, and whom it discards.

If all faces are equally blurred, a scorer of blur gives them equal scores. Whatever still spreads the scores is
content: who is shown, pose, light, background. Readings are float [n], larger is blurrier, on a scale without ends,
such as the logits of scores. `counts` [resamples, n] is how often each face counts, from `bootstrap.draws`. Results are
float64 [resamples], ready for `bootstrap.interval`; nan if undefined, for example because a group is empty.
"""

from typing import NamedTuple

import numpy as np

Array = np.ndarray


class Discarded(NamedTuple):
    """Shares in [0, 1] of a group and of the other faces that a threshold discards, and their ratio."""

    group: Array
    others: Array
    ratio: Array  # 1 is fair.


def content_share(equal: Array, unchanged: Array, counts: Array) -> Array:
    """Returns the standard deviation of the readings at equal blur over that of the unchanged faces.

    0: all equally blurred faces get the same reading. 1: equal blur spreads readings as much as the faces' own blur.
    """
    with np.errstate(invalid="ignore", divide="ignore"):  # x / 0: undefined, nan or inf
        return _spread(equal, counts) / _spread(unchanged, counts)


def blurriest(readings: Array, rate: float, counts: Array) -> Array:
    """Returns which faces a threshold discards in each resample, bool [resamples, n]: the blurriest share `rate`.

    The threshold is the reading that at least `rate` of the counted faces reach, so ties may discard more.
    """
    order = np.argsort(-readings, kind="stable")
    reached = np.cumsum(counts[:, order], axis=1) >= np.round(rate * counts.sum(axis=1, keepdims=True), 6)
    thresholds = readings[order][reached.argmax(axis=1)]
    return readings >= thresholds[:, None]


def discarded(discards: Array, group: Array, among: Array, counts: Array) -> Discarded:
    """Returns the shares of `discards`, bool or shares [resamples, n], for a group, bool [n], and for the others.

    Only faces `among`, bool [n], count, such as the clear ones, all of which should be kept.
    """
    with np.errstate(invalid="ignore", divide="ignore"):  # 0 / 0: undefined, nan
        shares = [
            (counts * discards)[:, members].sum(axis=1) / counts[:, members].sum(axis=1)
            for members in (among & group, among & ~group)
        ]
        return Discarded(*shares, shares[0] / shares[1])


def _spread(readings: Array, counts: Array) -> Array:
    """Returns the standard deviation [resamples]."""
    centered = readings - readings.mean()
    weights = counts / counts.sum(axis=1, keepdims=True)
    return np.sqrt(np.maximum(weights @ centered**2 - (weights @ centered) ** 2, 0))
