"""The arms of the ablation, its table, and the experiment on tiny data."""

import re

import numpy as np

from experiments import degraded_views
from experiments.configs import label_efficiency as frozen


def test_an_arm_changes_the_degradation_and_nothing_else():
    noisy = degraded_views.arm_config(frozen.get_config(), "noise", 2)
    assert noisy.degradation.to_dict() == {
        "families": ("gaussian",), "rms_min": 1e-4, "rms_max": 1e-4, "noise_max": 0.02, "jpeg_min_quality": None,
    }  # fmt: skip
    every = degraded_views.arm_config(frozen.get_config(), "all", 2)
    assert (every.degradation.noise_max, every.degradation.jpeg_min_quality) == (0.02, 70)
    assert set(every.degradation.families) == {"defocus", "motion", "gaussian", "anisotropic", "downup"}
    weights = ("quadruplet_weight", "pairwise_weight", "distillation_weight")
    assert [every.consistency[name] for name in weights] == [0.0, 0.0, 16.0]
    alone = degraded_views.arm_config(frozen.get_config(), degraded_views.ALONE, 2)
    assert [alone.consistency[name] for name in weights] == [0.0, 0.0, 0.0]
    own = degraded_views.arm_config(frozen.get_config(), degraded_views.OWN_DRAWS, 2)
    shared = degraded_views.arm_config(frozen.get_config(), "resampling", 2)
    assert (own.consistency.share_degradation, shared.consistency.share_degradation) == (False, True)
    assert own.degradation == shared.degradation
    assert own.data.labeled_count is None
    assert {each.seed for each in (noisy, every, alone, own)} == {2}


def test_the_table_has_gains_paired_by_seed():
    arms = (degraded_views.ALONE, *degraded_views.VIEWS, degraded_views.OWN_DRAWS)
    found = {
        (arm, seed): {"mean": {"auc": np.full(2001, 0.6 + 0.1 * seed + (0.03 if arm == "blur" else 0.0))}}
        for arm in arms
        for seed in (0, 1)
    }
    text = degraded_views.table({"near": found}, 2)
    assert "| labels alone | 0.650 [0.600, 0.700] |  |" in text
    assert "| blur | 0.680 [0.630, 0.730] | +0.030 [+0.030, +0.030] |" in text
    assert "| noise | 0.650 [0.600, 0.700] | +0.000 [+0.000, +0.000] |" in text


def test_the_experiment_runs(config, tmp_path, monkeypatch, capsys, subprocess_env):
    for name, value in subprocess_env.items():  # For the processes that the grid starts.
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(degraded_views, "VIEWS", {"resampling": {"families": ("downup",)}})
    config.steps = config.checkpoint_every = 3
    config.model.linear_probe_strength = 1e-2
    config.consistency.distillation_weight = 1.0
    degraded_views.run(config, workdir=str(tmp_path), far=None, seeds=1, workers=1)
    printed = capsys.readouterr().out
    for arm in ("labels alone", "resampling", "resampling, a draw for each picture"):
        assert re.search(rf"^\| {arm} \| [01]\.\d{{3}} \[", printed, re.MULTILINE)
    rows = [path.parent.name for path in tmp_path.glob("*/row.json")]
    assert sorted(rows) == ["labels_alone_0", "resampling_0", "resampling_a_draw_for_each_picture_0"]
