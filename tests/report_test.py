import base64
import io
import os
import re
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from PIL import Image

from blur_jax import bootstrap, figures, report

HISTORY = [
    {"step": 10, "loss": 0.9, "ranking": 0.6, "consistency": 0.3},
    {"step": 20, "loss": 0.5, "ranking": 0.4, "consistency": 0.1, "validation_accuracy": 0.75},
    {"step": 30, "loss": 0.4, "ranking": 0.3, "consistency": 0.1, "validation_accuracy": 0.7},
]


def evaluate(scores, ranks, *, names=None, groups=None, split="test", sizes=None):
    scores, ranks = np.asarray(scores, np.float32), np.asarray(ranks, np.float32)
    n = len(scores)
    groups = groups or [""] * n
    sizes = np.full(n, 64) if sizes is None else np.asarray(sizes)
    members = {group: np.array([g == group for g in groups]) for group in set(groups) - {""}}
    members = {"": np.full(n, True)} | members
    found = {
        group: bootstrap.summarize(scores[of], ranks[of], sizes[of], resamples=20) for group, of in members.items()
    }
    summary = found.pop("") | {"groups": found}
    images = np.zeros((n, 16, 16, 3), np.uint8) + np.arange(n, dtype=np.uint8)[:, None, None, None]
    names = names or [f"face_{i}.png" for i in range(n)]
    return figures.Evaluation(split, scores, ranks, names, groups, images, summary)


def noisy(n, groups=None, levels=None, sizes=None):
    generator = np.random.default_rng(0)
    ranks = generator.uniform(size=n)
    scores = np.clip(ranks + 0.2 * generator.normal(size=n), 0, 1)
    ranks = np.floor(ranks * levels) if levels else ranks
    return evaluate(scores, ranks, groups=groups, sizes=sizes)


def write(path, evaluations, *, title="A run", history=HISTORY, facts=None):
    report.write_report(path, title=title, history=history, evaluations=evaluations, facts=facts or {"Step": "30"})
    return path.read_text(encoding="utf-8")


def texts(figure):
    return [text.get_text() for ax in figure.axes for text in ax.texts]


# --- which faces ---


def test_mistaken_pairs_picks_the_known_pair():
    # Wrong: (2, 1) by two places, (3, 1) and (2, 3) by one. 1 and 2 are used up by the first.
    scores, ranks = [0.1, 0.2, 0.9, 0.8], [0.0, 3.0, 1.0, 2.0]
    assert figures.mistaken_pairs(scores, ranks, 8) == [(2, 1)]


def test_mistaken_pairs_of_equal_rank_gap_go_by_score_and_use_no_face_twice():
    scores, ranks = [0.9, 0.6, 0.1, 0.3], [0, 0, 2, 2]
    assert figures.mistaken_pairs(scores, ranks, 8) == [(0, 2), (1, 3)]
    assert figures.mistaken_pairs(scores, ranks, 1) == [(0, 2)]


@pytest.mark.parametrize(
    "scores, ranks",
    [([0.1, 0.2, 0.3], [1, 2, 3]), ([0.5, 0.5], [1, 2]), ([0.9, 0.1], [1, 1]), ([0.3], [1])],
)
def test_right_order_equal_scores_and_equal_ranks_are_no_mistakes(scores, ranks):
    assert figures.mistaken_pairs(scores, ranks, 8) == []


@pytest.mark.parametrize("levels", [3, 40])
def test_worst_pair_is_the_worst_of_all_pairs(levels):
    for seed in range(20):
        generator = np.random.default_rng(seed)
        ranks = generator.integers(levels, size=30)
        scores = generator.integers(15, size=30) / 15
        ((sharper, blurrier),) = figures.mistaken_pairs(scores, ranks, 1)
        places = [np.sum(ranks < rank) + np.sum(ranks <= rank) for rank in ranks]
        worst = max(
            (places[j] - places[i], scores[i] - scores[j])
            for i in range(30)
            for j in range(30)
            if ranks[i] < ranks[j] and scores[i] > scores[j]
        )
        assert (places[blurrier] - places[sharper], scores[sharper] - scores[blurrier]) == worst


def test_sorted_sample_runs_evenly_from_sharp_to_blurred():
    scores = [0.8, 0.0, 0.6, 0.2, 0.4]
    assert figures.sorted_sample(scores, 3).tolist() == [1, 4, 0]
    assert figures.sorted_sample(scores, 99).tolist() == [1, 3, 4, 2, 0]


