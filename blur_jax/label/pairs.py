"""Chooses the pair of pictures to compare next; pure functions of features, sizes and earlier answers.

A linear ranker learns from every answer in milliseconds. Among random candidates, `best` chooses the pair whose order
is the most uncertain, but only among the half with the larger variance of the predicted difference, z' H^-1 z, where z
is the difference of the features of the two pictures and H the Hessian of the ranker's loss. In docs/results.md, this
needs fewer answers than the product of the two (GURO; Bergstrom et al., arXiv 2405.03059), which prefers odd pictures.
"""

import itertools

import numpy as np

DIMENSIONS = 128  # Principal components that the ranker uses.
PENALTY = 0.5  # Of the squared weights; features have a mean squared norm of 1.
LIKE_SIZE = 1.5  # The largest ratio of the sizes of two faces that are compared.
_FEW = 200  # Up to this many pictures, a pair that was not asked is found if there is one.
_STEPS, _FIRST_STEPS = 2, 10  # Newton steps for one more answer, which starts near the minimum, and for several.
_FITTED = 4096  # Pictures that the principal components are computed from.


def reduced(features: np.ndarray, dimensions: int = DIMENSIONS) -> np.ndarray:
    """Returns principal components of standardized features: float [n, F] -> float64 [n, at most `dimensions`].

    Their mean squared norm is at most 1. Components come from a randomized singular value decomposition (Halko,
    Martinsson and Tropp, arXiv 0909.4061) of at most 4,096 rows.
    """
    rng = np.random.default_rng(0)
    mean, deviation = features.mean(axis=0), features.std(axis=0) + 1e-6
    sample = features if len(features) <= _FITTED else features[rng.choice(len(features), _FITTED, replace=False)]
    standard = (sample - mean) / deviation
    range_ = standard.T @ rng.standard_normal((len(sample), min(2 * dimensions, *standard.shape))).astype(
        standard.dtype
    )
    for _ in range(2):
        range_ = standard.T @ (standard @ np.linalg.qr(range_)[0])
    basis = np.linalg.qr(range_)[0]
    _, _, rotation = np.linalg.svd(standard @ basis, full_matrices=False)
    components = basis @ rotation[:dimensions].T / np.sqrt(features.shape[1])
    return np.concatenate(
        [
            ((part - mean) / deviation @ components).astype(np.float64)
            for part in np.array_split(features, 1 + len(features) // _FITTED)
        ]
    )


class Ranker:
    """A linear ranker with a Gaussian prior; larger scores are blurrier.

    Attributes:
        features: float64 [n, d], see `reduced`.
        weights: float64 [d], the most probable weights.
        covariance: float64 [d, d], the inverse Hessian at `weights`.
        step: the number of answers that it has learned from, ties included.
    """

    def __init__(self, features: np.ndarray, penalty: float = PENALTY) -> None:
        self.features, self._penalty = features, penalty
        self.weights = np.zeros(features.shape[1])
        self.covariance = np.eye(features.shape[1]) / penalty
        self._gaps = np.zeros((0, features.shape[1]))
        self.step = 0

    def learn(self, pairs: np.ndarray, order: np.ndarray) -> None:
        """Learns from answers in addition to earlier ones: rows [m, 2] (left, right) and order [m], +1, -1 or 0 (tie).

        Ties teach nothing: in the replays of docs/results.md, a ranker that pulls tied pictures together is worse.
        """
        self.step += len(order)
        ordered = np.asarray(order) != 0
        if not ordered.any():
            return
        new = self._gaps_of(pairs[ordered]) * order[ordered, None]  # Positive scores are right.
        self._gaps = np.concatenate([self._gaps, new])
        for _ in range(_STEPS if len(new) == 1 else _FIRST_STEPS):  # Newton's method.
            wrong = _sigmoid(-(self._gaps @ self.weights))
            hessian = self._gaps.T @ (self._gaps * (wrong * (1 - wrong))[:, None])
            hessian[np.diag_indices_from(hessian)] += self._penalty
            self.covariance = np.linalg.inv(hessian)
            self.weights = self.weights + self.covariance @ (self._gaps.T @ wrong - self._penalty * self.weights)

    def probability(self, pairs: np.ndarray) -> np.ndarray:
        """Returns the probability that the right picture is blurrier, float64 [m], for rows [m, 2]."""
        return _sigmoid(self._gaps_of(pairs) @ self.weights)

    def variance(self, pairs: np.ndarray) -> np.ndarray:
        """Returns the variance of the difference of the two scores, float64 [m], for rows [m, 2]."""
        gaps = self._gaps_of(pairs)
        return np.einsum("md,md->m", gaps @ self.covariance, gaps)

    @property
    def scores(self) -> np.ndarray:
        return self.features @ self.weights

    def _gaps_of(self, pairs: np.ndarray) -> np.ndarray:
        return self.features[pairs[:, 1]] - self.features[pairs[:, 0]]


def draw(
    rng: np.random.Generator, rows: np.ndarray, sizes: np.ndarray, asked: set[tuple[int, int]], count: int
) -> np.ndarray:
    """Draws up to `count` pairs of different rows at random, uniformly among those of similar size that were not asked.

    Args:
        rng: the source of randomness.
        rows: int [n], the rows to draw from.
        sizes: float [all rows], face sizes in pixels; NaN is similar to every size.
        asked: (smaller row, larger row) of pairs to leave out.
        count: the number of pairs.

    Returns:
        int [m, 2], m <= `count`. If chance finds no pair of similar size, sizes are ignored; m is 0 if no pair is left.
    """
    pairs = rng.choice(rows, (4 * count + 64, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    with np.errstate(invalid="ignore"):
        ratio = sizes[pairs].max(axis=1) / sizes[pairs].min(axis=1)
    for choice in (pairs[~(ratio > LIKE_SIZE)], pairs):
        new = ((a, b) for a, b in choice.tolist() if (min(a, b), max(a, b)) not in asked)
        if found := list(itertools.islice(new, count)):
            return np.array(found)
    if len(rows) > _FEW:
        return np.zeros((0, 2), int)
    left = [pair for pair in itertools.combinations(sorted(rows.tolist()), 2) if pair not in asked]
    return np.array(left, int).reshape(-1, 2)[rng.permutation(len(left))[:count]]


def best(ranker: Ranker, pairs: np.ndarray) -> int:
    """Returns which of the candidates, rows [m, 2] with m > 0, to ask about; see the module's docstring."""
    variance = ranker.variance(pairs)
    doubt = np.abs(ranker.probability(pairs) - 0.5)
    return int(np.argmin(np.where(variance >= np.median(variance), doubt, np.inf)))


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(values, -50, 50)))
