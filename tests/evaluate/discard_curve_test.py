"""Error versus discard, by hand."""

import math

import numpy as np
import pytest

from blur_jax.evaluate import discard_curve

# Ten mated comparisons. Their qualities, the worse of two: 1, 2, 2, 3, 4, 5, 6, 7, 8, 9. Errors at 1, at one of the two
# 2s, and at 6.
LEFT = np.array([1, 2, 9, 3, 9, 5, 9, 7, 9, 9.0])
RIGHT = np.array([9, 9, 2, 9, 4, 9, 6, 9, 8, 9.0])
ERRORS = np.array([1, 1, 0, 0, 0, 0, 1, 0, 0, 0], bool)


@pytest.fixture
def curve():
    return discard_curve.discard_curve(LEFT, RIGHT, ERRORS)


def test_the_curve_by_hand(curve):
    # The two of quality 2 go together.
    np.testing.assert_allclose(curve.discarded, [0, 0.1, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9], atol=1e-12)
    np.testing.assert_allclose(curve.fnmr, [3 / 10, 2 / 9, 1 / 7, 1 / 6, 1 / 5, 1 / 4, 0, 0, 0])


def test_areas_by_hand(curve):
    # Steps up to 0.2: 0.1 of 3/10 and 0.1 of 2/9. The best falls from 0.3 to 0.1; at random it stays 0.3.
    assert curve.area(0.2) == pytest.approx(0.03 + 0.1 * 2 / 9)
    assert curve.best_area(0.2) == pytest.approx(0.2 * (0.3 + 0.1) / 2)
    assert curve.excess(0.2) == pytest.approx(0.03 + 0.1 * 2 / 9 - 0.04)
    assert curve.relative(0.2) == pytest.approx((0.03 + 0.1 * 2 / 9 - 0.04) / (0.06 - 0.04))


def test_the_best_does_not_fall_below_0(curve):
    assert curve.best_area(1.0) == pytest.approx(0.3 * 0.3 / 2)
    assert curve.area(1.0) == pytest.approx(0.1 * (3 / 10 + 2 * 2 / 9 + 1 / 7 + 1 / 6 + 1 / 5 + 1 / 4))


def test_one_quality_for_all_discards_nothing_and_is_no_use():
    flat = discard_curve.discard_curve(np.ones(10), np.ones(10), ERRORS)
    assert (flat.discarded.tolist(), flat.fnmr.tolist()) == ([0.0], [0.3])
    assert flat.relative(0.2) == pytest.approx(1)


def test_without_errors_there_is_nothing_to_compare():
    assert math.isnan(discard_curve.discard_curve(LEFT, RIGHT, np.zeros(10, bool)).relative(0.2))


def test_pictures_of_no_quality_go_first():
    found = discard_curve.discard_curve(np.array([-np.inf, 1, 2]), np.full(3, 9.0), np.array([True, False, False]))
    np.testing.assert_allclose(found.fnmr, [1 / 3, 0, 0])


def test_no_mated_comparison_is_refused():
    with pytest.raises(ValueError, match="no mated comparison"):
        discard_curve.discard_curve(np.zeros(0), np.zeros(0), np.zeros(0, bool))


def test_the_threshold_of_a_false_match_rate_by_hand():
    # Of 20 similarities one may match at 5%: 0.95 does, 0.90 does not.
    similarities = np.arange(20) / 20
    found = discard_curve.match_threshold(similarities, 0.05)
    assert 0.90 < found < 0.90 + 1e-9
    assert np.sum(similarities >= found) == 1


def test_tied_similarities_do_not_exceed_the_rate():
    similarities = np.array([0.1] * 17 + [0.9] * 3)
    assert np.sum(similarities >= discard_curve.match_threshold(similarities, 0.1)) == 0


@pytest.mark.parametrize(("count", "fmr", "needed"), [(999, 0.001, "1,000"), (9, 0.1, "10")])
def test_too_few_non_mated_comparisons_are_refused(count, fmr, needed):
    with pytest.raises(ValueError, match=f"too few to measure an FMR of {fmr}; supply at least {needed}"):
        discard_curve.match_threshold(np.arange(count), fmr)
    discard_curve.match_threshold(np.arange(count + 1), fmr)


@pytest.mark.parametrize("fmr", [0, 1, -1, 2])
def test_what_is_no_rate_is_refused(fmr):
    with pytest.raises(ValueError, match="between 0 and 1"):
        discard_curve.match_threshold(np.arange(100), fmr)
