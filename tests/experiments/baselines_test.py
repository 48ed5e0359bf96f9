import csv
import json
from unittest import mock

import numpy as np
import pytest

from blur_jax.data import splits
from blur_jax.evaluate import evaluation
from experiments import baselines, evaluated_runs, ranked, tables
from experiments.configs import baselines as frozen


def test_pairs_run_from_the_sharper_to_the_blurrier_face(config):
    faces = baselines.read_faces(splits.open_split(config.data, "labeled", "train"), ranked.open_splits(config.data))
    assert faces.images.shape == (len(faces.names), 32, 32, 3)
    assert len(set(faces.names)) == len(faces.names) <= 2 * 24 + 25
    strength = np.array([float(name.split()[-1]) for name in faces.names])  # the demo's names end so
    assert len(faces.pairs) == 24 and (strength[faces.pairs[:, 0]] < strength[faces.pairs[:, 1]]).all()
    assert faces.resized(16).shape == (len(faces.names), 16, 16, 3)
    assert abs(faces.resized(16).mean() - faces.images.mean()) < 2


def write_scores(folder, rows):
    """A folder with the scores.csv of an evaluation; rows are (split, name, rank, blur)."""
    folder.mkdir()
    with open(folder / evaluation.SCORES_FILE, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("split", "name", "group", "size", "rank", "blur"))
        writer.writerows((split, name, "LFW", 50.0, float(rank), blur) for split, name, rank, blur in rows)
    return folder


def write_run(folder, release, score_of_level):
    rows = []
    for split in ("test1", "test2", "test3"):
        for line in (release / f"SSRanking_OBA_test_{split}.txt").read_text().split("\n")[-2::-1]:
            name, level = line.split()
            rows.append((split, name, level, score_of_level[int(level)]))
    return write_scores(folder, rows)


@pytest.fixture(scope="module")
def compared(release, tmp_path_factory):
    """The experiment, run once; returns (its config, the workdir, the folder of the runs)."""
    folder = tmp_path_factory.mktemp("baselines")
    write_run(folder / "right", release, [0.1, 0.2, 0.3])
    write_run(folder / "wrong", release, [0.3, 0.2, 0.1])
    config = frozen.get_config()
    config.data.dir, config.data.manual_dir, config.data.image_size = str(folder / "data"), str(release), 32
    config.evaluation.resamples = 20
    with mock.patch.multiple(baselines, LEAVES=(3,), OFIQ_STRENGTHS=(1.0,), IMAGENET_STRENGTHS=(1e-4, 1e-3)):
        runs = [f"right={folder / 'right'}", f"wrong={folder / 'wrong'}"]
        baselines.run(config, runs, str(folder / "out"))
    return config, folder / "out", folder


def test_every_baseline_scores_a_blurred_copy_higher(compared):
    with open(compared[1] / "scores.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    scores = {(row["scorer"], row["name"]): float(row["score"]) for row in rows}
    fitted = {"OFIQ's 26 features, random forest", "OFIQ's 26 features, logistic ranker"}
    scorers = {*baselines.CLOSED_FORM, *fitted, "ImageNet features, logistic ranker"}
    assert {row["scorer"] for row in rows} == {*scorers, baselines.SIZE_ALONE, "right", "wrong"}
    assert len(rows) == len(scores) == 11 * 3 * 15
    for name in scorers:
        for texture in range(30, 45):
            sharp, blurred = (scores[name, f"LFW/P{texture}x{level}_0001.png"] for level in (0, 2))
            assert sharp < blurred, (name, texture)


def test_metrics_and_paired_differences(compared):
    results = json.loads((compared[1] / "baselines.json").read_text())
    metrics = results["metrics"]["near"]
    one, none = {"value": 1.0, "low": 1.0, "high": 1.0}, {"value": 0.0, "low": 0.0, "high": 0.0}
    assert metrics["right"]["test1"]["auc"] == metrics["right"]["mean"]["auc"] == one
    assert metrics["wrong"]["mean"]["auc"] == none
    assert metrics["wrong"]["first_minus_this"]["auc"] == one
    assert "first_minus_this" not in metrics["right"]
    # Blurrier faces are larger in this release.
    assert metrics[baselines.SIZE_ALONE]["mean"]["auc"] == none
    for name, found in results["baselines"].items():
        assert found["accuracy"][found["setting"]] == max(found["accuracy"].values())
        assert metrics[name]["mean"]["auc"]["value"] > 0.8, name


def test_a_second_call_takes_the_baselines_from_the_workdir(compared, capsys):
    config, out, folder = compared
    with mock.patch.object(baselines, "score_baselines", side_effect=AssertionError("computed again")):
        baselines.run(config, [f"again={folder / 'right'}", f"wrong={folder / 'wrong'}"], str(out))
    printed = capsys.readouterr().out
    assert printed == (out / "baselines.md").read_text()
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in printed.splitlines() if line.startswith("|")]
    header, rows = lines[0], {cells[0]: cells[1:] for cells in lines[2:13]}
    assert header[0] == "scorer"
    assert header[-2:] == ["AUC, again minus this", "the same, splits weighted by faces"]
    assert len(rows) == 11 and next(iter(rows)) == "again"  # the best first
    assert rows["wrong"][0] == "0.000 [0.000, 0.000]" and rows["wrong"][-1] == "1.000 [1.000, 1.000]"
    assert rows["again"][-1] == rows["again"][-2] == ""
    settings = {cells[0]: cells[1] for cells in lines[15:]}
    assert settings["Tenengrad"] in ("16 px", "32 px")
    assert printed.count(tables.origin()) == 2


