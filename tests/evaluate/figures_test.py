import re

import matplotlib
import numpy as np
import pytest

from blur_jax.evaluate import figures
from blur_jax.evaluate.discard_curve import DiscardCurve
from blur_jax.metrics.calibration import PERCENTILES, Calibration
from tests.helpers.evaluations import HISTORY, evaluate, label, noisy


def texts(figure):
    return [text.get_text() for ax in figure.axes for text in ax.texts]


def test_sorted_faces_shows_scores_ranks_and_images_in_order():
    figure = figures.sorted_faces(evaluate([0.75, 0.25, 0.5], [30, 10, 20]), columns=2, rows=2)
    assert texts(figure) == ["0.250", "true 10", "0.500", "true 20", "0.750", "true 30"]
    assert [image.get_array()[0, 0, 0] for image in figure.axes[0].images] == [1, 2, 0]


def test_worst_mistakes_shows_the_pair():
    names = ["sharp.png", "b.png", "c.png", "a" * 30 + "blurred.png"]
    figure = figures.worst_mistakes(evaluate([0.9, 0.2, 0.3, 0.1], [0, 1, 2, 3.5], names=names))
    shown = texts(figure)
    assert shown[0].endswith("75 percentiles apart")  # (3.5 - 0.5) / 4
    assert shown[1:5] == ["truly sharper", "score 0.900", "true 0.00", "sharp.png"]
    assert shown[5:8] == ["truly blurrier", "score 0.100", "true 3.50"]
    assert shown[8] == "aaaaaaa…rred.png" and len(shown) == 9
    assert [image.get_array()[0, 0, 0] for image in figure.axes[0].images] == [0, 3]


def test_score_against_rank_has_a_panel_a_group_with_its_spearman():
    evaluation = evaluate([1, 2, 3, 1, 3, 2], [1, 2, 3, 1, 2, 3], groups=["b"] * 3 + ["a"] * 3)
    figure = figures.score_against_rank(evaluation)
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles == ["all faces", "a", "b"]
    assert texts(figure)[1:] == ["Spearman 0.500, n = 3", "Spearman 1.000, n = 3"]


def test_score_against_rank_spreads_tied_ranks_but_not_others():
    ax = figures.score_against_rank(noisy(60, levels=3)).axes[0]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "1", "2"]
    x = ax.collections[1].get_offsets()[:, 0]
    assert len(np.unique(x)) == 60 and np.abs(x - np.round(x)).max() < 0.3
    evaluation = noisy(60)
    x = figures.score_against_rank(evaluation).axes[0].collections[1].get_offsets()[:, 0]
    np.testing.assert_array_equal(x, evaluation.ranks)


def test_training_curves_sort_steps_and_count_a_resumed_step_once():
    rows = [*HISTORY, {"step": 20, "ranking": 0.45}, {"step": 40, "ranking": None}]
    loss, accuracy = figures.training_curves(list(reversed(rows[:3])) + rows[3:]).axes
    assert [line.get_label() for line in loss.lines] == ["ranking", "quadruplet"]  # Not the weighted total.
    np.testing.assert_array_equal(loss.lines[0].get_xydata(), [[10, 0.6], [20, 0.45], [30, 0.3]])
    np.testing.assert_array_equal(accuracy.lines[0].get_xydata(), [[20, 0.75], [30, 0.7]])
    assert accuracy.get_xlabel() == "step (best: 0.750 at step 20)"


@pytest.mark.parametrize(("accuracy", "limits"), [(0.75, (0.7, 0.8)), (1.0, (0.95, 1.0)), (0.02, (0.0, 0.07))])
def test_one_validation_point_has_an_axis_of_possible_values(accuracy, limits):
    (ax,) = figures.training_curves([{"step": 20, "validation_accuracy": accuracy}]).axes
    assert ax.get_ylim() == pytest.approx(limits)
    assert ax.get_xlim() == (0, 21)
    assert all(tick == int(tick) for tick in ax.get_xticks())


def test_score_histogram_counts_every_face_once():
    for evaluation in (noisy(60), noisy(60, levels=3)):
        labels = figures.score_histogram(evaluation).axes[0].get_legend_handles_labels()[1]
        assert len(labels) == 3
        assert sum(int(re.search(r"n = (\d+)", label)[1]) for label in labels) == 60


def test_global_matplotlib_state_is_left_alone():
    before = matplotlib.rcParams.copy()
    figures.score_histogram(noisy(5))
    assert matplotlib.rcParams == before


def test_history_of_a_long_run_is_smoothed():
    history = [{"step": i, "ranking": i % 2} for i in range(100)]
    raw, smooth = figures.training_curves(history).axes[0].lines
    assert len(raw.get_xdata()) == 100
    np.testing.assert_allclose(smooth.get_ydata(), 0.5)  # windows of four


def test_scored_faces_need_no_true_blur():
    faces = label([0.75, 0.25, 0.5, 0.125])
    figure = figures.scored_faces(faces.scores, faces.images, ["keep", "", "discard", "a" * 30], columns=2)
    assert texts(figure) == ["0.125", "aaaaaa…aaaaaaa", "0.250", "0.500", "discard", "0.750", "keep"]
    assert [image.get_array()[0, 0, 0] for image in figure.axes[0].images] == [3, 1, 2, 0]
    assert texts(figures.scored_faces([], [])) == ["There are no pictures to show."]


