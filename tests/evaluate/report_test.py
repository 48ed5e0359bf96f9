import base64
import io
import os
import re
from unittest import mock

import numpy as np
import pytest
from PIL import Image

from blur_jax.evaluate import report
from blur_jax.metrics.calibration import PERCENTILES, Calibration
from blur_jax.runs.threshold import Threshold
from tests.helpers.evaluations import HISTORY, evaluate, label, noisy

CALIBRATION = Calibration("9 faces of <mine>", tuple(np.linspace(0, 1, PERCENTILES)), 2.0, (1.5, 2.5), 40)


def write(path, evaluations, *, title="A run", history=HISTORY, facts=None, **more):
    facts = facts or {"Step": "30"}
    report.write_report(path, title=title, history=history, evaluations=evaluations, facts=facts, **more)
    return path.read_text(encoding="utf-8")


def test_page_holds_the_numbers_and_fetches_nothing(tmp_path):
    groups = ["motion"] * 20 + ["defocus"] * 20
    evaluation = noisy(40, groups=groups)
    page = write(tmp_path / "new" / "report.html", [evaluation], facts={"Data": "http://a.b/c"})
    for summary in (evaluation.metrics, *evaluation.metrics["groups"].values()):
        for name in ("auc", "spearman", "kendall", "pairwise_accuracy"):
            assert "{value:.3f} <small>[{low:.3f}, {high:.3f}]".format(**summary[name]) in page
    assert page.index("motion") < page.index("<img")  # metrics come first

    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in page
    assert not re.search(r"<(script|link|iframe|object|base)\b|@import|url\(|srcset", page)
    sources = re.findall(r"src\s*=\s*\"?([^\">]{0,40})", page)
    assert len(sources) == 5 and all(s.startswith("data:image/webp;base64,") for s in sources)
    links = re.findall(r"href\s*=\s*\"?([^\">]*)", page)
    assert links == [f"#{name}" for name in re.findall(r"<h2 id=(\w+)>", page)] and len(links) == 3
    for data in re.findall(r"base64,([^\"]+)", page):
        Image.open(io.BytesIO(base64.b64decode(data))).verify()


JUDGED = {
    "near": {
        "splits": ["test1", "test2"],
        "pairs": 150,
        "agreed": 143,
        "sure": 110,
        "judges": {"<ann>": {"value": 0.953, "low": 0.913, "high": 0.987}},
        "scorers": {
            "run": {
                "consensus": {"value": 0.811, "low": 0.745, "high": 0.874},
                "sure": {"value": 0.891, "low": 0.833, "high": 0.944},
                "each_judge": {"value": 0.797, "low": None, "high": None},
            }
        },
    }
}


def test_judged_pairs_come_before_auc(tmp_path):
    page = write(tmp_path / "report.html", [noisy(40)], judged=JUDGED)
    assert page.index("Judged pairs") < page.index("<th>AUC")
    assert "0.811 <small>[0.745, 0.874]</small><td>143 <small>of 150</small>" in page and "Judge &lt;ann&gt;" in page
    assert "0.891 <small>[0.833, 0.944]</small><td>110" in page and "0.953 <small>" in page
    (line,) = report.summary_lines({}, None, JUDGED)
    assert line.split("  ")[0] == "near" and "agreement with judges 0.811 [0.745, 0.874]  (143 pairs)" in line
    assert "Judged pairs" not in write(tmp_path / "report.html", [noisy(40)])


def rows_of(table):
    return [re.findall(r"<td[^>]*>(.*?)(?= ?<small|<td|<tr|</table|$)", row) for row in table.split("<tr")[1:]]


def test_headline_is_size_matched_where_sizes_differ(tmp_path):
    # 32-40 and 40-48, one pair each, one right: 0.5 with the blurred faces as weights, of one each. All sizes
    # together the four pairs are clear 1, 4 against blurred 3, 2: two right. Size alone has the pair of 32-40 right.
    # Matched sizes are within a tenth: 33 and 36 (right), 36 and 40 are not, and 40 and 44 (wrong).
    evaluation = evaluate([1, 3, 4, 2], [0, 1, 0, 1], sizes=[36, 33, 40, 44], groups=["g", "g", "", ""])
    page = write(tmp_path / "report.html", [evaluation])
    table = page[page.index("<table>") : page.index("</table>")]
    assert re.findall(r"<th>([^<]*)", table)[1] == "AUC" and "AUC, matched size" in table
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
    page = page.replace("<wbr>", "")  # Where a path may be wrapped.
    escaped = "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;&amp;&quot;$_{1}$.png"
    # title and headline, split in verdict, table, link and heading, group in the table, name, value of a fact, and
    # in the listing both names and one group of the mistaken pair (0, 2)
    assert page.count(escaped) == 2 + 4 + 1 + 2 + 3


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


