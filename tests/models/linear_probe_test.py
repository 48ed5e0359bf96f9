import numpy as np
import pytest

from blur_jax.models import linear_probe
from blur_jax.train import start


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
    with pytest.raises(ValueError, match="linear_probe_strength needs ordered labeled pairs"):
        linear_probe.logistic_ranking(features, pairs, np.array([0, 0]), strength=0.5)


def test_a_fitted_head_orders_its_pairs():
    features = np.array([[40.0, 1.0], [120.0, 5.0], [200.0, 2.0]])  # the first is blurrier where it is larger
    pairs, order = np.array([[0, 1], [2, 1], [0, 2]]), np.array([1, -1, 1])
    head = start.fit_head(features, pairs, order, strength=1.0)
    assert (head["kernel"].shape, head["bias"].shape) == ((2, 1), (1,))
    scores = features @ head["kernel"][:, 0] + head["bias"]
    assert scores[0] < scores[1] < scores[2]
    np.testing.assert_allclose([scores.mean(), scores.std()], [0.0, 1.0], atol=1e-3)
