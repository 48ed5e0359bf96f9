"""The ranker and the choice of pairs: against other formulas, and on cases worked out by hand."""

import numpy as np
import pytest
from scipy.optimize import minimize

from blur_jax.label import pairs
from blur_jax.label.pairs import Ranker

RNG = np.random.default_rng(0)


def test_principal_components_are_those_of_the_standardized_features():
    features = (RNG.standard_normal((200, 5)) @ RNG.standard_normal((5, 40)) * 7 + 3).astype(np.float32)
    standard = (features - features.mean(0)) / features.std(0)
    _, scales, rotation = np.linalg.svd(standard.astype(np.float64), full_matrices=False)
    found = pairs.reduced(features, 5)
    assert found.shape == (200, 5) and found.dtype == np.float64
    np.testing.assert_allclose(np.abs(found), np.abs(standard @ rotation[:5].T) / np.sqrt(40), rtol=0.02, atol=2e-3)
    assert np.mean(np.sum(found**2, axis=1)) == pytest.approx(1, abs=0.01)  # Five components explain all of it.


def test_components_of_many_rows_come_from_a_sample(monkeypatch):
    features = RNG.standard_normal((300, 3)) @ RNG.standard_normal((3, 20))
    monkeypatch.setattr(pairs, "_FITTED", 128)
    found = pairs.reduced(features, 3)
    assert found.shape == (300, 3)
    distance = np.linalg.norm((features[5] - features[250]) / features.std(0)) / np.sqrt(20)
    assert np.linalg.norm(found[5] - found[250]) == pytest.approx(distance, rel=0.02)


def test_few_pictures_have_few_components():
    assert pairs.reduced(RNG.standard_normal((3, 50)), 10).shape == (3, 3)
    assert np.isfinite(pairs.reduced(np.ones((4, 6)))).all()


@pytest.fixture
def features():
    return RNG.standard_normal((30, 4))


def answers(features, count, truth):
    drawn = RNG.integers(30, size=(count, 2))
    drawn = drawn[drawn[:, 0] != drawn[:, 1]]
    return drawn, np.sign(features[drawn[:, 1]] @ truth - features[drawn[:, 0]] @ truth).astype(int)


@pytest.mark.parametrize("one_by_one", [False, True])
def test_the_ranker_minimizes_its_loss(features, one_by_one):
    """Against a general minimizer, and the Hessian against differences of the gradient."""
    drawn, order = answers(features, 60, np.array([1.0, -2, 0.5, 0]))
    order[::5] *= -1  # Not separable.
    order[::7] = 0
    ranker = Ranker(features, penalty=0.7)
    for part in np.split(np.arange(len(drawn)), len(drawn)) if one_by_one else [np.arange(len(drawn))]:
        ranker.learn(drawn[part], order[part])
    gaps = features[drawn[:, 1]] - features[drawn[:, 0]]

    def loss(weights):
        signed = (gaps * order[:, None])[order != 0] @ weights
        return 0.35 * weights @ weights + np.logaddexp(0, -signed).sum()

    best = minimize(loss, np.zeros(4), tol=1e-12).x
    np.testing.assert_allclose(ranker.weights, best, atol=5e-3)
    step = 1e-3 * np.eye(4)
    second = [
        [loss(best + a + b) - loss(best + a - b) - loss(best - a + b) + loss(best - a - b) for a in step] for b in step
    ]
    hessian = np.array(second) / 4e-6
    np.testing.assert_allclose(np.linalg.inv(ranker.covariance), hessian, rtol=0.02, atol=0.02)
    np.testing.assert_allclose(ranker.variance(drawn), np.diag(gaps @ np.linalg.inv(hessian) @ gaps.T), rtol=0.05)
    np.testing.assert_allclose(ranker.probability(drawn), 1 / (1 + np.exp(-gaps @ best)), atol=5e-3)


def test_the_ranker_finds_the_order_and_ties_teach_it_nothing(features):
    truth = np.array([1.0, -2, 0.5, 0])
    drawn, order = answers(features, 300, truth)
    ranker = Ranker(features)
    ranker.learn(drawn, 0 * order)
    assert not ranker.weights.any() and ranker.step == len(drawn)
    ranker.learn(drawn, order)
    assert np.corrcoef(ranker.scores, features @ truth)[0, 1] > 0.98 and ranker.step == 2 * len(drawn)


def test_a_pair_of_doubtful_order_is_chosen_where_little_is_known():
    """Rows 0 and 1 lie where answers were; 2 and 3 where none were, apart in the direction that was learned."""
    features = np.array([[0, 0.0], [0.1, 0], [0, 3], [2, 3], [0, -3]])
    ranker = Ranker(features)
    ranker.learn(np.array([[0, 1], [0, 3], [2, 3]] * 20), np.ones(60, int))
    candidates = np.array([[0, 1], [2, 3], [2, 4], [1, 0]])
    assert pairs.best(ranker, candidates) == 2
    assert pairs.best(ranker, candidates[:1]) == 0


def test_drawn_pairs_are_of_like_size_and_new():
    sizes = np.array([10.0, 14, 16, 40, 50, np.nan])
    drawn = pairs.draw(RNG, np.arange(6), sizes, {(0, 1)}, 500)
    found = {tuple(sorted(pair)) for pair in drawn.tolist()}
    assert found == {(1, 2), (3, 4), *((row, 5) for row in range(5))}  # 16 / 10 is above 1.5, and 14 / 10 is asked.
    assert pairs.draw(RNG, np.arange(6), sizes, set(), 1).shape == (1, 2)
    assert {row for pair in pairs.draw(RNG, np.array([1, 2, 5]), sizes, set(), 99).tolist() for row in pair} == {
        1,
        2,
        5,
    }


def test_sizes_do_not_matter_where_no_like_one_is_left():
    sizes = np.array([10.0, 100, 1000])
    assert len(pairs.draw(RNG, np.arange(3), sizes, set(), 5)) == 5
    rest = pairs.draw(RNG, np.arange(3), sizes, {(0, 1), (1, 2)}, 5)
    assert {tuple(sorted(pair)) for pair in rest.tolist()} == {(0, 2)}
    assert pairs.draw(RNG, np.arange(3), sizes, {(0, 1), (1, 2), (0, 2)}, 5).shape == (0, 2)


def test_both_sides_are_drawn_equally_often():
    drawn = pairs.draw(RNG, np.arange(10), np.ones(10), set(), 4000)
    assert np.mean(drawn[:, 0] < drawn[:, 1]) == pytest.approx(0.5, abs=0.04)
    np.testing.assert_allclose(np.bincount(drawn.ravel()) / len(drawn), 0.2, atol=0.04)


def test_the_last_pair_of_many_is_found():
    everything = {(a, b) for a in range(60) for b in range(a + 1, 60)}
    drawn = pairs.draw(np.random.default_rng(1), np.arange(60), np.ones(60), everything - {(7, 31)}, 1)
    assert sorted(drawn[0]) == [7, 31]