def test_a_run_without_steps_says_so(tmp_path):
    text = write(tmp_path / "report.html", [], history=[{"step": 0, "validation_accuracy": 0.9}])
    assert "took no training steps" in text and "Each loss term" not in text
    assert "took no training steps" not in write(tmp_path / "report.html", [], history=HISTORY)


@pytest.mark.parametrize(
    "history", [[], [{"step": 1, "ranking": float("nan")}], [{"step": 1, "validation_accuracy": 0.5}]]
)
def test_short_histories_render_without_warnings(tmp_path, history):
    assert write(tmp_path / "report.html", [], history=history).endswith("</html>\n")


def test_few_faces_have_no_interval_and_undefined_metrics_a_dash(tmp_path):
    page = write(tmp_path / "report.html", [evaluate([0.1, 0.2], [1, 2]), evaluate([0.5], [1])])
    assert "<td>1.000<td>1.000<td>1.000<td>1.000<td>2" in page and "<small>" not in page
    assert "<td>–<td>–<td>–<td>–<td>1" in page


def test_content_has_a_section_where_it_was_measured(tmp_path):
    def interval(value):
        return {"value": value, "low": None, "high": None}

    unchanged = {"group": interval(0.141), "others": interval(0.032), "ratio": interval(4.4)}
    drawn = {"group": interval(0.12), "others": interval(None), "ratio": interval(None)}
    group = {"clear": 586, "auc": {"20": interval(0.6), "32": interval(0.73)}, "unchanged": unchanged, "drawn": drawn}
    shares = {"20": interval(0.65), "32": interval(0.81)}
    measured = {"content_share": shares, "spearman_drawn": interval(0.906), "groups": {"<men>": group}}
    evaluation = noisy(20)
    assert "Content: test" not in write(tmp_path / "report.html", [evaluation])
    evaluation.metrics["content"] = measured
    page = write(tmp_path / "report.html", [evaluation])
    assert "<h2 id=s2>Content: test</h2>" in page
    assert "<td class=name>Content share<td>0.650<td>0.810<td>0.906" in page
    assert "<td class=name>&lt;men&gt;<td>586<td>0.730<td>14.1% / 3.2%<td>4.400<td>12.0% / –<td>–" in page


def test_long_lists_of_groups_are_cut(tmp_path):
    groups = ["", "", *(f"event{i // 2:02d}" for i in range(80))]
    page = write(tmp_path / "report.html", [noisy(82, groups=groups, levels=3)])
    table = page[page.index("<table>") : page.index("</table>")]
    assert table.count("event") == 30 and "10 smaller groups" in table


