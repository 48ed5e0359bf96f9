"""Chooses a threshold from answers to "good enough to keep?", one picture at a time; pure functions.

Pictures are placed by rank: 0 is the sharpest and 1 the most blurred. A person keeps a picture at u with probability
lapse / 2 + (1 - lapse) / (1 + exp((u - t) / s)), where t is the threshold. The posterior of t and s on a grid gives the
threshold and its interval, and the picture that is expected to narrow it most (the psi method; Kontsevich and Tyler,
Vision Research 39, 1999).
"""

from typing import NamedTuple

import numpy as np

LEAST = 8  # Answers; with fewer, the threshold says more about the prior than about the person.
ENOUGH = 0.1  # The share of the pictures inside the interval, below which more answers are not worth their time.
_LAPSE = 0.04
_SLOPES = np.array([0.01, 0.03, 0.08, 0.2])
_GRID = np.linspace(0, 1, 201)
_CANDIDATES = 60


class Fit(NamedTuple):
    """The threshold by eye.

    Attributes:
        keep_below: pictures with a lower score are kept.
        low: lower bound of its 95% interval.
        high: upper bound.
        share: the share of the pictures that it keeps, in [0, 1].
        unsure: the share of the pictures inside the interval, in [0, 1].
    """

    keep_below: float
    low: float
    high: float
    share: float
    unsure: float


def places(scores: np.ndarray) -> np.ndarray:
    """Returns the place of each picture by rank, float64 [n] in (0, 1); equal scores have equal places."""
    ordered = np.sort(scores)
    return (np.searchsorted(ordered, scores, "left") + np.searchsorted(ordered, scores, "right")) / (2 * len(scores))


def posterior(at: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """Returns the probability of each threshold and slope, float64 [201, 4], given places [m] and bool answers [m]."""
    likelihood = np.where(keep[:, None, None], _kept(at), 1 - _kept(at))
    logs = np.log(likelihood).sum(axis=0)
    found = np.exp(logs - logs.max())
    return found / found.sum()


def fit(scores: np.ndarray, asked: np.ndarray, keep: np.ndarray) -> Fit:
    """Returns the threshold for pictures with scores [n], given the rows [m] that were asked and the answers [m]."""
    weights = posterior(places(scores)[asked], keep).sum(axis=1)
    cumulative = np.cumsum(weights)
    low, middle, high = (_GRID[min(np.searchsorted(cumulative, q), len(_GRID) - 1)] for q in (0.025, 0.5, 0.975))
    keep_below, lower, upper = (_score_at(scores, place) for place in (middle, low, high))
    unsure = np.mean((scores >= lower) & (scores < upper))
    return Fit(keep_below, lower, upper, float(np.mean(scores < keep_below)), float(unsure))


def next_picture(scores: np.ndarray, asked: np.ndarray, keep: np.ndarray) -> int | None:
    """Returns the row of the picture to ask about next, or None if all were asked; arguments are those of `fit`."""
    left = np.setdiff1d(np.arange(len(scores)), asked)
    if not len(left):
        return None
    at, weights = places(scores), posterior(places(scores)[asked], keep)
    by_place = left[np.argsort(at[left], kind="stable")]
    candidates = by_place[np.unique(np.linspace(0, len(left) - 1, _CANDIDATES).round().astype(int))]
    kept = _kept(at[candidates])
    entropies = 0.0
    for likelihood in (kept, 1 - kept):
        joint = likelihood * weights
        total = joint.sum(axis=(1, 2))
        thresholds = joint.sum(axis=2) / total[:, None]
        entropies -= total * np.sum(thresholds * np.log(thresholds + 1e-300), axis=1)
    return int(candidates[np.argmin(entropies)])


def _kept(at: np.ndarray) -> np.ndarray:
    """Returns the probability that a picture at each place [m] is kept, [m, 201, 4]."""
    steps = (at[:, None, None] - _GRID[:, None]) / _SLOPES
    return _LAPSE / 2 + (1 - _LAPSE) / (1 + np.exp(np.clip(steps, -50, 50)))


def _score_at(scores: np.ndarray, place: float) -> float:
    """Returns a score between the two neighbors of a place; the ends are 0 and 1."""
    values = np.unique(scores)
    ends = (np.concatenate([[0], values]) + np.concatenate([values, [1]])) / 2
    below = np.searchsorted(np.sort(scores), ends) / len(scores)  # The share that each threshold keeps.
    return float(ends[np.argmin(np.abs(below - place))])
