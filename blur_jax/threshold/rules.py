"""Rules that choose a threshold from scores in [0, 1] (larger is blurrier), and the uncertainty of its effect.

A picture is kept if its score is below the threshold, which is halfway between two neighboring scores of the given
pictures. If k of n pictures are at or above it, then for any distribution of scores, the share among all such pictures
lies between the k-th and the (k+1)-st of n uniform order statistics. This is the exact binomial interval of Clopper and
Pearson (1934), even though the threshold was chosen on the same pictures. The interval assumes independent pictures of
the same kind: twenty frames of one scene count as one picture.
"""

import dataclasses
import math

import numpy as np
from scipy import stats

LEAST_CASES = 2  # Pictures required on each side of the requested share.


@dataclasses.dataclass(frozen=True)
class Share:
    """`count` of `total` pictures, and a 95% interval, `low` to `high`, for the share among all such pictures."""

    count: int
    total: int
    low: float
    high: float

    def __str__(self) -> str:
        value, interval = self.count / self.total, f"{self.low:.1%} to {self.high:.1%}"
        return f"{value:.1%} ({self.count:,} of {self.total:,}; 95% interval {interval})"


def share(hits: np.ndarray) -> Share:
    """Returns the share of True values in bool [n], n above 0."""
    count, total = int(np.sum(hits)), len(hits)
    interval = stats.binomtest(count, total).proportion_ci(confidence_level=0.95, method="exact")
    return Share(count, total, float(interval.low), float(interval.high))


def for_discard(scores: np.ndarray, rate: float) -> float:
    """Returns the threshold that discards a share of the scores [n] as close to `rate` as ties allow.

    Raises ValueError if there are too few scores for the rate, or they are all equal.
    """
    check_enough(len(scores), rate, "pictures")
    gaps, above = _gaps(scores)
    if not len(gaps):
        raise ValueError(
            f"all {len(scores)} scores are {scores[0]:.4g}, so no threshold can separate them; add other pictures"
        )
    return float(gaps[np.argmin(np.abs(above - rate * len(scores)))])


def for_lost_good(good: np.ndarray, rate: float) -> float:
    """Returns the lowest threshold that discards at most a fraction `rate` of good pictures, which have scores [n].

    Raises ValueError if there are too few scores for the rate.
    """
    check_enough(len(good), rate, "good pictures")
    gaps, above = _gaps(good)
    allowed = gaps[above <= round(rate * len(good), 6)]
    return float(allowed[0] if len(allowed) else (np.max(good) + 1.0) / 2)


def for_kept_bad(bad: np.ndarray, rate: float) -> float:
    """Returns the highest threshold that keeps at most a share `rate` of bad pictures, which have scores [n].

    Raises ValueError if there are too few scores for the rate.
    """
    check_enough(len(bad), rate, "bad pictures")
    gaps, above = _gaps(bad)
    allowed = gaps[len(bad) - above <= round(rate * len(bad), 6)]
    return float(allowed[-1] if len(allowed) else np.min(bad) / 2)


def check_enough(count: int, rate: float, kind: str) -> None:
    """Raises ValueError if `rate` is not in (0, 1), or if `count` pictures of this `kind` are too few for it."""
    check_share(rate)
    needed = math.ceil(round(LEAST_CASES / min(rate, 1 - rate), 6))
    if count < needed:
        raise ValueError(f"{count} {kind} are too few for a rate of {rate:g}; supply {needed:,} or more")


def check_share(rate: float) -> None:
    if not 0 < rate < 1:
        raise ValueError(f"a share must be between 0 and 1, such as 0.1, not {rate:g}")


def _gaps(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the midpoints of neighboring distinct scores, increasing, and the number of scores above each."""
    values, counts = np.unique(np.asarray(scores, np.float64), return_counts=True)
    return (values[1:] + values[:-1]) / 2, len(scores) - np.cumsum(counts)[:-1]
