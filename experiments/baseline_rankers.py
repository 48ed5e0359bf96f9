"""Scorers fitted with scikit-learn to labeled pairs of faces, based on given features.

A ranker scores each face separately; a larger score is blurrier.
"""

from collections.abc import Callable, Sequence

import numpy as np
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from blur_jax.metrics import rank_statistics


def pair_accuracy(scores: np.ndarray, pairs: np.ndarray) -> float:
    """Share of `pairs`, int [m, 2] (sharper, blurrier), that the `scores` [n] order correctly; ties count half."""
    return float(np.mean(rank_statistics.in_order(*scores[pairs].T)))


def logistic_scores(features: np.ndarray, pairs: np.ndarray, *, strength: float) -> np.ndarray:
    """Scores [n] of a linear ranker, P(b is blurrier than a) = sigmoid(w (x_b - x_a)): RankNet with one layer.

    Features are standardized over the faces in the pairs. Without an intercept, a pair and its mirror image have the
    same loss, so each pair is used in only one order. Every second pair is mirrored so that both classes occur.

    Args:
        features: float [n, d] of all faces, including those in other splits.
        pairs: int [m, 2], (sharper face, blurrier face), m >= 2, to fit to.
        strength: scikit-learn's C, the inverse of the L2 penalty.
    """
    fitted_on = features[np.unique(pairs)]
    deviation = fitted_on.std(axis=0)
    standard = (features - fitted_on.mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    signs = np.where(np.arange(len(pairs)) % 2, -1, 1)
    differences = (standard[pairs[:, 1]] - standard[pairs[:, 0]]) * signs[:, None].astype(standard.dtype)
    model = LogisticRegression(C=strength, fit_intercept=False, max_iter=2000, tol=1e-3)
    return standard @ model.fit(differences, signs).coef_[0]


def forest_scores(features: np.ndarray, pairs: np.ndarray, *, min_samples_leaf: int, trees: int = 200) -> np.ndarray:
    """Scores from a random forest, in [0, 1]: the share of comparisons in which a similar face is blurrier.

    Trees on feature differences would compare two faces without scoring either. Instead, each face is an example in
    every pair that contains it, labeled blurrier or sharper. This is a regression on the share of comparisons "won",
    weighted by the number of comparisons (squared error and Gini impurity choose the same splits). For the
    arguments, see `logistic_scores`.
    """
    wins = np.bincount(pairs[:, 1], minlength=len(features))
    count = np.bincount(pairs.ravel(), minlength=len(features))
    seen = np.flatnonzero(count)
    forest = RandomForestRegressor(trees, min_samples_leaf=min_samples_leaf, max_features="sqrt", random_state=0)
    forest.fit(features[seen], wins[seen] / count[seen], sample_weight=count[seen])
    return forest.predict(features)


def cross_validated(fit: Callable[[np.ndarray], np.ndarray], pairs: np.ndarray, groups: Sequence[str]) -> float:
    """Pairwise accuracy on held-out faces from 5-fold cross-validation over groups of faces, such as photographs.

    A pair, int [m, 2], (sharper face, blurrier face), is used for evaluation if both of its faces are held out and for
    fitting if neither is. Pairs with one held-out face would reward memorization: a forest that has memorized its
    training faces knows half of such a pair. `fit` takes pairs and returns the scores [n] of all faces.
    """
    faces = np.unique(pairs)
    folds = GroupKFold(5, shuffle=True, random_state=0).split(faces, groups=np.asarray(groups)[faces])
    right = total = 0
    for _, fold in folds:
        held_out = np.isin(pairs, faces[fold])
        judged = pairs[held_out.all(axis=1)]
        if len(judged):
            right += len(judged) * pair_accuracy(fit(pairs[~held_out.any(axis=1)]), judged)
            total += len(judged)
    return right / total
