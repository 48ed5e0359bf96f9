import numpy as np
import pytest
from scipy.optimize import minimize

from blur_jax.models import linear_probe
from blur_jax.train import probe


@pytest.mark.parametrize("order", [1, -1])
def test_one_feature_and_one_pair_by_hand(order):
    # Rows 0 and 2: mean 1, deviation 1, so z = -1 and 1. Any weight of the right sign gives unit scores.
    features, pairs = np.array([[0.0], [2.0]]), np.array([[0, 1]])
    kernel, bias = linear_probe.logistic_ranking(features, pairs, np.array([order]), strength=0.5)
    np.testing.assert_allclose([kernel[0], bias], [order, -order], rtol=1e-5)


def test_weights_balance_data_and_penalty():
    # Feature a orders both pairs; b orders the first and contradicts the second, so it gains nothing: weight 0.
    features = np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    kernel, _ = linear_probe.logistic_ranking(features, np.array([[0, 1], [2, 3]]), np.array([1, 1]), strength=10.0)
    np.testing.assert_allclose(kernel[1] / kernel[0], 0.0, atol=1e-5)


def test_the_fit_is_a_minimum_where_the_slope_is_zero():
    features = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
    pairs = np.array([[0, 1], [0, 1], [3, 2]])  # the first feature is asked for twice as often
    kernel, _ = linear_probe.logistic_ranking(features, pairs, np.ones(3), strength=1e-3)
    # At a vanishing strength the weights are strength / 2 times the summed differences of z; both deviate alike.
    np.testing.assert_allclose(kernel[0] / kernel[1], 2.0, rtol=1e-2)


def test_ties_are_left_out_and_alone_refused():
    features, pairs = np.array([[0.0], [2.0], [9.0]]), np.array([[0, 1], [0, 2]])
    with_tie, _ = linear_probe.logistic_ranking(features, pairs, np.array([1, 0]), strength=0.5)
    assert with_tie[0] > 0
    with pytest.raises(ValueError, match=r"config\.probe\.strength needs ordered labeled pairs"):
        linear_probe.logistic_ranking(features, pairs, np.array([0, 0]), strength=0.5)


def test_a_fitted_head_orders_its_pairs():
    features = np.array([[40.0, 1.0], [120.0, 5.0], [200.0, 2.0]])  # the first is blurrier where it is larger
    pairs, order = np.array([[0, 1], [2, 1], [0, 2]]), np.array([1, -1, 1])
    head = probe.fit_head(features, pairs, order, strength=1.0)
    assert (head["kernel"].shape, head["bias"].shape) == ((2, 1), (1,))
    scores = features @ head["kernel"][:, 0] + head["bias"]
    assert scores[0] < scores[1] < scores[2]
    np.testing.assert_allclose([scores.mean(), scores.std()], [0.0, 1.0], atol=1e-3)


def unlabeled(**changes):
    """Eight blurred faces, then four other views, with two features, which do not vary; no term has a weight."""
    sides = np.array([24, 20, 36, 32, 28, 40, 22, 26])
    parts = {"views": np.zeros((12, 2)), "sides": sides, "prior": np.zeros(12)} | changes
    weights = dict.fromkeys(("content", "changes", "follow"), 0.0)
    return linear_probe.Unlabeled(**{"changed": parts["views"]} | weights | parts)


def weights_with(evidence):
    """The weights of two features that order the labeled pair equally well, relative to their sum."""
    features, pairs = np.array([[0.0, 0.0], [1.0, 1.0]]), np.array([[0, 1]])
    kernel, _ = linear_probe.logistic_ranking(features, pairs, np.array([1]), strength=0.1, unlabeled=evidence)
    return kernel / kernel.sum()


def test_unlabeled_faces_without_weights_change_nothing():
    noise = np.random.default_rng(0).normal(size=(12, 2))
    evidence = unlabeled(views=noise, prior=noise[:, 0])
    np.testing.assert_allclose(weights_with(evidence), [0.5, 0.5], atol=1e-6)


def test_a_feature_that_varies_at_equal_blur_loses_weight():
    varied = np.zeros((12, 2))
    varied[:8, 1] = [1, -1, 2, 0, -2, 1, 0, -1]
    evidence = unlabeled(views=varied, content=1.0)
    kept, lost = weights_with(evidence)
    assert kept > 0.8 > 0.2 > lost > 0
    # A feature that follows blur is not content.
    following = np.zeros((12, 2))
    following[:8, 1] = np.log(evidence.sides) ** 3
    np.testing.assert_allclose(weights_with(unlabeled(views=following, content=1.0)), [0.5, 0.5], atol=1e-4)


