"""Agreement, disagreement, and when to stop: on answers worked out by hand."""

import numpy as np
import pytest

from blur_jax.label import check

SCORES = np.array([0.1, 0.2, 0.4, 0.8, 0.8])


def test_agreement_counts_pairs_with_an_order():
    pairs = np.array([[0, 1], [1, 0], [2, 3], [3, 4], [0, 4]])
    order = np.array([1, 1, 1, -1, 0])  # Right, wrong, right, equal scores, a tie.
    found = check.agreement(SCORES, pairs, order)
    assert (found.right, found.total) == (2.5, 4) and 0.1 < found.low < 0.625 < found.high < 0.95
    assert check.agreement(SCORES, pairs, 0 * order) == (0.0, 0, None, None)
    assert check.to_json(found)["total"] == 4


def test_thirty_six_of_forty():
    """Independent pairs: Jeffreys' interval, scipy.stats.beta.interval(0.95, 36.5, 4.5)."""
    scores = np.arange(80.0)
    pairs = np.arange(80).reshape(40, 2)
    order = np.where(np.arange(40) < 36, 1, -1)
    found = check.agreement(scores, pairs, order)
    assert (found.right, found.total) == (36, 40)
    assert (found.low, found.high) == pytest.approx((0.780, 0.964), abs=2e-3)


def test_the_worst_disagreements_come_first():
    pairs = np.array([[0, 1], [3, 0], [2, 1], [4, 3], [1, 3]])
    order = np.array([1, 1, 1, 1, 0])
    assert check.disagreements(SCORES, pairs, order, 9) == [1, 2]  # By 0.7 and 0.2; equal scores contradict nothing.
    assert check.disagreements(SCORES, pairs, order, 1) == [1]
    assert check.disagreements(SCORES, pairs, -order, 9) == [0]


def test_the_curve_leaves_ties_out():
    predicted = [0.9, 0.2, 0.5, 0.9] * 10
    order = [1, 1, -1, 0] * 10  # Right, wrong, half.
    found = check.curve(predicted, order)
    assert [end for end, _ in found] == [20, 30] and found[0][1] == pytest.approx(0.5, abs=0.05)
    assert check.curve(predicted[:20], order[:20]) == []


def test_an_order_that_does_not_change_is_settled():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((50, 3))
    pairs = rng.integers(50, size=(400, 2))
    order = np.sign(features[pairs[:, 1], 0] - features[pairs[:, 0], 0]).astype(int)
    assert check.settled(features, pairs, order) > 0.98
    turned = order.copy()
    turned[50:100] = np.sign(features[pairs[50:100], 1] @ [-1, 1])
    assert check.settled(features, pairs[:100], turned[:100]) < 0.98
    assert check.settled(features, pairs[:99], order[:99]) is None
    assert check.settled(features, pairs[:100], 0 * order[:100]) is None
    assert "You can stop" in check.hint(0.99) and "still" in check.hint(0.9) and check.hint(None) == ""


def test_a_scorer_is_tested_on_random_pairs_that_it_has_not_learned_from():
    pairs = np.array([(0, 1), (1, 2), (2, 3), (1, 0), (4, 5), (5, 6)])
    picker = ["random", "picked", "random", "random", "repeat", "random"]
    time = ["2026-12-01T10:00:00.000Z", "2026-12-01T10:01:00.000Z", *["2026-12-01T10:03:00.000Z"] * 4]
    always = [True, False, True, True, False, True]
    assert check.tests(pairs, picker, time, "").tolist() == always
    # The first pair was answered before, so neither that answer nor the fourth, with its sides swapped, is a test.
    since = time[1]
    assert check.tests(pairs, picker, time, since).tolist() == [False, False, True, False, False, True]
    assert not check.tests(pairs, picker, time, "9999").any()
    assert check.tests(pairs[:0], [], [], since).shape == (0,)
