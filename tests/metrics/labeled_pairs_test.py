import math

import numpy as np
import pytest
from scipy.stats import beta

from blur_jax.metrics import labeled_pairs
from blur_jax.metrics.labeled_pairs import LabeledPairs


def labeled(scores, pairs, order):
    scores, pairs, order = np.array(scores, np.float32), np.array(pairs).reshape(-1, 2), np.array(order, np.int64)
    images = np.zeros((len(scores), 4, 4, 3), np.uint8)
    names = [f"{index}.png" for index in range(len(scores))]
    summary = labeled_pairs.pair_metrics(scores, pairs, order)
    return LabeledPairs("validation", scores, names, images, pairs, order, summary)


def test_ties_and_equal_scores_are_counted_as_documented():
    # (0, 1) right, (2, 3) wrong, (4, 5) equal scores: one half of three; (0, 5) is a tie.
    found = labeled([0.1, 0.9, 0.1, 0.9, 0.5, 0.5], [[0, 1], [2, 3], [4, 5], [0, 5]], [1, -1, 1, 0]).metrics
    assert (found["pairs"], found["ties"], found["faces"]) == (3, 1, 6)
    assert found["pairwise_accuracy"]["value"] == pytest.approx(0.5)


def test_ties_alone_have_no_accuracy():
    found = labeled([0.1, 0.9], [[0, 1]], [0]).metrics
    assert found["pairwise_accuracy"] == {"value": None, "low": None, "high": None}


def test_pairs_without_a_common_face_have_the_interval_of_jeffreys():
    # 3 of 4 right: the middle 95% of Beta(3 + 1/2, 1 + 1/2); few that are all right are not certain.
    low, high = labeled_pairs.share_interval(np.array([1.0, 1, 1, 0]), np.arange(8).reshape(4, 2))
    assert (beta.cdf(low, 3.5, 1.5), beta.cdf(high, 3.5, 1.5)) == pytest.approx((0.025, 0.975))
    low, high = labeled_pairs.share_interval(np.ones(4), np.arange(8).reshape(4, 2))
    assert beta.cdf(low, 4.5, 0.5) == pytest.approx(0.025) and low < 0.6 and high > 0.99


def test_pairs_that_go_wrong_together_count_as_one():
    # Face 0 makes its two pairs wrong, face 3 its two right. The errors are -1/2, -1/2, 1/2, 1/2, whose squares add up
    # to 1. By face they are -1, -1/2, -1/2, 1, 1/2, 1/2, whose squares add up to 3; less 1 that is 2. So the four pairs
    # are worth 4 * 1 / 2 = 2, one of them right.
    together = labeled_pairs.share_interval(np.array([0.0, 0, 1, 1]), np.array([[0, 1], [0, 2], [3, 4], [3, 5]]))
    apart = labeled_pairs.share_interval(np.array([0.0, 1]), np.array([[0, 1], [2, 3]]))
    assert together == pytest.approx(apart)


def test_interval_holds_the_truth_as_often_as_it_says():
    # Faces err, not pairs: 60 faces, each in two pairs or so.
    rng, hits = np.random.default_rng(0), 0
    truth = 1 - math.acos(1 / math.sqrt(1 + 0.25)) / math.pi  # Two Gaussians with noise of half their deviation.
    for _ in range(400):
        blur = rng.normal(size=60)
        scores = blur + 0.5 * rng.normal(size=60)
        pairs = np.array([rng.choice(60, 2, replace=False) for _ in range(60)])
        right = (np.diff(scores[pairs]) * np.diff(blur[pairs]) > 0)[:, 0].astype(float)
        low, high = labeled_pairs.share_interval(right, pairs)
        hits += low <= truth <= high
    assert 0.92 < hits / 400 < 0.98


def test_mistakes_are_the_worst_first_and_no_face_comes_twice():
    # By score, the left of (1, 0) is labeled the sharper but scored 0.8 more blurred; (2, 0) uses face 0 again; (3, 4),
    # labeled the other way round, is wrong by 0.1; (5, 6) is right; (1, 6) is a tie.
    scores = [0.1, 0.9, 0.8, 0.4, 0.5, 0.2, 0.3]
    pairs, order = [[3, 4], [2, 0], [1, 0], [5, 6], [1, 6]], [-1, 1, 1, 1, 0]
    assert labeled_pairs.mistaken(labeled(scores, pairs, order), 8) == [(1, 0), (4, 3)]
    assert labeled_pairs.mistaken(labeled(scores, pairs, order), 1) == [(1, 0)]


def test_reliability_puts_each_pair_on_the_side_of_the_scores():
    # Logits of 0.5 and 0.75 are 0 and log 3: with scale 1 the blurrier one is called so with 3 / 4, with 2 in 9 / 10.
    pairs = np.array([[0, 1], [1, 0], [0, 1], [0, 1], [0, 1]])
    found = labeled([0.5, 0.75], pairs, [1, -1, -1, 1, 0])
    ((predicted, observed, low, high),) = labeled_pairs.reliability(found, 1.0)
    assert (predicted, observed) == pytest.approx((0.75, 0.75)) and low < 0.75 < high
    assert labeled_pairs.reliability(found, 2.0)[0][0] == pytest.approx(0.9)


def test_reliability_goes_from_unsure_to_sure_in_groups():
    # 40 pairs, ten or more in each group: the difference grows from pair to pair, and the first half is wrong.
    scores = np.concatenate([np.full(40, 0.5), np.linspace(0.51, 0.9, 40)])
    pairs = np.stack([np.arange(40), np.arange(40, 80)], axis=1)
    rows = labeled_pairs.reliability(labeled(scores, pairs, [-1] * 20 + [1] * 20), 1.0)
    assert [row[1] for row in rows] == [0, 0, 1, 1]
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    assert labeled_pairs.reliability(labeled(scores, pairs, [0] * 40), 1.0) == []


def test_fields_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"pairs \(1, 2\), order 2"):
        LabeledPairs("validation", np.zeros(2), ["a", "b"], np.zeros((2, 4, 4, 3)), np.array([[0, 1]]), [1, 1], {})
    with pytest.raises(ValueError, match="refers to a face that does not exist; only 2"):
        LabeledPairs("validation", np.zeros(2), ["a", "b"], np.zeros((2, 4, 4, 3)), np.array([[0, 2]]), [1], {})