def test_judges_come_first_and_far_faces_are_measured_too(compared, far, tmp_path, capsys):
    config, _, folder = compared
    # The judges agree that the face at level 2 is blurrier than that at level 0, near and far, and disagree on a pair.
    judged = tmp_path / "judged.csv"
    judged.write_text(
        "split,left,right,ann,ann_sure,ben,ben_sure\n"
        "test1,LFW/P30x0_0001.png,LFW/P31x2_0001.png,1,1,1,1\n"
        "test2,LFW/P35x2_0001.png,LFW/P36x0_0001.png,-1,1,-1,0\n"
        "test3,LFW/P40x2_0001.png,LFW/P41x0_0001.png,-1,1,1,0\n"
        "celeba,0.png,2.png,1,1,1,1\n"
    )
    blur = {"0.png": (0, 0.9), "1.png": (0, 0.2), "2.png": (1, 0.1), "3.png": (1, 0.95)}  # wrong on the judged pair
    rows = [("test", name, rank, score) for name, (rank, score) in blur.items()]
    far_run = write_scores(tmp_path / "far_run", rows)
    options = {"far": str(far), "judged": str(judged), "group": ["near=test1,test2,test3", "far=celeba"]}
    options["mean"] = ["mean=ours+Tenengrad"]
    runs = [[f"ours={folder / 'right'}"], str(tmp_path / "out")]
    with mock.patch.multiple(baselines, LEAVES=(3,), OFIQ_STRENGTHS=(1.0,), IMAGENET_STRENGTHS=(1e-4,)):
        baselines.run(config, *runs, far_run=[f"ours={far_run}"], **options)
        with pytest.raises(ValueError, match="each --run=NAME=... needs a --far_run"):
            baselines.run(config, *runs, **options)
    results = json.loads((tmp_path / "out" / "baselines.json").read_text())
    near, celeba = (results["judged"][part] for part in ("near", "far"))
    assert (near["agreed"], near["pairs"], celeba["agreed"]) == (2, 3, 1)
    consensus = {name: values["consensus"]["value"] for name, values in near["scorers"].items()}
    assert consensus["ours"] == consensus["variance of the Laplacian"] == 1
    laplacian = celeba["scorers"]["variance of the Laplacian"]
    assert celeba["scorers"]["ours"]["consensus"]["value"] == 0 and laplacian["consensus"]["value"] == 1
    assert laplacian["first_minus_this"]["value"] == -1
    assert consensus["mean"] == consensus["Tenengrad"] == 1 and "mean" in results["metrics"]["far"]
    # Of the four pairs of a clear and a blurred face, only (1, 3) and (0, 3) are in order.
    assert results["metrics"]["far"]["ours"]["test"]["auc"]["value"] == pytest.approx(2 / 4)
    titles = [line.strip("*") for line in capsys.readouterr().out.splitlines() if line.startswith("**")]
    assert titles == [
        "Agreement with the judges' consensus",
        "Agreement of each judge with the others",
        "Size-matched metrics of all scorers, near",
        "Size-matched metrics of all scorers, far",
        "Settings",
    ]


def test_wrong_runs_are_reported(compared, release, tmp_path):
    config, out, folder = compared

    def refused(run, message):
        with pytest.raises(ValueError, match=message):
            baselines.run(config, [run], str(out))

    refused(f"x={tmp_path}", "scores.csv does not exist; run launch.py --mode=evaluate")
    refused(f"Tenengrad={folder / 'right'}", "--run=Tenengrad=... uses the name of a baseline; choose a different name")
    file = write_run(tmp_path / "run", release, [0, 0, 0]) / "scores.csv"
    whole = file.read_text()
    file.write_text(whole.replace("P30x0", "P99x0"))
    refused(f"x={tmp_path / 'run'}", "made from different lists: 2 of 45 .* such as test1 LFW/P30x0_0001.png")
    file.write_text(whole.replace("LFW/P30x0_0001.png,LFW,50.0,0.0", "LFW/P30x0_0001.png,LFW,50.0,1.0"))
    refused(f"x={tmp_path / 'run'}", "1 of 45 .* such as test1 LFW/P30x0_0001.png")


def test_splits_may_count_by_their_faces():
    tests = {"test1": range(10), "test2": range(30), "other": range(50)}
    values = {"test1": 0.5, "test2": 0.9, "other": 0.0}

    def headlines(more, _, *, resamples):
        found = {name: {"auc": np.full(1 + resamples, value + more)} for name, value in values.items()}
        return found | {"mean": {"auc": np.full(1 + resamples, 0.7 + more)}}

    with mock.patch.multiple(baselines.ranked, headlines=headlines, headline_names=lambda _: ["test1", "test2"]):
        found = baselines.compare({"ours": 0.0, "worse": -0.2}, tests, "ours", 5)
    assert found["ours"]["by_faces"]["auc"]["value"] == pytest.approx(0.8)  # (10 * 0.5 + 30 * 0.9) / 40
    assert found["worse"]["by_faces"]["auc"]["value"] == pytest.approx(0.6)
    assert found["worse"]["first_minus_this_by_faces"]["auc"]["low"] == pytest.approx(0.2)
    assert "first_minus_this_by_faces" not in found["ours"]


@pytest.mark.parametrize("wrong", [["x"], ["=y"], ["x=y", "x=z"]])
def test_a_run_needs_a_name_and_a_path(wrong):
    with pytest.raises(ValueError, match="--run must be NAME=PATH with a unique name"):
        evaluated_runs.parse(wrong)
