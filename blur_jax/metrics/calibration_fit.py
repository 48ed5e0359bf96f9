"""Fits a `Calibration` to the scores of a reference set and of labeled pairs.

The model is P(a is called blurrier than b) = sigmoid(k * (logit(blur a) - logit(blur b))) (Bradley and Terry, 1952);
its scale k is fitted by maximum likelihood. As in Platt (1999), the targets are moved slightly away from 0 and 1, so
the scale stays finite even if all pairs are ordered correctly. Pairs that share a face tend to be wrong together: one
badly scored face can make twenty pairs wrong. Since the scale is used for new faces, pairs are weighted so that each
face counts at most once, and the interval resamples faces.
"""

import numpy as np
from scipy import optimize, special

from blur_jax.metrics.calibration import PERCENTILES, Calibration, logit

LEAST_PAIRS = 30  # The minimum number of ordered pairs to fit a scale.
_RESAMPLES = 200


def fit(
    reference: str, reference_scores: np.ndarray, scores: np.ndarray, pairs: np.ndarray, order: np.ndarray
) -> Calibration:
    """Fits a calibration.

    Its scale is None if fewer than `LEAST_PAIRS` pairs have an order, or the scores order them no better than chance.

    Args:
        reference: name of the reference set.
        reference_scores: [n] scores of the reference set, in [0, 1], n >= 1.
        scores: [faces] scores of the faces in the pairs.
        pairs: int [m, 2], indices (left, right) into `scores`.
        order: [m], +1 if the right face was called blurrier, -1 if the left face was, 0 if neither was.
    """
    quantiles = np.quantile(np.asarray(reference_scores, np.float64), np.linspace(0, 1, PERCENTILES))
    quantiles = tuple(np.maximum.accumulate(quantiles).tolist())  # Rounding may make equal quantiles decrease.
    if np.count_nonzero(order) < LEAST_PAIRS:
        return Calibration(reference, quantiles)
    logits = logit(np.asarray(scores, np.float64))
    differences = logits[pairs[:, 1]] - logits[pairs[:, 0]]
    scale = fit_scale(differences, order, face_weights(pairs))
    if scale is None or scale <= 0:
        return Calibration(reference, quantiles)
    return Calibration(reference, quantiles, scale, scale_interval(differences, order, pairs), len(pairs))


def face_weights(pairs: np.ndarray) -> np.ndarray:
    """Returns weights [m] for pairs, int [m, 2]: 1 / the number of pairs that contain the pair's more frequent face."""
    return 1.0 / np.bincount(pairs.ravel())[pairs].max(axis=1)


def fit_scale(logit_differences: np.ndarray, order: np.ndarray, weights: np.ndarray | None = None) -> float | None:
    """Returns the most likely scale, negative if most pairs are in the wrong order; None if all differences are 0.

    `logit_differences` [m] are the right score's logit minus the left score's logit. `order` is as in `fit`; 0 counts
    as half a pair in each order. `weights` [m] are non-negative; None weights all pairs equally.
    """
    differences, count = np.asarray(logit_differences, np.float64), len(order)
    weights = np.ones(count) if weights is None else weights
    # (m + 1) / (m + 2) for +1, one half for 0, 1 / (m + 2) for -1.
    targets = 0.5 + 0.5 * np.asarray(order) * count / (count + 2)
    used = (weights > 0) & (differences != 0)
    differences, targets, weights = differences[used], targets[used], weights[used]
    if not len(differences):
        return None

    def slope(scale: float) -> float:  # The derivative of the log-likelihood; it decreases.
        return float(np.sum(weights * differences * (targets - special.expit(scale * differences))))

    sign = np.sign(slope(0.0))
    if sign == 0:
        return 0.0
    end = sign / np.abs(differences).max()
    while np.sign(slope(end)) == sign:
        end *= 2
    return float(optimize.brentq(slope, *sorted((0.0, end))))


def scale_interval(logit_differences: np.ndarray, order: np.ndarray, pairs: np.ndarray) -> tuple[float, float]:
    """Returns the 95% percentile interval of `fit_scale` over resamples of the faces, which reweight the pairs."""
    rng, faces, weights = np.random.default_rng(0), pairs.max() + 1, face_weights(pairs)
    scales = []
    for _ in range(_RESAMPLES):
        drawn = np.bincount(rng.integers(faces, size=faces), minlength=faces)
        scales.append(fit_scale(logit_differences, order, weights * drawn[pairs].prod(axis=1)))
    low, high = np.percentile([scale for scale in scales if scale is not None], [2.5, 97.5])
    return float(low), float(high)
