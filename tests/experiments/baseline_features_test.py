"""What the baselines measure, and how they are fitted, worked out by hand."""

from functools import partial

import numpy as np
import pytest

from experiments import baseline_features, baseline_rankers
from tests.helpers.faces import grainy

# 8 x 8, left half black, right half of gray level 100.
EDGE = np.zeros((8, 8, 3), np.uint8)
EDGE[:, 4:] = 100
# The lower right quadrant of gray level 100.
CORNER = EDGE.copy()
CORNER[:4] = 0
FLAT = np.full((16, 16, 3), 90, np.uint8)


def test_gradients_of_an_edge():
    # The Laplacian is +100 and -100 beside the edge, in 2 of 8 columns, else 0: 100^2 / 4. Gray levels vary by 50^2.
    brighter = 2 * EDGE + 7
    assert [baseline_features.laplacian_variance(image) for image in (EDGE, brighter)] == [2500, 10_000]
    normalized = [baseline_features.normalized_laplacian_variance(image) for image in (EDGE, brighter)]
    assert normalized == pytest.approx([1, 1])
    # (1 + 2 + 1) * 100 across in 2 of 8 columns, nothing along: 400^2 / 4.
    assert baseline_features.tenengrad(EDGE) == 40_000
    assert [baseline_features.contrast(image) for image in (EDGE, brighter)] == [50, 100]


def test_blur_effect_is_turned_round():
    # Blurring again takes almost all variation from noise (blur effect near 0), none from a flat image (1).
    noise = np.random.default_rng(0).integers(256, size=(32, 32, 1), dtype=np.uint8).repeat(3, axis=2)
    assert baseline_features.sharpness_of_blur_effect(noise) > 0.7
    assert baseline_features.sharpness_of_blur_effect(FLAT) == 0


def test_ofiq_features_of_an_edge():
    features = baseline_features.ofiq_sharpness(EDGE)
    assert features.shape == (26,)
    # The Gaussian (1 2 1) / 4 makes columns 0 0 0 25 75 100 100 100, whose second differences are 25 25 -25 -25 in
    # the middle, 0 elsewhere; kernel 3 (2 0 2, 0 -8 0, 2 0 2) has four times those of 1 here.
    assert features[:4] == pytest.approx([12.5, 12.5, 50, 50])
    # Boxes of 3: 0 0 0 33 67 100 ..., a difference of 33 in 2 of 8 columns; of 5: 20 40 40 20; of 7: 14 29 43 43 29 14.
    assert features[10:12] == pytest.approx([33 / 4, 33 / 4 * 3**0.5])
    assert features[12] == pytest.approx(15)
    assert features[14] == pytest.approx(21.5)
    # Nothing changes along the edge.
    assert features[16:] == pytest.approx(np.zeros(10))


def test_ofiq_sobel_features_of_a_corner():
    features = baseline_features.ofiq_sharpness(CORNER)
    # (1 0 -1) times (1 0 -1) gives 100 at the 4 pixels around the corner, of 64; size 1 is size 3.
    mean, deviation = 4 * 100 / 64, (4 * 100**2 / 64 - 6.25**2) ** 0.5
    assert features[16:20] == pytest.approx([mean, deviation, mean, deviation])


def test_imagenet_features_are_means_and_deviations_of_each_image_alone():
    images = np.stack([grainy(seed) for seed in (0, 1, 0)])
    features = baseline_features.imagenet_features(images, batch_size=2)
    channels = 16 + 2 * 24 + 2 * 40 + 3 * 80 + 3 * 112 + 4 * 192 + 320
    assert features.shape == (3, 2 * channels)
    assert (features[:, -320:] > 0).all()  # deviations of the last block
    assert (features[:, :16] < 0).any()  # means of the first, which is linear
    np.testing.assert_allclose(features[2], features[0], atol=1e-5)
    assert np.abs(features[1] - features[0]).max() > 0.1


def test_pair_accuracy_counts_ties_half():
    assert baseline_rankers.pair_accuracy(np.array([0.0, 1.0, 1.0]), np.array([[0, 1], [1, 2], [2, 0]])) == 0.5


def test_logistic_weight_of_a_single_feature():
    # Standardized to -1 and 1, the two pairs differ by 2: C 2 log(1 + exp(-2w)) + w^2 / 2 has its minimum where
    # w (1 + exp(2w)) = 4C; with exp(2w) = 3 that is w = C = log(3) / 2.
    strength = np.log(3) / 2
    scores = baseline_rankers.logistic_scores(np.array([[5.0], [9.0]]), np.array([[0, 1]] * 2), strength=strength)
    np.testing.assert_allclose(scores, [-strength, strength], atol=1e-3)


@pytest.mark.parametrize(
    "scores_of",
    [
        partial(baseline_rankers.logistic_scores, strength=1.0),
        partial(baseline_rankers.forest_scores, min_samples_leaf=2, trees=50),
    ],
)
def test_rankers_order_faces_they_have_not_seen(scores_of):
    rng = np.random.default_rng(0)
    blur = rng.uniform(size=80)
    features = np.stack([-10 * blur, rng.normal(size=80), np.ones(80)], axis=1)  # one speaks, one is constant
    pairs = rng.integers(60, size=(600, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    pairs = np.take_along_axis(pairs, np.argsort(blur[pairs], axis=1), axis=1)
    scores = scores_of(features, pairs)
    unseen = np.array([[i, j] for i in range(60, 80) for j in range(60, 80) if blur[j] > blur[i] + 0.1])
    assert baseline_rankers.pair_accuracy(scores, unseen) > 0.9


def test_forest_scores_are_shares_of_comparisons():
    # Faces 0 to 99 all look alike, so do 100 to 199; the second kind is the blurrier in three of four pairs.
    features = np.repeat([[0.0], [5.0]], 100, axis=0)
    pairs = np.stack([np.arange(100), np.arange(100, 200)], axis=1)
    pairs[::4] = pairs[::4, ::-1]
    scores = baseline_rankers.forest_scores(features, pairs, min_samples_leaf=5)
    np.testing.assert_allclose(scores, np.repeat([0.25, 0.75], 100), atol=0.02)


def test_cross_validation_does_not_reward_memory():
    # The blur of face i is i; 10 groups of two. A memory knows the blur of whole groups it has met, and nothing else.
    pairs = np.array([[i, j] for j in range(20) for i in range(j)])
    groups = [str(i % 10) for i in range(20)]

    def memory(fitted):
        return np.array([i if np.isin(fitted % 10, i % 10).any() else 0 for i in range(20)])

    assert baseline_rankers.pair_accuracy(memory(pairs), pairs) == 1
    assert baseline_rankers.cross_validated(memory, pairs, groups) == 0.5
    assert baseline_rankers.cross_validated(lambda fitted: np.arange(20), pairs, groups) == 1
