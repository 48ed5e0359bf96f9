"""The threshold by eye: simulated people, whose threshold is known."""

import numpy as np
import pytest

from blur_jax.label import by_eye

SCORES = np.random.default_rng(0).beta(2, 5, 500)


def asked_and_kept(threshold, count, scores=SCORES, spread=0.0, seed=0):
    """What a person answers whose threshold is a score, give or take `spread`."""
    rng, asked, keep = np.random.default_rng(seed), np.zeros(0, int), np.zeros(0, bool)
    for _ in range(count):
        row = by_eye.next_picture(scores, asked, keep)
        asked = np.append(asked, row)
        keep = np.append(keep, scores[row] < threshold + spread * rng.standard_normal())
    return asked, keep


@pytest.mark.parametrize("share", [0.05, 0.3, 0.9])
def test_fourteen_answers_of_a_consistent_person_are_enough(share):
    threshold = np.quantile(SCORES, share)
    found, before = (by_eye.fit(SCORES, *asked_and_kept(threshold, count)) for count in (14, by_eye.LEAST))
    assert found.unsure < by_eye.ENOUGH < before.unsure
    assert found.share == pytest.approx(share, abs=0.03)
    assert found.low <= threshold <= found.high and found.low < found.keep_below < found.high
    assert found.unsure == np.mean((found.low <= SCORES) & (found.high > SCORES))


def test_intervals_of_people_who_waver_cover_their_threshold():
    threshold, found = np.quantile(SCORES, 0.5), []
    for seed in range(40):
        asked, keep = asked_and_kept(threshold, 15, spread=0.05, seed=seed)
        found.append(by_eye.fit(SCORES, asked, keep))
    assert np.mean([fit.low <= threshold <= fit.high for fit in found]) >= 0.85
    sure = by_eye.fit(SCORES, *asked_and_kept(threshold, 15))
    assert np.mean([fit.high - fit.low for fit in found]) > sure.high - sure.low
    assert np.mean([fit.unsure for fit in found]) > by_eye.ENOUGH > sure.unsure


def test_no_picture_is_asked_twice():
    asked, keep = asked_and_kept(0.3, 20, scores=SCORES[:20])
    assert sorted(asked) == list(range(20))
    assert by_eye.next_picture(SCORES[:20], asked, keep) is None


def test_who_keeps_everything_or_nothing_gets_a_threshold_at_the_end():
    everything, nothing = (by_eye.fit(SCORES, *asked_and_kept(threshold, 15)) for threshold in (2.0, -1.0))
    assert everything.share > 0.97 and nothing.share < 0.03
    assert 0 < nothing.keep_below < np.median(SCORES) < everything.keep_below <= 1


def test_without_answers_nothing_is_known():
    none = np.zeros(0, int)
    found = by_eye.fit(SCORES, none, none.astype(bool))
    assert found.share == pytest.approx(0.5, abs=0.02)
    assert np.mean((found.low <= SCORES) & (found.high > SCORES)) == pytest.approx(0.95, abs=0.02)
    assert by_eye.places(SCORES)[by_eye.next_picture(SCORES, none, none.astype(bool))] == pytest.approx(0.5, abs=0.03)


def test_equal_scores_have_equal_places_and_are_kept_together():
    scores = np.array([0.2, 0.2, 0.2, 0.6])
    np.testing.assert_allclose(by_eye.places(scores), [0.375, 0.375, 0.375, 0.875])
    found = by_eye.fit(scores, np.array([0, 3]), np.array([True, False]))
    assert found.keep_below == pytest.approx(0.4) and found.share == 0.75


def test_the_posterior_is_that_of_bayes():
    """A kept picture at 0.5 makes thresholds above more probable, in the ratio of the two probabilities."""
    found = by_eye.posterior(np.array([0.5]), np.array([True]))
    assert found.sum() == pytest.approx(1)
    steep = found[:, 0]
    assert steep[150] / steep[50] == pytest.approx(0.98 / 0.02, rel=1e-3)  # Far from 0.5, only lapses are left.
    np.testing.assert_allclose(steep[100] / steep[150], 0.5 / 0.98, rtol=1e-3)
