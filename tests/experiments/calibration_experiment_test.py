import numpy as np
import pytest

from blur_jax.metrics.calibration import Calibration
from experiments import calibration as experiment
from tests.helpers.faces import ranked_split


def test_pairs_are_of_different_rank_and_one_size():
    # Small faces: 0, 1 and 3, of ranks 2, 0, 0; the large one has no other.
    split = ranked_split(np.zeros((4, 16, 16, 3), np.uint8), [2, 0, 1, 0], [33, 35, 90, 39], size_bins=[32, 40])
    assert experiment.comparable_pairs(split).tolist() == [[1, 0], [3, 0]]


def test_sides_are_drawn_and_followed():
    pairs = np.tile([[0, 1]], (1000, 1))
    drawn, first_is_blurrier = experiment.on_random_sides(pairs)
    assert 450 < first_is_blurrier.sum() < 550
    np.testing.assert_array_equal(drawn[first_is_blurrier], np.tile([1, 0], (first_is_blurrier.sum(), 1)))


def test_the_calibration_error_by_hand():
    # Two bins: 0.6 to 0.7 holds 4 pairs, mean prediction 0.65, of which 3 came true; 1.0 falls into the last, 1 of 1.
    predicted, true = np.array([0.62, 0.64, 0.66, 0.68, 1.0]), np.array([True, True, True, False, True])
    pairs = np.arange(10).reshape(5, 2)
    error, bins = experiment.calibration_errors(predicted, true, pairs, 10, resamples=20)
    assert error.shape == (21,)
    assert error[0] == pytest.approx(4 / 5 * abs(0.65 - 0.75) + 1 / 5 * 0)
    assert [(round(pairs.predicted, 6), pairs.observed) for pairs in bins] == [(0.65, 0.75), (1.0, 1.0)]
    assert bins[0].low <= 0.75 <= bins[0].high


def test_halves_discard_what_they_say():
    found = experiment.half_discards(np.random.default_rng(1).uniform(size=400))
    assert len(found) == experiment.HALVES
    stated, _ = found[0]
    assert (stated.count, stated.total) == (20, 200)
    assert np.mean([share for _, share in found]) == pytest.approx(0.1, abs=0.01)


def test_percentiles_take_out_a_stretch_by_hand():
    """The second run gives half the scores of the first, and its quantiles say so."""
    both = [Calibration("x", tuple(np.linspace(0, end, 101).tolist())) for end in (1.0, 0.5)]
    scores = np.array([0.2, 0.4, 0.6, 0.8])
    # Mean of 10, 20, 30 and 40 lower, but of the same percentiles.
    found = experiment.retraining_row("both", both, [scores, scores / 2])
    assert found == ["both", "4", "1.000", "25.0", "-25.0", "0.0", "+0.0"]
