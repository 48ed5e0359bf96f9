import csv
import dataclasses
import json
import os
import re

import numpy as np
import pytest
from scipy import stats

import blur_jax
from blur_jax.data import splits
from blur_jax.data.preprocessing import Preprocessing
from blur_jax.evaluate import evaluation
from blur_jax.runs.threshold import Threshold, write_threshold


@pytest.fixture(scope="module")
def evaluated(shared_run):
    """The shared run: its config, its directory and its results."""
    config, folder = shared_run
    return config, folder, json.loads((folder / "metrics.json").read_text())


def test_metrics_are_those_of_the_scores(evaluated):
    config, folder, results = evaluated
    split = splits.open_split(config.data, "ranked", "test")
    ranks, scores = split.labels, blur_jax.load_scorer(folder).score_images(split.images(range(25)))
    found = results["splits"]["test"]
    assert found["examples"] == 25  # batches of 16: the 7 black images are not counted
    assert found["spearman"]["value"] == pytest.approx(stats.spearmanr(scores, ranks).statistic, abs=1e-6)
    assert found["kendall"]["value"] == pytest.approx(stats.kendalltau(scores, ranks).statistic, abs=1e-6)
    families = [split.faces.groups[row] for row in split.rows]
    assert set(found["groups"]) == set(families)
    of_defocus = np.array(families) == "defocus (unseen)"
    expected = stats.spearmanr(scores[of_defocus], ranks[of_defocus]).statistic
    assert found["groups"]["defocus (unseen)"]["spearman"]["value"] == pytest.approx(expected, abs=1e-6)


