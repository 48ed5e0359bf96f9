"""Thresholds by hand, and their intervals by simulation."""

import functools

import numpy as np
import pytest

from blur_jax.threshold import rules


def test_a_discard_rate_by_hand():
    # 40 scores 0.00, 0.01, ...: a tenth are the 4 from 0.36 on, and the threshold lies midway from 0.35 to 0.36.
    scores = np.random.default_rng(0).permutation(np.arange(40)) / 100
    assert rules.for_discard(scores, 0.1) == pytest.approx(0.355)


def test_ties_are_kept_or_discarded_together_whichever_is_nearer():
    # Above 0.2 lie 3 of 20, above 0.1 lie 11: two of 20 are nearer to 3.
    scores = np.array([0.1] * 9 + [0.2] * 8 + [0.9] * 3)
    assert rules.for_discard(scores, 0.1) == pytest.approx(0.55)
    assert rules.for_discard(scores, 0.5) == pytest.approx(0.15)


def test_lost_good_pictures_by_hand():
    # Of 40 good ones at most 2 may be lost: 0.38 and 0.39; the threshold lies below them, as low as that allows.
    assert rules.for_lost_good(np.arange(40) / 100, 0.05) == pytest.approx(0.375)
    # A share that ties make impossible is not exceeded: here none is lost.
    assert rules.for_lost_good(np.array([0.1] * 30 + [0.4] * 10), 0.05) == pytest.approx(0.7)
    assert rules.for_lost_good(np.full(40, 0.4), 0.05) == pytest.approx(0.7)


def test_kept_bad_pictures_by_hand():
    assert rules.for_kept_bad(0.5 + np.arange(40) / 100, 0.05) == pytest.approx(0.515)
    assert rules.for_kept_bad(np.full(40, 0.4), 0.05) == pytest.approx(0.2)


def test_a_share_that_floating_point_misses_is_allowed():
    """0.29 * 100 is 28.999999999999996."""
    found = rules.for_lost_good(np.arange(100) / 100, 0.29)
    assert np.sum(np.arange(100) / 100 >= found) == 29


@pytest.mark.parametrize(("rate", "count", "needed"), [(0.1, 19, 20), (0.95, 39, 40), (0.001, 1999, "2,000")])
def test_too_few_are_refused_with_the_number_needed(rate, count, needed):
    with pytest.raises(ValueError, match=f"{count} pictures are too few .* supply {needed} or more"):
        rules.for_discard(np.arange(count) / count, rate)
    rules.check_enough(count + 1, rate, "pictures")


def test_what_is_no_share_and_scores_that_are_all_the_same_are_refused():
    for rate in (0, 1, -0.1, 10, float("nan")):
        with pytest.raises(ValueError, match="between 0 and 1"):
            rules.for_discard(np.arange(100) / 100, rate)
    with pytest.raises(ValueError, match="all 50 scores are 0.3"):
        rules.for_discard(np.full(50, 0.3), 0.1)


def test_an_interval_by_hand():
    # None of 10: (1 - high) ** 10 = 0.025.
    found = rules.share(np.zeros(10, bool))
    assert (found.count, found.total, found.low) == (0, 10, 0)
    assert found.high == pytest.approx(1 - 0.025**0.1)
    assert str(found) == "0.0% (0 of 10; 95% interval 0.0% to 30.8%)"


@functools.cache  # The exact interval takes milliseconds.
def interval(count, total):
    found = rules.share(np.arange(total) < count)
    return found.low, found.high


@pytest.mark.parametrize("decimals", [8, 2], ids=["different scores", "many ties"])
def test_the_interval_of_a_chosen_threshold_holds_as_often_as_it_says(decimals):
    """Though it was chosen on the same pictures. Scores are squares of uniform numbers: sqrt(t) lie below t."""
    rng, inside = np.random.default_rng(0), 0
    for _ in range(1000):
        scores = np.round(rng.uniform(size=120) ** 2, decimals)
        threshold = rules.for_discard(scores, 0.1)
        low, high = interval(np.sum(scores >= threshold), len(scores))
        # A rounded score lies at or above the threshold where its square does from half a unit below the next on.
        unit = 10.0**-decimals
        true = 1 - np.sqrt(np.ceil(threshold / unit - 1e-9) * unit - unit / 2)
        inside += low <= true <= high
    assert 945 <= inside <= 1000


@pytest.mark.parametrize("rule", [rules.for_lost_good, rules.for_kept_bad])
def test_the_interval_of_an_error_rate_holds_as_often_as_it_says(rule):
    rng, inside = np.random.default_rng(0), 0
    for _ in range(1000):
        scores = rng.uniform(size=60)
        threshold = rule(scores, 0.1)
        lost = rule is rules.for_lost_good
        low, high = interval(np.sum(scores >= threshold if lost else scores < threshold), len(scores))
        true = 1 - threshold if lost else threshold
        inside += low <= true <= high
    assert 945 <= inside <= 1000
