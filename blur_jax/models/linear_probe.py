"""Linear probing: fits a head to the labeled pairs, using the untrained network's features.

Fine-tuning from a random head distorts pretrained features, which hurts most on pictures unlike the training data; a
fitted head preserves them (Kumar et al., ICLR 2022, arXiv 2202.10054).
"""

import numpy as np
from scipy.optimize import minimize


def logistic_ranking(
    features: np.ndarray, pairs: np.ndarray, order: np.ndarray, *, strength: float
) -> tuple[np.ndarray, np.float32]:
    """Fits a linear score to ordered pairs by logistic ranking with an L2 penalty on standardized features.

    It minimizes |w|^2 / 2 + strength * sum log(1 + exp(-order * w . (z_right - z_left))), where z are the standardized
    features. `features` is float [n, F]; `pairs` is int [m, 2], the rows of the left and right images; `order` is [m],
    +1 if the right image is blurrier, -1 if the left image is, 0 for a tie. Ties are ignored.

    Returns:
        (kernel float32 [F], bias): features @ kernel + bias has mean 0 and standard deviation 1, larger = blurrier.

    Raises:
        ValueError: all pairs are ties.
    """
    features = np.asarray(features, np.float64)
    pairs, order = pairs[order != 0], order[order != 0]
    if not len(pairs):
        raise ValueError("config.model.linear_probe_strength needs ordered labeled pairs, but all the labels are ties")
    mean, deviation = features.mean(axis=0), features.std(axis=0) + 1e-6
    standard = (features - mean) / deviation
    differences = (standard[pairs[:, 1]] - standard[pairs[:, 0]]) * order[:, None]

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        logits = differences @ weights
        slope = -1.0 / (1.0 + np.exp(np.clip(logits, -50, 50)))
        value = 0.5 * weights @ weights + strength * np.logaddexp(0.0, -logits).sum()
        return value, weights + strength * (slope @ differences)

    weights = minimize(loss, np.zeros(features.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 200}).x
    kernel = weights / (standard @ weights).std() / deviation
    return kernel.astype(np.float32), np.float32(-mean @ kernel)
