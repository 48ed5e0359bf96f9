import numpy as np
import pytest

from blur_jax.metrics.calibration import Calibration
from blur_jax.score.scorer import load_scorer
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


def test_far_faces_are_measured_beside_the_run_s_own(shared_run, far, tmp_path, monkeypatch, capsys):
    _, folder = shared_run
    scorer = load_scorer(str(folder))
    scorer.calibration = Calibration("x", tuple(np.linspace(0, 1, 101).tolist()), scale=1.0)
    monkeypatch.setattr(experiment, "load_scorer", lambda _: scorer)
    monkeypatch.setattr(experiment, "RATE", 0.2)  # The demo has too few test faces for 0.1.
    scored = experiment.score(str(folder), None)
    elsewhere = experiment.score_far(scored, str(far))
    assert {name: len(scores) for name, scores in elsewhere.scores.items()} == {"far": 4}
    images = elsewhere.splits["far"].images(range(4))
    np.testing.assert_array_equal(elsewhere.scores["far"], scored.scorer.score_images(images))
    experiment.run([f"demo={folder}"], None, str(far), 5, str(tmp_path))
    rows = [line.split(" | ")[:3] for line in capsys.readouterr().out.splitlines() if line.startswith("| demo")]
    assert [row[1] for row in rows[:2]] == ["test", "far"]
    assert rows[1][2] == "4"  # Pairs of a clear and a blurred face.
