"""Agreement with judges by split and group, and the command, worked out by hand."""

import json

import numpy as np
import pytest

from blur_jax.data.judged_table import JudgedTable
from blur_jax.evaluate import judged, judged_agreement
from tests.helpers.paths import SHARED

# The judges agree on (a, b), (c, d), (a, d) and (e, f).
JUDGED = """split,left,right,ann,ann_sure,ben,ben_sure
near1,a.jpg,b.jpg,1,1,1,1
near1,c.jpg,d.jpg,-1,1,-1,0
near2,a.jpg,d.jpg,1,1,1,1
near2,b.jpg,c.jpg,1,0,-1,0
far,x/e.jpg,x/f.jpg,1,1,1,1
far,x/f.jpg,x/g.jpg,1,1,-1,1
"""
NEAR = {"a.jpg": 0.1, "b.jpg": 0.2, "c.jpg": 0.3, "d.jpg": 0.4}  # wrong on (c, d) only
FAR = {"x/e.jpg": 0.1, "x/f.jpg": 0.9, "x/g.jpg": 0.2}


def scores_csv(path, scores):
    path.write_text("name,status,blur\n" + "".join(f"{name},ok,{value}\n" for name, value in scores.items()))
    return path


@pytest.fixture
def files(tmp_path):
    (tmp_path / "judged.csv").write_text(JUDGED)
    scores_csv(tmp_path / "near.csv", NEAR)
    scores_csv(tmp_path / "far.csv", FAR)
    scores_csv(tmp_path / "other.csv", {name: -value for name, value in NEAR.items()})  # right on (c, d) only
    return tmp_path


def call(files, *arguments):
    return judged.main([f"--judged={files / 'judged.csv'}", *arguments])


def test_scorers_are_measured_by_group_and_split(files, capsys):
    tables = [f"--scores=ours={files / name}" for name in ("near.csv", "far.csv")]
    output = files / "found.json"
    options = [f"--scores=other={files / 'other.csv'}", "--group=near=near1,near2", "--group=all=near1,near2,far"]
    assert call(files, *tables, *options, "--resamples=50", f"--output={output}") == 0
    parts = json.loads(output.read_text())["parts"]
    assert list(parts) == ["near", "all", "far", "near1", "near2"]
    assert {part: (found["agreed"], found["sure"], found["pairs"]) for part, found in parts.items()} == {
        "near": (3, 2, 4),
        "all": (4, 3, 6),
        "far": (1, 1, 2),
        "near1": (2, 1, 2),
        "near2": (1, 1, 2),
    }
    near = parts["near"]["scorers"]
    assert near["ours"]["consensus"]["value"] == pytest.approx(2 / 3)
    assert near["ours"]["sure"]["value"] == 1
    assert near["other"]["consensus"]["value"] == pytest.approx(1 / 3)
    assert near["other"]["first_minus_this"]["value"] == pytest.approx(1 / 3)
    assert parts["all"]["scorers"].keys() == parts["far"]["scorers"].keys() == {"ours"}  # `other` has no far scores
    assert parts["all"]["scorers"]["ours"]["consensus"]["value"] == pytest.approx(3 / 4)
    assert parts["far"]["judges"]["ann"]["value"] == 0.5
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "near (near1, near2): the judges agree on 3 of 4 pairs, and all of them are sure about 2"
    assert printed[1].split() == ["judge", "agreement", "with", "the", "other", "judges"]
    assert printed[2].split()[:2] == ["ann", "0.750"]
    assert [line.split()[:2] for line in printed[5:7]] == [["ours", "0.667"], ["other", "0.333"]]
    assert printed[4].endswith("ours minus this") and "+0.333 [" in printed[6]


def table(splits, names):
    answers = np.ones((len(splits), 2))
    return JudgedTable(splits, names, ["ann", "ben"], answers.astype(np.int8), answers > 0)


def test_a_group_of_one_split_replaces_it():
    pairs = table(["celeba", "test"], [("a", "b"), ("a", "c")])
    measured = judged_agreement.measure(pairs, {"ours": {"a": 0, "b": 1, "c": 1}}, {"far": ["celeba"]}, resamples=5)
    assert {part: found["splits"] for part, found in measured.items()} == {"far": ["celeba"], "test": ["test"]}