# --- figures ---


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
    assert titles == ["all pictures", "a", "b"]
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


def test_score_histogram_counts_every_picture_once():
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


# --- page ---


def test_page_holds_the_numbers_and_fetches_nothing(tmp_path):
    groups = ["motion"] * 20 + ["defocus"] * 20
    evaluation = noisy(40, groups=groups)
    page = write(tmp_path / "new" / "report.html", [evaluation], facts={"Data": "http://a.b/c"})
    for summary in (evaluation.metrics, *evaluation.metrics["groups"].values()):
        for figure in ("auc", "spearman", "kendall", "pairwise_accuracy"):
            assert "{value:.3f} <small>[{low:.3f}, {high:.3f}]".format(**summary[figure]) in page
    assert page.index("motion") < page.index("<img")  # numbers come first

    assert not re.search(r"<(script|link|iframe|object|base)\b|@import|url\(|srcset", page)
    sources = re.findall(r"(?:src|href)\s*=\s*\"([^\"]{0,40})", page)
    assert len(sources) == 5 and all(s.startswith("data:image/webp;base64,") for s in sources)
    for data in re.findall(r"base64,([^\"]+)", page):
        Image.open(io.BytesIO(base64.b64decode(data))).verify()


def rows_of(table):
    return [re.findall(r"<td[^>]*>(.*?)(?= ?<small|<td|<tr|</table|$)", row) for row in table.split("<tr")[1:]]


def test_headline_is_size_matched_where_sizes_differ(tmp_path):
    # 32-40 and 40-48, one pair each, one right: 0.5 with the blurred faces as weights, of one each. All sizes
    # together the four pairs are clear 1, 4 against blurred 3, 2: two right. Size alone has the pair of 32-40 right.
    # Like sizes are within a tenth: 33 and 36 (right), 36 and 40 are not, and 40 and 44 (wrong).
    evaluation = evaluate([1, 3, 4, 2], [0, 1, 0, 1], sizes=[36, 33, 40, 44], groups=["g", "g", "", ""])
    page = write(tmp_path / "report.html", [evaluation])
    table = page[page.index("<table>") : page.index("</table>")]
    assert re.findall(r"<th>([^<]*)", table)[1] == "AUC" and "AUC, like size" in table
    split, plain, size, group = rows_of(table)
    assert "size-matched" in table.split("<tr")[1] and "size-matched" not in table.split("<tr")[2]
    assert split == ["test", "0.500", "0.500", "0.000", "0.000", "0.500", "4"]
    assert plain == ["all sizes together", "0.500", "0.500", "0.000", "0.000", "", "4"]
    assert size == ["face size alone", "0.500", "0.500", "0.000", "0.000", "0.500", "4"]
    assert group == ["g", "1.000", "1.000", "1.000", "1.000", "", "2"]
    by_size = page[page.index("By face size") :]
    assert rows_of(by_size[: by_size.index("</table>")]) == [
        ["32-40 px", "1.000", "1.000", "1.000", "1.000", "1", "2"],
        ["40-48 px", "0.000", "0.000", "-1.000", "-1.000", "1", "2"],
        ["size-matched", "0.500", "0.500", "0.000", "0.000", "2", "4"],
    ]


def test_one_size_of_face_keeps_the_page_lean(tmp_path):
    page = write(tmp_path / "report.html", [noisy(40)])
    assert "size-matched" not in page and "By face size" not in page and "all sizes together" not in page
    assert "By gap in true blur" in page


def test_gaps_and_levels_have_tables(tmp_path):
    # See metrics_test for the gaps by hand.
    page = write(tmp_path / "report.html", [evaluate([0, -1, 1, 1], [0, 1, 1, 3])])
    gaps, levels = (page[page.index(head) :].split("</table>")[0] for head in ("By gap", "Between two levels"))
    assert rows_of(gaps) == [["1", "0.500", "2"], ["2", "0.750", "2"], ["3", "1.000", "1"]]
    assert rows_of(levels) == [["0-1", "0.500"], ["0-3", "1.000"], ["1-3", "0.750"]]
    # Two levels make one gap and one AUC, both in the headline already.
    page = write(tmp_path / "report.html", [evaluate([0, -1, 1], [0, 1, 1])])
    assert "By gap" not in page and "Between two levels" not in page


