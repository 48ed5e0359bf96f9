import re
import subprocess
import sys

import matplotlib
import numpy as np

from blur_jax import figures
from evaluations import HISTORY, evaluate, noisy


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
    rows = [*HISTORY, {"step": 20, "loss": 0.45}, {"step": 40, "loss": None}]
    loss, accuracy = figures.training_curves(list(reversed(rows[:3])) + rows[3:]).axes
    np.testing.assert_array_equal(loss.lines[0].get_xydata(), [[10, 0.9], [20, 0.45], [30, 0.4]])
    np.testing.assert_array_equal(accuracy.lines[0].get_xydata(), [[20, 0.75], [30, 0.7]])
    assert accuracy.get_xlabel() == "step (best: 0.750 at step 20)"


def test_score_histogram_counts_every_face_once():
    for evaluation in (noisy(60), noisy(60, levels=3)):
        labels = figures.score_histogram(evaluation).axes[0].get_legend_handles_labels()[1]
        assert len(labels) == 3
        assert sum(int(re.search(r"n = (\d+)", label)[1]) for label in labels) == 60


def test_global_matplotlib_state_is_left_alone():
    before = matplotlib.rcParams.copy()
    figures.score_histogram(noisy(5))
    assert matplotlib.rcParams == before
    code = "import sys, blur_jax.report; sys.exit('matplotlib.pyplot' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_history_of_a_long_run_is_smoothed():
    history = [{"step": i, "loss": i % 2} for i in range(100)]
    raw, smooth = figures.training_curves(history).axes[0].lines
    assert len(raw.get_xdata()) == 100
    np.testing.assert_allclose(smooth.get_ydata(), 0.5)  # windows of four
