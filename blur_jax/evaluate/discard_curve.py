"""Error versus discard: a comparison system's error after the pictures with the worst quality are discarded.

This follows Schlett et al., "Considerations on the Evaluation of Biometric Quality Assessment Algorithms" (arXiv
2303.13294). A comparison has the quality of the worse of its two pictures. Comparisons are discarded in order of
quality, worst first (those of equal quality together). The curve is the false non-match rate (FNMR) of the remaining
mated comparisons, a step function of the share of mated comparisons discarded. Two pictures match if their similarity
is at or above a threshold, which is set by a false match rate (FMR) on all comparisons, before any are discarded.
"""

import dataclasses
import math

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class DiscardCurve:
    """The curve for one quality measure."""

    discarded: np.ndarray  # float64 [k], shares of the mated comparisons, increasing from 0, below 1.
    fnmr: np.ndarray  # float64 [k], the FNMR of the remaining comparisons, up to the next share.

    def at(self, share: float) -> float:
        """Returns the FNMR after discarding a share, in [0, 1], rounded down to the last step of the curve."""
        return float(self.fnmr[np.searchsorted(self.discarded, share + 1e-9, side="right") - 1])

    def area(self, limit: float) -> float:
        """Returns the area under the steps from 0 up to a share of `limit`, in (0, 1]."""
        ends = np.minimum(np.append(self.discarded[1:], 1.0), limit)
        return float(np.sum(self.fnmr * np.maximum(ends - self.discarded, 0.0)))

    def best_area(self, limit: float) -> float:
        """Returns the area under the theoretical best curve, whose FNMR falls by the discarded share, down to 0."""
        start, end = self.fnmr[0], min(self.fnmr[0], limit)
        return float(start * end - end**2 / 2)

    def excess(self, limit: float) -> float:
        """Returns the partial area: `area` minus `best_area`; smaller is better."""
        return self.area(limit) - self.best_area(limit)

    def relative(self, limit: float) -> float:
        """Returns `excess` relative to random discarding: 0 is best, 1 is no better than random; NaN without errors."""
        at_random = self.fnmr[0] * limit - self.best_area(limit)  # Random discarding does not change the FNMR.
        return self.excess(limit) / at_random if at_random > 0 else math.nan


def discard_curve(left: np.ndarray, right: np.ndarray, errors: np.ndarray) -> DiscardCurve:
    """Computes the curve for m mated comparisons; raises ValueError if there are none.

    Args:
        left: [m] quality of the first picture, larger is better; -inf is discarded first.
        right: [m] quality of the second picture.
        errors: bool [m], which comparisons do not match.
    """
    if not len(errors):
        raise ValueError("no mated comparisons were found; at least one is needed")
    quality, level = np.unique(np.minimum(left, right), return_inverse=True)
    count = np.bincount(level, minlength=len(quality))
    wrong = np.bincount(level, weights=errors, minlength=len(quality))
    left_over = np.cumsum(count[::-1])[::-1]  # The number of comparisons at or above each quality level.
    return DiscardCurve(1.0 - left_over / len(errors), np.cumsum(wrong[::-1])[::-1] / left_over)


def match_threshold(non_mated: np.ndarray, fmr: float) -> float:
    """Returns the lowest threshold at which at most a share `fmr` of the similarities [n] match.

    Raises ValueError if there are too few non-mated comparisons to measure this rate.
    """
    if not 0 < fmr < 1:
        raise ValueError(f"fmr must be between 0 and 1, not {fmr:g}")
    needed = math.ceil(round(1 / fmr, 6))
    if len(non_mated) < needed:
        raise ValueError(
            f"{len(non_mated):,} non-mated comparisons are too few to measure an FMR of {fmr:g}; supply at least"
            f" {needed:,}, or raise --fmr"
        )
    descending = np.sort(np.asarray(non_mated, np.float64))[::-1]
    return float(np.nextafter(descending[math.floor(round(fmr * len(descending), 6))], np.inf))