def test_summary_lines_say_what_is_size_matched():
    sized = evaluate([1, 3, 4, 2], [0, 1, 0, 1], sizes=[36, 33, 40, 44], groups=["g", "g", "h", "h"], split="test1")
    alike = evaluate([1, 2, 3], [0, 0, 0], split="test2")
    lines = report.summary_lines({"test1": sized.metrics, "test2": alike.metrics})
    assert sorted(" ".join(line.split()) for line in lines) == [
        "test1 size-matched auc 0.500 pairwise accuracy 0.500 spearman 0.000 (4 faces)",
        "test1, g auc 1.000 pairwise accuracy 1.000 spearman 1.000 (2 faces)",
        "test1, h auc 0.000 pairwise accuracy 0.000 spearman -1.000 (2 faces)",
        "test2 auc – pairwise accuracy – spearman – (3 faces)",
    ]


def test_everything_a_user_named_is_escaped(tmp_path):
    evil = "<script>alert('x')</script>&\"$_{1}$.png"
    evaluation = evaluate([0.9, 0.1, 0.5], [1, 2, 3], names=[evil] * 3, groups=[evil, evil, "<i>"], split=evil)
    page = write(tmp_path / "report.html", [evaluation], title=evil, facts={evil: evil})
    assert "<script" not in page and "<i>" not in page
    escaped = "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;&amp;&quot;$_{1}$.png"
    # title and headline, split in table and heading, group in the table, name, value of a fact, and
    # in the listing both names and one group of the mistaken pair (0, 2)
    assert page.count(escaped) == 2 + 2 + 1 + 2 + 3


@pytest.mark.parametrize(
    "evaluation",
    [
        evaluate([0.4], [1.0]),
        evaluate([0.2, 0.4], [1.0, 2.0], groups=["a", "b"]),
        evaluate([0.2, 0.4, 0.3], [0, 0, 0]),
        evaluate([0.5] * 12, range(12), groups=["one"] * 12),
        evaluate([-30.0, 500.0, 2.0, 7.5], [0.001, 0.002, 0.0015, 0.003]),
        evaluate(
            [0.9, 0.1, 0.8, 0.2],
            [0, 1, 0, 1],
            names=["顔.png", "x" * 300, "$a_{", "broken\udcff\n\t.png"],
            groups=["$x$", "$x$", "_hidden", "顔"],
        ),
    ],
    ids=["one", "two", "tied", "constant", "unbounded", "odd names"],
)
def test_edge_cases_render_without_warnings(tmp_path, evaluation):
    assert write(tmp_path / "report.html", [evaluation]).endswith("</html>\n")


@pytest.mark.parametrize(
    "history",
    [[], [{"step": 1, "loss": float("nan")}], [{"step": 1, "validation_accuracy": 0.5}]],
    ids=["none", "nan", "validation"],
)
def test_short_histories_render_without_warnings(tmp_path, history):
    assert write(tmp_path / "report.html", [], history=history).endswith("</html>\n")


def test_few_pictures_have_no_interval_and_undefined_figures_a_dash(tmp_path):
    page = write(tmp_path / "report.html", [evaluate([0.1, 0.2], [1, 2]), evaluate([0.5], [1])])
    assert "<td>1.000<td>1.000<td>1.000<td>1.000<td>2" in page and "<small>" not in page
    assert "<td>–<td>–<td>–<td>–<td>1" in page


def test_long_lists_of_groups_are_cut(tmp_path):
    groups = ["", "", *(f"event{i // 2:02d}" for i in range(80))]
    page = write(tmp_path / "report.html", [noisy(82, groups=groups, levels=3)])
    table = page[: page.index("Training")]
    assert table.count("event") == 30 and "10 more" in table


def test_history_of_a_long_run_is_smoothed():
    history = [{"step": i, "loss": i % 2} for i in range(100)]
    raw, smooth = figures.training_curves(history).axes[0].lines
    assert len(raw.get_xdata()) == 100
    np.testing.assert_allclose(smooth.get_ydata(), 0.5)  # windows of four


def test_a_failed_write_keeps_the_old_page_and_no_rest(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write(path, [noisy(3)])
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["report.html"]
    monkeypatch.undo()
    assert "A run" in write(path, [noisy(3)]) and os.listdir(tmp_path) == ["report.html"]


def test_evaluation_of_unequal_lengths_is_refused():
    with pytest.raises(ValueError, match="'test1' has .*'names': 1"):
        figures.Evaluation("test1", [0.1, 0.2], [1, 2], ["a"], ["", ""], [0, 0], {})
