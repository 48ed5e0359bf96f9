"""The ablation, with two variants of two steps each: 15 s of CPU."""

import json
from unittest import mock

import pytest

from experiments import ablation
from experiments.configs import ablation as frozen


def test_a_variant_changes_only_its_fields():
    config = frozen.get_config()
    configs = ablation.configs_of(config, 2)
    assert len(configs) == 2 * len(ablation.VARIANTS)
    assert list(configs)[: len(ablation.VARIANTS)] == [f"{name}, seed 0" for name in ablation.VARIANTS]
    assert configs["the recipe, seed 0"].to_dict() == config.to_dict()
    changed = configs["no prior, seed 1"]
    assert (changed.seed, changed.probe.prior, changed.probe.content) == (1, 0.0, config.probe.content)
    assert config.probe.prior > 0


def test_the_least_fair_group_is_farthest_from_a_half_on_either_side():
    def measured(**aucs):
        return {"groups": {name: {"auc": {"32": {"value": auc}}} for name, auc in aucs.items()}}

    assert ablation.least_fair(measured(Hat=0.6, Bald=0.35, Young=None)) == ("Bald", {"value": 0.35})
    assert ablation.least_fair(measured(Hat=0.7, Bald=0.35))[0] == "Hat"
    assert ablation.least_fair({"groups": {}})[0] == ""


@pytest.fixture
def small(release, tmp_path):
    config = frozen.get_config()
    config.steps = config.checkpoint_every = 2
    config.data.dir, config.data.manual_dir, config.data.image_size = str(tmp_path / "data"), str(release), 32
    config.model.update(backbone="small", blocks=None, pool_center=False, pretrained=False, frozen_blocks=0)
    config.batch.labeled = config.batch.unlabeled = 4
    config.start_from, config.probe.prior = None, 0.0
    config.probe.update(faces=8, side_min=8, side_max=16)
    config.evaluation.resamples = 20
    config.optimizer.warmup_steps = 1
    return config


def test_runs_are_trained_and_compared(small, far, judged, tmp_path, capsys):
    variants = {name: ablation.VARIANTS[name] for name in (ablation.WHOLE, "no prior")}
    with mock.patch.object(ablation, "VARIANTS", variants):
        ablation.run(small, str(tmp_path / "out"), str(far), str(judged), None, 1, 1)
    results = json.loads((tmp_path / "out" / "ablation.json").read_text())
    assert {axis: part["splits"] for axis, part in results["judged"].items()} == {"near": ["test1"], "far": ["celeba"]}
    names = ["the recipe, seed 0", "no prior, seed 0"]
    assert list(results["content"]) == names
    assert [found["faces"] for found in results["content"].values()] == [4, 4]
    both = [results["metrics"]["far"][name]["test"]["auc"]["value"] for name in names]
    assert all(0 <= value <= 1 for value in both)
    difference = results["metrics"]["far"][names[1]]["first_minus_this"]["auc"]["value"]
    assert difference == pytest.approx(both[0] - both[1])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert [line.split(" | ")[0] for line in lines] == [
        *("| run", "| ---", "| the recipe, seed 0", "| no prior, seed 0"),
        *("| run", "| ---", "| no prior, seed 0"),
    ]
