"""Labeled pairs and their scores: pairwise accuracy with an interval, reliability, and mistakes."""

import dataclasses
from typing import Any

import numpy as np
from scipy.stats import beta

from blur_jax.metrics import rank_statistics
from blur_jax.metrics.calibration import probability_blurrier
from blur_jax.metrics.interval import Interval

_LEAST_IN_BIN = 10  # The minimum number of pairs in a `reliability` group.


@dataclasses.dataclass(frozen=True, eq=False)
class LabeledPairs:
    """A split with m labeled pairs of n faces, and their scores.

    Raises ValueError if the fields differ in length, or a pair refers to a face that does not exist.
    """

    split: str  # For example, "validation".
    scores: np.ndarray  # float32 [n], predicted blur, 0 = sharp, 1 = blurred.
    names: list[str]
    images: np.ndarray  # uint8 [n, S, S, 3] RGB.
    pairs: np.ndarray  # int [m, 2], indices (left, right) of faces.
    order: np.ndarray  # int [m], +1 if the right face is blurrier, -1 if the left is, 0 if annotators could not tell.
    metrics: dict[str, Any]  # The result of `pair_metrics`.

    def __post_init__(self) -> None:
        faces = {field: len(getattr(self, field)) for field in ("scores", "names", "images")}
        if len(set(faces.values())) != 1 or self.pairs.shape != (len(self.order), 2):
            raise ValueError(
                f"the fields of {self.split!r} differ in length: {faces}, pairs {self.pairs.shape}, order"
                f" {len(self.order)}"
            )
        if len(self.pairs) and not 0 <= self.pairs.min() <= self.pairs.max() < len(self.scores):
            raise ValueError(
                f"a pair in {self.split!r} refers to a face that does not exist; only {len(self.scores)} are scored"
            )


def pair_metrics(scores: np.ndarray, pairs: np.ndarray, order: np.ndarray) -> dict[str, Any]:
    """Measures how well scores order labeled pairs, ready for JSON; see `LabeledPairs` for the arguments.

    Returns:
        {"pairs": number of ordered pairs, "ties": number of other pairs, "faces": number of distinct faces,
        "pairwise_accuracy": `Interval`, the share of ordered pairs that the scores put in the labeled order, where
        equal scores count as one half; undefined if no pair has an order}.
    """
    pairs, order = np.asarray(pairs), np.asarray(order)
    ordered = order != 0
    accuracy = Interval(value=None, low=None, high=None)
    if ordered.any():
        right = rank_statistics.in_order(*np.asarray(scores, np.float64)[pairs[ordered]].T, order[ordered])
        low, high = share_interval(right, pairs[ordered])
        accuracy = Interval(value=float(right.mean()), low=low, high=high)
    counts = {"pairs": int(ordered.sum()), "ties": int((~ordered).sum()), "faces": len(np.unique(pairs))}
    return counts | {"pairwise_accuracy": accuracy}


def share_interval(right: np.ndarray, pairs: np.ndarray) -> tuple[float, float]:
    """Returns the 95% Jeffreys interval for the mean of `right`, float [m] in [0, 1]; reliable even with few pairs.

    Pairs, int [m, 2], that share a face tend to be wrong together. The interval therefore uses the number of
    independent pairs that would have the same variance as the errors summed per face (Aronow, Samii and Assenova,
    2015). With a few pairs, all of them correct, a bootstrap interval would have zero width.
    """
    errors = right - right.mean()
    apart = np.sum(errors**2)
    # The squared sums contain the products for all pairs that share a face, and each pair's square once per face.
    together = np.sum(np.bincount(pairs.ravel(), np.repeat(errors, 2)) ** 2) - apart
    count = len(right) * min(1.0, apart / together) if apart > 0 and together > 0 else len(right)
    hits = count * right.mean()
    low, high = beta.interval(0.95, hits + 0.5, count - hits + 0.5)
    return float(low), float(high)


def reliability(labeled: LabeledPairs, scale: float, bins: int = 8) -> list[tuple[float, float, float, float]]:
    """Compares how often people agree with the scores' order of a pair with the predicted probability of agreement.

    Sorts the labeled pairs, except ties, by their probability under a calibration's `scale` and splits them into at
    most `bins` groups of about the same size.

    Returns:
        for each group, in order of increasing probability: (mean probability, in [0.5, 1], that people agree that the
        face scored blurrier is blurrier; the share of pairs where they did; a 95% interval for that share).
    """
    ordered = labeled.order != 0
    pairs, order = labeled.pairs[ordered], labeled.order[ordered]
    left, right = np.asarray(labeled.scores, np.float64)[pairs].T
    probability = probability_blurrier(np.maximum(left, right), np.minimum(left, right), scale)
    agreed = rank_statistics.in_order(left, right, order)
    by_probability = np.argsort(probability, kind="stable")
    groups = np.array_split(by_probability, max(1, min(bins, len(pairs) // _LEAST_IN_BIN))) if len(pairs) else []
    return [
        (float(probability[group].mean()), float(agreed[group].mean()), *share_interval(agreed[group], pairs[group]))
        for group in groups
    ]


def mistaken(labeled: LabeledPairs, count: int) -> list[tuple[int, int]]:
    """Returns up to `count` wrongly ordered pairs (sharper, blurrier), largest gap first, each face at most once."""
    ordered = labeled.order != 0
    pairs = np.where(labeled.order[ordered, None] > 0, labeled.pairs[ordered], labeled.pairs[ordered, ::-1])
    gaps = labeled.scores[pairs[:, 0]] - labeled.scores[pairs[:, 1]]
    mistakes, used = [], set()
    for index in np.argsort(-gaps, kind="stable"):
        sharper, blurrier = map(int, pairs[index])
        if gaps[index] <= 0 or len(mistakes) == count:
            break
        if not {sharper, blurrier} & used:
            mistakes.append((sharper, blurrier))
            used |= {sharper, blurrier}
    return mistakes