def test_without_the_first_scorer_there_is_no_difference():
    pairs = table(["near", "far"], [("a", "b"), ("c", "d")])
    scorers = {"first": {"a": 0, "b": 1}, "other": {"a": 0, "b": 1, "c": 0, "d": 1}}
    measured = judged_agreement.measure(pairs, scorers, first="first", resamples=5)
    assert "first_minus_this" in measured["near"]["scorers"]["other"]
    assert "first_minus_this" not in measured["far"]["scorers"]["other"]
    assert "minus" not in judged_agreement.lines({"far": measured["far"]}, "first")[3]


def refused(files, capsys, *arguments):
    assert call(files, *arguments) == 2
    return capsys.readouterr().err


def test_missing_scores_name_the_picture(files, capsys):
    some = scores_csv(files / "some.csv", {"a.jpg": 0.1, "PHOTOS/b.jpg": 0.2, "c.jpg": 0.3, "d.jpg": 0.4})
    error = refused(files, capsys, f"--scores=ours={some}")
    assert (
        "ours: missing scores for 1 of 4 judged pictures in near1, such as 'b.jpg'; score them too; did you mean"
        in error
    )
    assert "'PHOTOS/b.jpg'?" in error
    none = scores_csv(files / "none.csv", {"z.jpg": 1})
    assert "ours: missing scores for 4 of 4 judged pictures" in refused(files, capsys, f"--scores=ours={none}")
    failed = files / "failed.csv"
    failed.write_text("name,status,blur\na.jpg,failed,\nb.jpg,ok,1\nc.jpg,ok,1\nd.jpg,ok,1\n")
    assert "missing scores for 1 of 4" in refused(files, capsys, f"--scores=ours={failed}")


def test_wrong_arguments_are_refused(files, capsys):
    ours = f"--scores=ours={files / 'near.csv'}"
    assert "must be NAME=TABLE" in refused(files, capsys, "--scores=scores.csv")
    assert "has a different score in another" in refused(files, capsys, ours, f"--scores=ours={files / 'other.csv'}")
    assert "choose from far, near1, near2" in refused(files, capsys, ours, "--group=near=near1,near3")
    assert "must be GROUP=SPLIT,SPLIT" in refused(files, capsys, ours, "--group=near1")
    assert "must be GROUP=SPLIT,SPLIT" in refused(files, capsys, ours, "--group=n=near1", "--group=n=near2")
    assert "no other group or split may use that name" in refused(files, capsys, ours, "--group=near1=near1,near2")
    table = scores_csv(files / "x.json", NEAR)
    assert "is also an input" in refused(files, capsys, f"--scores=ours={table}", f"--output={table}")
    assert "must end in .json" in refused(files, capsys, ours, f"--output={files / 'near.csv'}")


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"{SHARED} with real judged pairs is not on this machine")
def test_levels_of_the_real_pairs_agree_with_the_judges(tmp_path):
    ranks = dict(line.rsplit(",", 1) for line in (SHARED / "celeba_blur/ranked.csv").read_text().splitlines()[1:])
    labels, output = scores_csv(tmp_path / "labels.csv", ranks), tmp_path / "found.json"
    options = [f"--judged={SHARED / 'judged.csv'}", f"--scores=labels={labels}", f"--output={output}"]
    assert judged.main([*options, "--group=far=celeba_blur"]) == 0
    (far,) = json.loads(output.read_text())["parts"].values()
    assert (far["pairs"], far["agreed"], far["judges"]["first"]["value"]) == (100, 78, pytest.approx(0.78))
    # Most pairs have equal labels and count one half.
    assert 0.5 < far["scorers"]["labels"]["consensus"]["value"] < 0.6


def test_scored_splits_are_those_with_all_their_pictures():
    pairs = [("a", "b"), ("a", "c"), ("x", "y")]
    table = JudgedTable(["one", "two", "three"], pairs, ["ann"], np.ones((3, 1)), np.ones((3, 1), bool))
    assert judged_agreement.scored_splits(table, "ours", {"a": 0.1, "b": 0.2, "c": 0.3}) == {"one", "two"}
    with pytest.raises(ValueError, match="ours: missing scores for 1 of 2 judged pictures in two"):
        judged_agreement.scored_splits(table, "ours", {"a": 0.1, "b": 0.2, "x": 0.3})