def test_the_table_of_scores_gives_the_metrics_again(evaluated):
    config, folder, results = evaluated
    with open(folder / "scores.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    split = splits.open_split(config.data, "ranked", "test")
    assert [row["name"] for row in rows] == list(split.names)
    assert [row["group"] for row in rows] == [split.faces.groups[row] for row in split.rows]
    assert {row["split"] for row in rows} == {"test"}
    np.testing.assert_array_equal([float(row["size"]) for row in rows], split.faces.sizes[split.rows])
    scores, ranks = (np.array([float(row[key]) for row in rows]) for key in ("blur", "rank"))
    np.testing.assert_array_equal(ranks.astype(np.float32), split.labels)
    found = results["splits"]["test"]["spearman"]["value"]
    assert stats.spearmanr(scores, ranks).statistic == pytest.approx(found, abs=1e-6)
    clear = ranks == ranks.min()
    wins = stats.mannwhitneyu(scores[~clear], scores[clear]).statistic
    assert wins / clear.sum() / (~clear).sum() == pytest.approx(results["splits"]["test"]["auc"]["value"], abs=1e-6)


def test_names_in_the_table_may_hold_anything_and_scores_keep_every_bit():
    faces = splits.Faces([], ["unused", 'a, "b"\nc.png'], np.array([0, 40], np.float32), ["", ""])
    split = splits.Split(faces, np.array([1]), np.array([0.1], np.float32), Preprocessing(), {})
    text = evaluation.scores_csv({"test": (split, np.array([1 / 3], np.float32))})
    header, found = csv.reader(text.splitlines(keepends=True))
    assert header == ["split", "name", "group", "size", "rank", "blur"]
    assert found[:5] == ["test", 'a, "b"\nc.png', "", "40.0", "0.1"]
    assert np.float32(found[5]) == np.float32(1 / 3)


def test_groups_share_the_size_bins_and_the_clear_level_of_their_split():
    scores, ranks, sizes = np.arange(6.0), np.array([0, 1, 0, 1, 1, 2]), np.array([50, 50, 70, 70, 50, 70])
    groups, options = ["a", "a", "a", "a", "b", "b"], {"size_bins": [48, 64, 96], "resamples": 5, "seed": 0}
    found = evaluation.grouped_metrics(scores, ranks, sizes, groups, **options)
    assert found["size_matched"]["auc"]["value"] == 1
    assert list(found["groups"]["a"]["by_size"]) == ["48-64", "64-96"]
    # Group b has no clear face: 1 against 2 is a pair, but says nothing of clear against blurred.
    assert found["groups"]["b"]["pairwise_accuracy"]["value"] == 1
    assert found["groups"]["b"]["auc"]["value"] is None
    assert found["groups"]["b"]["by_size"]["48-64"]["blurred"] == 1


def test_data_of_another_protocol_than_the_checkpoint_are_refused(evaluated, monkeypatch):
    """Prepared and opened well, but with images of another side than the network was trained on."""
    config, folder, _ = evaluated
    split = splits.open_split(config.data, "ranked", "test")
    other = dataclasses.replace(split, preprocessing=Preprocessing(image_size=48))
    monkeypatch.setattr(splits, "open_split", lambda *_, **__: other)
    with pytest.raises(
        ValueError, match=r"trained on faces with image_size=32.*have 48.*--config\.data\.image_size=32"
    ):
        evaluation.evaluate(config, str(folder))


def test_the_summary_says_where_everything_is(evaluated):
    _, folder, results = evaluated
    text = evaluation.summary_text(results, str(folder))
    for name in ("checkpoints/6", "report.html", "scores.csv", "validation_pairs.csv"):
        assert f"{folder}/{name}" in text
    assert "validation                pairwise accuracy 0." in text
    text = evaluation.summary_text(results, str(folder), "/else/where")
    assert f"{folder}/checkpoints/6" in text and "/else/where/report.html" in text
    assert f"spearman {results['splits']['test']['spearman']['value']:.3f}" in text


def test_the_table_of_pairs_gives_the_accuracy_again(evaluated):
    config, folder, results = evaluated
    split = splits.open_split(config.data, "labeled", "validation")
    with open(folder / "validation_pairs.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [[row["left"], row["right"]] for row in rows] == split.names.tolist()
    assert [int(row["order"]) for row in rows] == split.labels.tolist()
    scorer = blur_jax.load_scorer(folder)
    for side, images in zip(("left_blur", "right_blur"), split.images(range(10)).swapaxes(0, 1)):
        np.testing.assert_allclose([float(row[side]) for row in rows], scorer.score_images(images), atol=1e-6)
    right = [(float(row["right_blur"]) - float(row["left_blur"])) * int(row["order"]) > 0 for row in rows]
    found = results["validation"]
    assert found["pairwise_accuracy"]["value"] == pytest.approx(np.mean(right), abs=1e-6)
    assert (found["pairs"], found["ties"], found["faces"]) == (10, 0, len(np.unique(split.rows)))


def test_numbers_are_rounded_but_for_scores(evaluated):
    text = (evaluated[1] / "metrics.json").read_text()
    assert not re.search(r": -?\d+\.\d{7}", text) and re.search(r": \d\.\d{6},", text)
    assert not re.search(r">-?\d+\.\d{5}", (evaluated[1] / "report.html").read_text())


def test_results_go_where_they_are_asked_for(evaluated, tmp_path):
    config, folder, results = evaluated
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert evaluation.evaluate(config, str(folder), str(tmp_path / "new" / "out")) == results
    names = {"metrics.json", "report.html", "scores.csv", "validation_pairs.csv"}
    assert {path.name for path in (tmp_path / "new" / "out").iterdir()} == names
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_agreement_with_judges_is_measured_on_test_faces(evaluated, tmp_path):
    config, folder, results = evaluated
    assert results["judged"] is None
    with open(folder / "scores.csv", newline="") as file:
        by_blur = [row["name"] for row in sorted(csv.DictReader(file), key=lambda row: float(row["blur"]))]
    judged = tmp_path / "judged.csv"
    # The run agrees on two of three pairs, and `far` names faces of other data.
    lines = ["split,left,right,ann,ann_sure,ben,ben_sure", f"near,{by_blur[0]},{by_blur[20]},1,1,1,1"]
    lines += [f"near,{by_blur[3]},{by_blur[15]},-1,1,-1,0", f"other,{by_blur[24]},./{by_blur[5]},-1,1,-1,1"]
    judged.write_text("\n".join([*lines, "far,x.png,y.png,1,1,1,1", ""]))
    config = config.copy_and_resolve_references()
    config.evaluation.judged = str(judged)
    found = evaluation.evaluate(config, str(folder), str(tmp_path / "out"))
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["judged"] == found["judged"]
    shares = {part: summary["scorers"]["run"]["consensus"]["value"] for part, summary in found["judged"].items()}
    assert shares == {"all": pytest.approx(2 / 3, abs=1e-6), "near": 0.5, "other": 1}
    assert "Judged pairs" in (tmp_path / "out" / "report.html").read_text()
    assert "agreement with judges 0.667" in evaluation.summary_text(found, str(folder), str(tmp_path / "out"))


def test_judged_pairs_of_other_faces_are_refused(evaluated, tmp_path):
    config, folder, _ = evaluated
    (tmp_path / "judged.csv").write_text("split,left,right,ann,ann_sure\nfar,x.png,y.png,1,1\n")
    config = config.copy_and_resolve_references()
    config.evaluation.judged = str(tmp_path / "judged.csv")
    with pytest.raises(
        ValueError, match=r"judged.csv: missing scores for 2 of 2 judged pictures in far, such as 'x.png'"
    ):
        evaluation.evaluate(config, str(folder), str(tmp_path / "out"))


def test_without_ranked_faces_the_pairs_alone_are_evaluated(evaluated, tmp_path, monkeypatch):
    config, folder, results = evaluated
    names = splits.split_names
    monkeypatch.setattr(splits, "split_names", lambda config, kind: [] if kind == "ranked" else names(config, kind))
    found = evaluation.evaluate(config, str(folder), str(tmp_path))
    assert found["splits"] == {} and found["validation"] == results["validation"]
    assert sorted(os.listdir(tmp_path)) == ["metrics.json", "report.html", "validation_pairs.csv"]
    page = (tmp_path / "report.html").read_text()
    assert "only 10 pairs" in page and "Split:" not in page
    text = evaluation.summary_text(found, str(folder), str(tmp_path))
    assert "scores.csv" not in text and "validation_pairs.csv" in text


def test_the_report_says_what_was_run_on_what(evaluated):
    _, folder, results = evaluated
    page = (folder / "report.html").read_text()
    data = ("labeled: validation<td>10<td><td>", "ranked: test<td><td><td>25")
    for text in (*data, "Commit", "optimizer.learning_rate", *results["splits"]["test"]["groups"]):
        assert text in page


def test_content_is_measured_where_faces_have_attributes(evaluated, tmp_path, monkeypatch):
    config, folder, results = evaluated
    assert "content" not in results["splits"]["test"]
    open_split = splits.open_split

    def with_attributes(config, kind, name):
        split = open_split(config, kind, name)
        attributes = {"attributes": {"hat": split.rows[:5].tolist()}} if kind == "ranked" else {}
        return dataclasses.replace(split, metadata=split.metadata | attributes)

    monkeypatch.setattr(splits, "open_split", with_attributes)
    found = evaluation.evaluate(config, str(folder), str(tmp_path))["splits"]["test"]
    assert found.pop("content")["groups"]["hat"].keys() == {"clear", "auc", "unchanged", "drawn"}
    assert found == results["splits"]["test"]
    assert "Content: test" in (tmp_path / "report.html").read_text()


def test_the_threshold_of_the_run_is_shown_where_it_is_of_this_checkpoint(own_run):
    config, folder = own_run
    fingerprint = blur_jax.load_scorer(folder).fingerprint
    for checkpoint, shown in ((fingerprint, True), ("0" * 16, False)):
        write_threshold(folder, Threshold(0.4321, "by hand", checkpoint))
        evaluation.evaluate(config, str(folder))
        assert ("keep pictures with blur &lt; 0.4321" in (folder / "report.html").read_text()) == shown
