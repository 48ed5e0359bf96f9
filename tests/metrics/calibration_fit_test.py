import math

import numpy as np
import pytest

from blur_jax.metrics import calibration_fit


def logit(p):
    return math.log(p / (1 - p))


@pytest.mark.parametrize(
    ("differences", "order", "weights", "scale"),
    [
        # 8 of 10 pairs in order, all 2 apart. Platt's targets are 11/12 and 1/12, so the mean target is
        # (8 * 11 + 2 * 1) / 12 / 10 = 0.75, and the scale solves sigmoid(2 k) = 0.75.
        ([2.0] * 10, [1] * 8 + [-1] * 2, None, math.log(3) / 2),
        ([2.0, -2.0] * 5, [1, -1] * 4 + [-1, 1], None, math.log(3) / 2),  # The side does not matter.
        ([1.0] * 4, [1, 1, 0, 0], None, math.log(2)),  # Targets 5/6 and, of ties, 1/2: 2/3 on average.
        ([1.0, 1.0], [1, -1], [3.0, 1.0], logit(5 / 8)),  # The mean target is (3 * 3/4 + 1/4) / 4.
        ([4.0] * 30, [1] * 30, None, logit(31 / 32) / 4),  # All in order, yet finite.
        ([4.0] * 30, [-1] * 30, None, -logit(31 / 32) / 4),
        ([0.0, 0.0], [1, 1], None, None),  # Says nothing.
        ([1.0, -1.0], [1, 1], None, 0.0),
    ],
)
def test_the_scale_by_hand(differences, order, weights, scale):
    weights = () if weights is None else (np.array(weights),)
    found = calibration_fit.fit_scale(np.array(differences), np.array(order), *weights)
    assert found == (None if scale is None else pytest.approx(scale))


def test_the_likelihood_is_highest_at_the_scale():
    """By finite differences of the likelihood itself."""
    rng = np.random.default_rng(0)
    differences = rng.normal(size=200)
    order = np.where(rng.uniform(size=200) < 1 / (1 + np.exp(-1.5 * differences)), 1, -1)

    def likelihood(scale):
        targets = np.where(order > 0, 201 / 202, 1 / 202)
        p = 1 / (1 + np.exp(-scale * differences))
        return np.sum(targets * np.log(p) + (1 - targets) * np.log(1 - p))

    found = calibration_fit.fit_scale(differences, order)
    assert found == pytest.approx(1.5, abs=0.4)
    assert (likelihood(found + 1e-4) - likelihood(found - 1e-4)) / 2e-4 == pytest.approx(0, abs=1e-3)


def test_no_face_counts_more_than_once():
    # Face 0 is in 3 pairs, face 1 in 2 of these and one more, the others in one or two.
    pairs = np.array([[0, 1], [0, 2], [0, 1], [1, 3], [4, 5]])
    np.testing.assert_allclose(calibration_fit.face_weights(pairs), [1 / 3, 1 / 3, 1 / 3, 1 / 3, 1])


def independent_pairs(rng, count, scale):
    """Pairs of 2 * count faces whose logits are normal, called by people of this scale."""
    logits = rng.normal(size=2 * count)
    pairs = np.arange(2 * count).reshape(count, 2)
    differences = logits[pairs[:, 1]] - logits[pairs[:, 0]]
    order = np.where(rng.uniform(size=count) < 1 / (1 + np.exp(-scale * differences)), 1, -1)
    return 1 / (1 + np.exp(-logits)), pairs, order


def test_the_interval_holds_the_true_scale_about_as_often_as_it_says():
    rng, inside = np.random.default_rng(0), 0
    for _ in range(40):
        found = calibration_fit.fit("x", np.ones(1), *independent_pairs(rng, 150, 2.0))
        inside += found.scale_interval[0] <= 2.0 <= found.scale_interval[1]
    assert 34 <= inside <= 40


def test_a_fit_by_hand():
    # Sharper faces at 0.2, blurrier at 0.8: logits 2 log 4 apart; 35 of 40 pairs in order, targets 41/42 and 1/42.
    scores, pairs = np.tile([0.2, 0.8], 40), np.arange(80).reshape(40, 2)
    order = np.array([1] * 35 + [-1] * 5)
    found = calibration_fit.fit("80 faces", np.array([0.0, 0.5, 1.0]), scores, pairs, order)
    target = (35 * 41 + 5 * 1) / 42 / 40
    assert found.scale == pytest.approx(logit(target) / (2 * math.log(4)))
    assert (found.reference, found.pairs) == ("80 faces", 40)
    np.testing.assert_allclose(found.quantiles, np.arange(101) / 100)
    assert found.scale_interval[0] < found.scale < found.scale_interval[1]


@pytest.mark.parametrize(
    ("pairs", "order"), [(29, 1), (40, -1), (60, 0)], ids=["too few", "no better than chance", "all ties"]
)
def test_without_enough_to_go_by_there_is_no_scale(pairs, order):
    scores, places = np.tile([0.2, 0.8], pairs), np.arange(2 * pairs).reshape(pairs, 2)
    found = calibration_fit.fit("x", scores, scores, places, np.full(pairs, order))
    assert (found.scale, found.scale_interval, found.pairs) == (None, None, 0)
    assert found.quantiles[0] == 0.2


def test_equal_scores_make_quantiles_that_do_not_decrease():
    scores = np.full(7, np.float32(0.3))
    assert len(set(calibration_fit.fit("x", scores, scores, np.zeros((0, 2), int), np.zeros(0)).quantiles)) == 1
