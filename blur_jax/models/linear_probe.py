"""Linear probing: fits a head to features of the untrained network, using labeled pairs and unlabeled faces.

Fine-tuning from a random head distorts pretrained features, which hurts most on pictures unlike the training data; a
fitted head preserves them (Kumar et al., ICLR 2022, arXiv 2202.10054).

Labels alone teach content, too: who is shown correlates with blur in every collection. Unlabeled faces at known
resolutions add what labels lack: what varies at equal blur, what varies for one face under changes that do not affect
blur, and how an earlier head orders them.
"""

import dataclasses

import numpy as np
from scipy import linalg
from scipy.optimize import minimize
from scipy.special import expit

_DEGREE = 3  # Of the polynomial in the log resolution that describes how a feature follows blur.
_PRIOR_SPREAD = 5.0  # Standard deviation of the prior's scores in logits: how sure it is of an order.


@dataclasses.dataclass(frozen=True)
class Unlabeled:
    """Features of n views of unlabeled faces, and how much each kind of evidence in them counts.

    Attributes:
        views: float [n, F], features of the views; the first m are faces at resolutions that hide their own blur.
        changed: float [n, F], the same after changes that do not affect blur; unused if `changes` is 0.
        sides: [m], the side in pixels that each of these faces was reduced to.
        prior: float [n], an earlier head's scores of the views, on any scale; larger is blurrier.
        content: weight of the variance of the score at equal blur.
        changes: weight of the mean squared difference between the scores of a view before and after its changes.
        follow: weight of the mean squared difference between the score and the standardized prior, in logits.
    """

    views: np.ndarray
    changed: np.ndarray
    sides: np.ndarray
    prior: np.ndarray
    content: float
    changes: float
    follow: float


def logistic_ranking(
    features: np.ndarray,
    pairs: np.ndarray,
    order: np.ndarray,
    *,
    strength: float,
    unlabeled: Unlabeled | None = None,
) -> tuple[np.ndarray, np.float32]:
    """Fits a linear score to ordered pairs by logistic ranking with an L2 penalty on standardized features.

    It minimizes |w|^2 / 2 + strength * sum log(1 + exp(-order * w . (z_right - z_left))), where z are the standardized
    features, plus the terms of `unlabeled`. `features` is float [n, F]; `pairs` is int [m, 2], the rows of the left and
    right images; `order` is [m], +1 if the right image is blurrier, -1 if the left image is, 0 for a tie. Ties are
    ignored.

    Returns:
        (kernel float32 [F], bias): features @ kernel + bias has mean 0 and standard deviation 1, larger = blurrier.

    Raises:
        ValueError: all pairs are ties.
    """
    pairs, order = pairs[order != 0], order[order != 0]
    if not len(pairs):
        raise ValueError("config.probe.strength needs ordered labeled pairs, but all the labels are ties")
    features = np.asarray(features, np.float64)
    mean, deviation = features.mean(axis=0), features.std(axis=0) + 1e-6
    standard = (features - mean) / deviation
    curvature, pull = np.eye(features.shape[1]), np.zeros(features.shape[1])
    for weight, rows, targets in [] if unlabeled is None else _squared_terms(unlabeled, mean, deviation):
        if weight:  # Each term costs a product of large matrices.
            curvature += weight * (rows.T @ rows)
            pull += weight * (targets @ rows)
    # In these coordinates, all terms but the labels' are a sphere, so that few iterations reach the minimum.
    root = linalg.cholesky(curvature, lower=True)
    whitened = linalg.solve_triangular(root, standard.T, lower=True).T
    center = linalg.solve_triangular(root, pull, lower=True)
    sharper, blurrier = np.where(order[:, None] > 0, pairs, pairs[:, ::-1]).T

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        scores, offset = whitened @ weights, weights - center
        margins = scores[blurrier] - scores[sharper]
        value = 0.5 * offset @ offset + strength * np.logaddexp(0.0, -margins).sum()
        slope = -strength * expit(-margins)
        of_faces = np.bincount(blurrier, slope, len(scores)) - np.bincount(sharper, slope, len(scores))
        return value, offset + of_faces @ whitened

    found = minimize(loss, center, jac=True, method="L-BFGS-B", options={"maxiter": 1000, "ftol": 0.0, "gtol": 1e-9})
    weights = linalg.solve_triangular(root, found.x, lower=True, trans="T")
    kernel = weights / (standard @ weights).std() / deviation
    return kernel.astype(np.float32), np.float32(-mean @ kernel)


def at_equal_blur(features: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Returns what blur does not explain of each feature: residuals of [n, F] from a cubic in the log side [n]."""
    log = np.log(sides)
    powers = np.vander(log - log.mean(), _DEGREE + 1)
    return features - powers @ np.linalg.lstsq(powers, features, rcond=None)[0]


def _squared_terms(
    unlabeled: Unlabeled, mean: np.ndarray, deviation: np.ndarray
) -> list[tuple[float, np.ndarray, np.ndarray]]:
    """Returns the terms of unlabeled faces as weighted least squares: [(weight, rows [n, F], targets [n])]."""
    views, changed = ((part - mean) / deviation for part in (unlabeled.views, unlabeled.changed))
    blurred, prior = views[: len(unlabeled.sides)], unlabeled.prior
    target = _PRIOR_SPREAD * (prior - prior.mean()) / (prior.std() + 1e-6)
    return [
        (unlabeled.content / len(blurred), at_equal_blur(blurred, unlabeled.sides), np.zeros(len(blurred))),
        (unlabeled.changes / len(views), changed - views, np.zeros(len(views))),
        (unlabeled.follow / len(views), views - views.mean(axis=0), target),
    ]