def test_a_feature_that_changes_with_augmentation_loses_weight():
    changed = np.zeros((12, 2))
    changed[9, 1], changed[3, 1] = 2.0, -2.0  # One view and one blurred face.
    kept, lost = weights_with(unlabeled(changed=changed, changes=1.0))
    assert kept > 0.7 > 0.3 > lost > 0


def test_the_fit_ends_at_the_minimum_whatever_the_weights():
    """At the minimum, moving the weights of the standardized features in any direction costs more."""
    rng = np.random.default_rng(0)
    features, views = rng.normal(size=(30, 8)), rng.normal(size=(12, 8))
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    pairs, order = rng.integers(30, size=(40, 2)), rng.choice([-1, 1], 40)
    weights = {"content": 30.0, "changes": 10.0, "follow": 100.0}
    evidence = unlabeled(views=views, changed=views + rng.normal(size=(12, 8)), prior=rng.normal(size=12), **weights)
    kernel, _ = linear_probe.logistic_ranking(features, pairs, order, strength=2.0, unlabeled=evidence)
    target = 5 * (evidence.prior - evidence.prior.mean()) / evidence.prior.std()

    def loss(weights):
        margins = order * ((features[pairs[:, 1]] - features[pairs[:, 0]]) @ weights)
        content = linear_probe.at_equal_blur(views[:8], evidence.sides) @ weights
        changes = (evidence.changed - views) @ weights
        errors = (views - views.mean(axis=0)) @ weights - target
        labels = 2.0 * np.log1p(np.exp(-margins)).sum()
        squares = 30 * np.mean(content**2) + 10 * np.mean(changes**2) + 100 * np.mean(errors**2)
        return 0.5 * (weights @ weights + squares) + labels

    scale = minimize(lambda scale: loss(scale * kernel), 1.0, tol=1e-14).x  # The kernel is scaled to unit spread.
    slopes = [loss(scale * kernel + step) - loss(scale * kernel - step) for step in 1e-4 * np.eye(8)]
    np.testing.assert_allclose(np.array(slopes) / 2e-4, 0, atol=1e-3)


def test_a_feature_that_follows_the_prior_gains_weight():
    prior = np.arange(12.0)
    views = np.stack([np.zeros(12), prior], axis=-1)
    evidence = unlabeled(views=views, prior=prior, follow=0.5)
    lost, gained = weights_with(evidence)
    assert gained > lost
    # For one feature, whatever the labels say, and on whatever scale the prior is.
    for scale in (1.0, 0.01):
        alone = unlabeled(views=-prior[:, None], prior=scale * prior, follow=0.5)
        features, pairs = np.array([[0.0], [2.0]]), np.array([[0, 1]])
        kernel, _ = linear_probe.logistic_ranking(features, pairs, np.array([1]), strength=1e-9, unlabeled=alone)
        np.testing.assert_allclose(kernel, [-1.0], rtol=1e-4)


def test_the_prior_counts_as_many_logits():
    # Two features order the pair alike, and the prior follows the first. By hand, with s the slope of the pair's loss:
    # (1 + follow) * w1 = 5 * follow + 2 * s and w2 = 2 * s, where s = 1 / (1 + exp(2 * (w1 + w2))).
    prior, follow, slope = np.array([-1.0, 1.0] * 6), 0.1, 0.0
    for _ in range(200):
        first, second = (5 * follow + 2 * slope) / (1 + follow), 2 * slope
        slope = 0.9 * slope + 0.1 / (1 + np.exp(2 * (first + second)))
    views = np.stack([prior, 0 * prior], axis=-1)
    evidence = unlabeled(views=views, prior=prior, follow=follow)
    features, pairs = np.array([[-1.0, -1.0], [1.0, 1.0]]), np.array([[0, 1]])  # Equal to z.
    kernel, _ = linear_probe.logistic_ranking(features, pairs, np.array([1]), strength=1.0, unlabeled=evidence)
    np.testing.assert_allclose(kernel[1] / kernel[0], second / first, rtol=1e-3)


def test_residuals_at_equal_blur_are_what_a_cubic_leaves():
    sides = np.geomspace(10, 50, 9)
    log = np.log(sides)
    follows = np.stack([3 + log, 2 * log**3 - log**2], axis=-1)
    np.testing.assert_allclose(linear_probe.at_equal_blur(follows, sides), 0, atol=1e-8)
    content = np.array([14, -21, -11, 9, 18, 9, -11, -21, 14.0])[:, None]  # Orthogonal to all cubics of 9 steps.
    np.testing.assert_allclose(linear_probe.at_equal_blur(follows[:, :1] + content, sides), content, atol=1e-6)
