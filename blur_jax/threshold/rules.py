"""Where to put a threshold, and how sure that is: plain statistics of scores, in [0, 1], larger is blurrier.

A picture is kept when its score is below the threshold. A threshold lies halfway between two neighboring scores of
the pictures it is chosen on, so that the last digit of a score decides nothing. If k of n pictures lie at or above
it, the share of all such pictures that does is, for whatever distribution of scores, between the k-th and the k+1-st
of n uniform order statistics, which is the exact binomial interval of Clopper and Pearson (1934), although the
threshold was chosen on the same pictures. The interval is for independent pictures of the same kind: twenty frames of
one scene count as one.
"""

import dataclasses
import math

import numpy as np
from scipy import stats

LEAST_CASES = 2  # Pictures that a wanted share must stand for, on either side, to say anything.


@dataclasses.dataclass(frozen=True)
class Share:
    """`count` of `total` pictures, and from where to where the share of all such pictures lies with 95% certainty."""

    count: int
    total: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """The share of the pictures at hand."""
        return self.count / self.total

    def __str__(self) -> str:
        return f"{self.value:.1%} ({self.count:,} of {self.total:,}; {self.low:.1%} to {self.high:.1%} of new ones)"


def share(hits: np.ndarray) -> Share:
    """Returns the share of True in bool [n], n above 0."""
    count, total = int(np.sum(hits)), len(hits)
    interval = stats.binomtest(count, total).proportion_ci(confidence_level=0.95, method="exact")
    return Share(count, total, float(interval.low), float(interval.high))


def for_discard(scores: np.ndarray, rate: float) -> float:
    """Returns the threshold at or above which about `rate` of scores [n] lie, as near as ties allow.

    Raises:
        ValueError: there are too few scores to say anything about such a rate, or all are the same.
    """
    check_enough(len(scores), rate, "pictures")
    gaps, above = _gaps(scores)
    if not len(gaps):
        raise ValueError(f"all {len(scores)} scores are {scores[0]:.4g}: no threshold tells these pictures apart")
    return float(gaps[np.argmin(np.abs(above - rate * len(scores)))])


def for_lost_good(good: np.ndarray, rate: float) -> float:
    """Returns the lowest threshold at or above which at most `rate` of the scores [n] of good pictures lie.

    Raises:
        ValueError: there are too few good pictures to say anything about such a rate.
    """
    check_enough(len(good), rate, "good pictures")
    gaps, above = _gaps(good)
    allowed = gaps[above <= round(rate * len(good), 6)]
    return float(allowed[0]) if len(allowed) else _midway(np.max(good), 1.0)


def for_kept_bad(bad: np.ndarray, rate: float) -> float:
    """Returns the highest threshold below which at most `rate` of the scores [n] of bad pictures lie.

    Raises:
        ValueError: there are too few bad pictures to say anything about such a rate.
    """
    check_enough(len(bad), rate, "bad pictures")
    gaps, above = _gaps(bad)
    allowed = gaps[len(bad) - above <= round(rate * len(bad), 6)]
    return float(allowed[-1]) if len(allowed) else _midway(0.0, np.min(bad))


def check_enough(count: int, rate: float, what: str) -> None:
    """Raises ValueError where `count` pictures are too few for a share of `rate`, or it is no share."""
    check_share(rate)
    needed = math.ceil(round(LEAST_CASES / min(rate, 1 - rate), 6))
    if count < needed:
        raise ValueError(
            f"{count} {what} are too few to say anything about a share of {rate:g}: that takes {needed:,} or more"
        )


def check_share(rate: float) -> None:
    """Raises ValueError where a wanted share lies outside (0, 1)."""
    if not 0 < rate < 1:
        raise ValueError(f"a share must lie between 0 and 1, such as 0.1, not {rate:g}")


def _gaps(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the middles between different neighboring scores, increasing, and how many scores lie above each."""
    values, counts = np.unique(np.asarray(scores, np.float64), return_counts=True)
    return (values[1:] + values[:-1]) / 2, len(scores) - np.cumsum(counts)[:-1]


def _midway(low: float, high: float) -> float:
    return float(low + high) / 2
