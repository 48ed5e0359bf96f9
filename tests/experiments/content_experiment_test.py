import json

import pytest

from blur_jax.data.preprocessing import Preprocessing
from experiments import content as experiment
from experiments.baselines import CLOSED_FORM
from experiments.configs import content as content_config
from tests.helpers import photos, scored


def interval(value):
    return {"value": value, "low": value, "high": value}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("content") / "photos"
    lines = range(1, 13)
    for number in lines:
        photos.save(root, f"{number:02}.png", number)
    photos.write(root, "ranked.csv", "name,rank", *(f"{number:02}.png,{int(number > 8)}" for number in lines))
    attributes = (f"{number:02}.png,{int(number < 4)},{number % 2}" for number in lines)
    photos.write(root, "attributes.csv", "name,Hat,Odd", *attributes)
    return root


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return str(scored.make_run(tmp_path_factory.mktemp("content_run") / "run"))


def configured(root, side=scored.SIDE):
    config = content_config.get_config()
    config.data.update(image_size=side, manual_dir=str(root), dir=str(root.parent / "tfds"))
    config.evaluation.resamples = 20
    return config


def test_halves_are_told_by_the_last_number_of_a_name():
    names = ["7/000012.jpg", "a3.png", "b 4 (5).jpg"]
    assert experiment.in_half(names, "even").tolist() == [True, False, False]
    assert experiment.in_half(names, "odd").tolist() == [False, True, True]
    assert experiment.in_half(["a", "b"], None).tolist() == [True, True]
    with pytest.raises(ValueError, match=r"beach.jpg has no number .* omit --half"):
        experiment.in_half(["1.jpg", "beach.jpg"], "odd")


def test_a_run_is_measured_beside_every_baseline(root, run, tmp_path, capsys):
    experiment.run(configured(root), [f"mine={run}"], None, str(tmp_path))
    results = json.loads((tmp_path / "content.json").read_text())
    assert results["runs"] == {"mine": run} and results["half"] is None and results["sizes"] == [48, 48]
    assert list(results["scorers"]) == ["mine", *CLOSED_FORM]
    for found in results["scorers"].values():
        assert (found["faces"], found["clear"]) == (12, 8)
        assert {name: group["clear"] for name, group in found["groups"].items()} == {"Hat": 3, "Odd": 4}
        assert list(found["content_share"]) == ["20", "32", "45", "64"]
    # Reducing faces of 32 pixels to 32 changes nothing, so all of the spread is left.
    assert results["scorers"]["mine"]["content_share"]["32"]["value"] == pytest.approx(1, abs=1e-6)
    printed = capsys.readouterr().out
    assert printed == (tmp_path / "content.md").read_text()
    assert "12 faces of 48 to 48 px" in printed and printed.count("\n| Hat | ") == 3


def test_a_half_is_measured_alone(root, tmp_path):
    experiment.run(configured(root), [], "odd", str(tmp_path))
    results = json.loads((tmp_path / "content.json").read_text())
    (first, *_) = results["scorers"].values()
    assert (first["faces"], first["clear"], first["groups"]["Odd"]["clear"]) == (6, 4, 4)
    assert first["groups"]["Odd"]["auc"]["32"]["value"] is None  # There are no others.


def test_a_run_with_another_crop_is_refused(run):
    with pytest.raises(
        ValueError, match="--run=mine=.* 32px-context1 crops, but .* 48px-context1.25 crops; set --config.data"
    ):
        experiment.reading_of_run("mine", run, Preprocessing(image_size=48, context=1.25))


def test_a_run_may_not_have_the_name_of_a_baseline(root):
    with pytest.raises(ValueError, match="--run=Tenengrad=... uses the name of a baseline"):
        experiment.run(configured(root), ["Tenengrad=runs/a"], None, "out")


def test_the_table_of_groups():
    kind = {"group": interval(0.141), "others": interval(0.032), "ratio": interval(4.4)}
    group = {"clear": 1200, "auc": {"32": interval(0.73)}, "unchanged": kind, "drawn": kind | {"group": interval(None)}}
    line = experiment.table_of_groups({"groups": {"Male": group}}).splitlines()[-1]
    auc, ratio = "0.730 [0.730, 0.730]", "4.400 [4.400, 4.400]"
    assert line == f"| Male | 1,200 | {auc} | 14.1% | 3.2% | {ratio} |  | 3.2% | {ratio} |"
    table = experiment.table_over_scorers({"a": {"groups": {"Male": group}}}, lambda group: group["auc"]["32"])
    assert table.splitlines()[-1] == f"| Male | {auc} |"