def test_a_failed_write_keeps_the_old_page_and_no_rest(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old")
    monkeypatch.setattr(os, "replace", mock.Mock(side_effect=OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write(path, [noisy(3)])
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["report.html"]


def test_table_of_thresholds_by_hand(tmp_path):
    # Ten clear faces with scores 0, 0.1, ... 0.9, and ten blurred ones, each 0.05 higher. At 0.7, the run's threshold,
    # 0.7, 0.8 and 0.9 of the clear ones go, and 0.75, 0.85 and 0.95 of the blurred.
    scores = [*np.arange(10) / 10, *np.arange(10) / 10 + 0.05]
    evaluation = evaluate(scores, [0] * 10 + [1] * 10)
    threshold = Threshold(keep_below=0.7, source="<given>", checkpoint="0" * 16)
    page = write(tmp_path / "report.html", [evaluation], threshold=threshold, calibration=CALIBRATION)
    table = page[page.index("What a threshold does") :].split("</table>")[0]
    heads = re.findall(r"<th>([^<]*)", table)
    assert heads == [
        "Keep below",
        "Faces discarded",
        "Blurred discarded (of 10)",
        "Clear discarded (of 10)",
        "Percentile",
    ]
    rows = rows_of(table)
    assert ["0.7", "30.0%", "30.0%", "30.0%", "70"] in rows
    # The 0.95 quantile of the twenty scores lies at place 18.05, counted from 0: 0.9 + 0.05 * 0.05, three digits of it.
    assert ["0.902", "5.0%", "10.0%", "0.0%", "90"] in rows
    assert len(rows) == 10 and table.count("class=chosen") == 1
    assert "keep pictures with blur &lt; 0.7 (&lt;given&gt;)" in page


def test_few_faces_or_one_rank_have_no_table_of_thresholds(tmp_path):
    assert "What a threshold does" not in write(tmp_path / "a.html", [noisy(9)])
    assert "What a threshold does" not in write(tmp_path / "b.html", [evaluate(range(12), [1] * 12)])


def test_calibration_says_what_scores_mean(tmp_path):
    page = write(tmp_path / "report.html", [], calibration=CALIBRATION, pairs=label([0.1, 0.9] * 20))
    section = page[page.index(">Calibration</h2>") :]
    assert "9 faces of &lt;mine&gt;" in section and "anchor" in section and "(95% interval 1.50 to 2.50)" in section
    assert ["25%", "0.250", "75.0"] in rows_of(section[: section.index("Reliability")])
    assert section.count("<img") == 2
    short = Calibration("few", CALIBRATION.quantiles)
    page = write(tmp_path / "report.html", [], calibration=short)
    assert "too few labeled pairs" in page and "Reliability" not in page
    assert "Calibration" not in write(tmp_path / "report.html", [])


def test_without_test_faces_the_validation_pairs_are_shown(tmp_path):
    # Three pairs: in order, the wrong way round by 0.3, a tie.
    pairs = label([0.2, 0.6, 0.5, 0.2, 0.4, 0.4], order=[1, 1, 0], names=["<b>", "b", "c", "d", "e", "f"])
    page = write(tmp_path / "report.html", [], pairs=pairs)
    section = page[page.index(">Validation pairs</h2>") :]
    assert "0.500 <small>[" in section and "<td>2<td>1<td>6" in section and "only 2 pairs" in section
    assert "Faces sorted by score" in section and section.count("<img") == 2
    listing = section[section.index("Full names") :].split("</table>")[0]
    assert [row[1:] for row in rows_of(listing) if row] == [["sharper", "c", "0.5000"], ["blurrier", "d", "0.2000"]]
    # With test faces, a sheet of the validation faces would be one too many.
    page = write(tmp_path / "report.html", [noisy(12)], pairs=pairs)
    assert page[page.index(">Validation pairs</h2>") :].count("<img") == 1


def test_data_and_config_are_listed(tmp_path):
    data = {
        "parts": [
            {"kind": "labeled", "split": "train", "pairs": 18, "ties": 2, "faces": 20},
            {"kind": "ranked", "split": "test", "pairs": 0, "ties": 0, "faces": 7},
        ],
        "lists": {"pairs.csv": {"lines": 20, "resolved": 18, "missing": 2, "faulty": 0}},
        "agreement": {"annotators": 3, "pairs": 12, "alpha": 0.8125},
    }
    config = {"steps": 7, "ranking": {"margin": 0.25}, "data": {"name": "<mine>"}, "start_from": None}
    page = write(tmp_path / "report.html", [], data=data, config=config)
    section = page[page.index(">Data</h2>") :]
    assert rows_of(section)[:2] == [["labeled: train", "18", "2", "20"], ["ranked: test", "", "", "7"]]
    assert "3 annotators compared 12 pairs more than once; Krippendorff's alpha is 0.81" in section
    assert re.findall(r"<th>([^<]*)", section)[4:8] == ["List", "lines", "resolved", "missing"]
    assert "<td>20<td>18<td>2" in section
    shown = section[section.index("Config of the run") :]
    assert "<th>ranking.margin<td class=long>0.25" in shown and "start_from<td" not in shown
    assert "&quot;name&quot;: &quot;&lt;mine&gt;&quot;" in shown and "<details>" in shown


def test_commands_that_trained_the_run_are_listed(tmp_path):
    start = {"Step": 0, "Command": "python launch.py --workdir=<a>", "Commit": "abc", "Date": "2026-01-02 03:04 UTC"}
    page = write(tmp_path / "report.html", [], starts=[start, start | {"Step": 40, "Command": "again"}])
    table = page[page.index("Training commands") :].split("</table>")[0]
    assert rows_of(table) == [
        ["0", "2026-01-02 03:04 UTC", "abc", "python launch.py --workdir=&lt;a&gt;"],
        ["40", "2026-01-02 03:04 UTC", "abc", "again"],
    ]