def test_mistaken_labels_show_the_pair_as_labeled():
    # The left of (0, 1) is labeled the blurrier, which by score is right; that of (2, 3) the sharper, which is wrong.
    figure = figures.mistaken_labels(label([0.9, 0.5, 0.75, 0.25], order=[-1, 1]))
    assert texts(figure)[0] == "1.  scores 0.500 apart"
    assert texts(figure)[1:4] == ["labeled sharper", "score 0.750", "face_2.png"]
    assert [image.get_array()[0, 0, 0] for image in figure.axes[0].images] == [2, 3]


def test_groups_of_one_rank_claim_no_correlation():
    evaluation = evaluate([1, 2, 3, 4, 2], [1, 1, 2, 3, 3], groups=["a", "a", "b", "b", "b"])
    shown = texts(figures.score_against_rank(evaluation))
    assert "n = 2" in shown and any(text.startswith("Spearman") and text.endswith("n = 3") for text in shown)
    assert "–" not in "".join(shown)


def test_blurred_parts_share_one_scale_around_zero():
    maps = [np.full((16, 16), 0.25), np.full((16, 16), -0.5)]
    figure = figures.blurred_parts(label([0.2, 0.8]).images, [0.2, 0.8], maps)
    colored = [image for image in figure.axes[0].images if image.get_cmap().name == "RdBu_r"]
    assert [(image.norm.vmin, image.norm.vmax) for image in colored] == [(-0.5, 0.5)] * 2
    assert texts(figure)[:2] == ["0.200", "0.800"] and "up to 0.50 logits" in texts(figure)[-1]
    assert texts(figures.blurred_parts([], [], [])) == ["There are no pictures to show."]


def test_calibration_curves_show_percentiles_and_the_anchor():
    calibration = Calibration("r", tuple(np.linspace(0, 0.5, PERCENTILES)), 3.0, (2.0, 4.0), 50)
    ax = figures.calibration_curves(calibration, threshold=0.4).axes[0]
    shares, chance, anchor, threshold = (line.get_xydata() for line in ax.lines)
    np.testing.assert_allclose(shares[shares[:, 0] == 0.25], [[0.25, 0.5]])  # Half of the reference is below 0.25.
    assert shares[-1].tolist() == [1, 1] and anchor.tolist() == [[0.25, 0.5]]
    np.testing.assert_allclose(chance[chance[:, 0] == 0.25], [[0.25, 0.5]])
    assert threshold[:, 0].tolist() == [0.4, 0.4]
    few = Calibration("r", calibration.quantiles)
    assert len(figures.calibration_curves(few).axes[0].lines) == 1


def test_two_scorers_are_drawn_against_each_other():
    ax = figures.two_scorers([0.1, 0.2, 0.3], [0.2, 0.6, 0.4], ("one", "two"), "blur").axes[0]
    np.testing.assert_allclose(ax.collections[0].get_offsets(), [[0.1, 0.2], [0.2, 0.6], [0.3, 0.4]])
    assert ax.get_title(loc="left") == "Spearman 0.500, n = 3"  # 1 - 6 * (0 + 1 + 1) / (3 * 8).
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("blur: one", "blur: two")
    same = figures.two_scorers([0.1, 0.2], [0.5, 0.5], ("one", "two"))
    assert same.axes[0].get_title(loc="left") == "n = 2"


def test_reliability_has_a_panel_for_each_run_with_its_bins():
    rows = [(0.2, 0.25, 0.1, 0.4), (0.7, 0.75, 0.7, 0.8)]
    figure = figures.reliability({"seed 0": rows, "seed 1": rows[:1]})
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["seed 0", "seed 1"]
    diagonal, points = figure.axes[0].lines[:2]
    assert diagonal.get_xydata().tolist() == [[0, 0], [1, 1]]
    assert points.get_xydata().tolist() == [[0.2, 0.25], [0.7, 0.75]]
    (bars,) = figure.axes[0].collections
    np.testing.assert_allclose([segment[:, 1] for segment in bars.get_segments()], [[0.1, 0.4], [0.7, 0.8]])


def test_discard_curves_are_steps_beside_the_best_and_random():
    curve = DiscardCurve(np.array([0, 0.1, 0.5]), np.array([0.1, 0.05, 0.0]))
    figure = figures.discard_curves({"sharpness": curve}, 0.2)
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert list(lines) == ["at random", "theoretical best", "sharpness"]
    assert list(lines["at random"].get_ydata()) == [0.1, 0.1]
    np.testing.assert_allclose(lines["theoretical best"].get_xydata(), [[0, 0.1], [0.1, 0], [0.2, 0]])
    assert lines["sharpness"].get_drawstyle() == "steps-post"
    assert lines["sharpness"].get_xydata().tolist() == [[0, 0.1], [0.1, 0.05], [0.5, 0], [1, 0]]
    assert figure.axes[0].get_xlim() == pytest.approx((0, 0.2))
