"""The grid, its statistics, and the experiment on tiny data."""

import csv
import json
import os

import numpy as np
import pytest

from experiments import label_efficiency
from experiments.configs import label_efficiency as frozen


def test_cells_are_the_whole_grid_and_the_first_seed_comes_first():
    cells = label_efficiency.cells((100, 300), 2)
    assert len(set(cells)) == len(cells) == 4 * 2 * 2
    assert {seed for _, _, seed in cells[:8]} == {0}


def test_a_cell_changes_seed_labels_and_weights_only():
    config = frozen.get_config()
    config.consistency.quadruplet_weight, config.consistency.pairwise_weight = 4.0, 2.0
    weights = {"none": (0.0, 0.0), "pairwise": (0.0, 2.0), "quadruplet": (4.0, 0.0), "both": (4.0, 2.0)}
    for loss, expected in weights.items():
        cell = label_efficiency.cell_config(config, (loss, 300, 2), 8816)
        assert (cell.consistency.quadruplet_weight, cell.consistency.pairwise_weight) == expected
        assert (cell.seed, cell.data.labeled_count) == (2, 300)
    assert label_efficiency.cell_config(config, ("none", 10000, 0), 8816).data.labeled_count is None  # all
    for each in (cell, config):
        each.seed = each.data.labeled_count = 0
        each.consistency.quadruplet_weight = each.consistency.pairwise_weight = 0.0
    assert cell.to_json() == config.to_json()


def test_over_seeds_keeps_the_mean_and_resamples_runs():
    # Three runs without any spread over faces: what varies is the runs alone.
    values = np.repeat([[0.1], [0.2], [0.6]], 2001, axis=1)
    found = label_efficiency.over_seeds(values)
    assert found[0] == pytest.approx(0.3)
    # All three draws alike has probability 1 / 27 each: the extremes are single runs.
    assert (found[1:].min(), found[1:].max()) == pytest.approx((0.1, 0.6))
    assert found[1:].mean() == pytest.approx(0.3, abs=0.01)


def test_gains_are_paired_by_seed():
    """Runs differ widely from seed to seed, and always by 0.05 between losses: the gain is sure."""
    base = {0: 0.6, 1: 0.7, 2: 0.8}
    metrics = {
        (loss, 100, seed): {"mean": {"auc": np.full(101, value + (0.05 if loss == "both" else 0.0))}}
        for loss in label_efficiency.LOSSES
        for seed, value in base.items()
    }
    summary = label_efficiency.summarize(metrics, (100,), 3)
    assert summary["both"]["100"]["gain"] == pytest.approx({"value": 0.05, "low": 0.05, "high": 0.05})
    assert summary["quadruplet"]["100"]["gain"] == pytest.approx({"value": 0.0, "low": 0.0, "high": 0.0})
    assert summary["none"]["100"]["auc"]["value"] == pytest.approx(0.7)
    assert summary["none"]["100"]["auc"]["low"] < 0.65
    assert "| gain of both | +0.050 [+0.050, +0.050] |" in label_efficiency.table(summary, (100,))


def test_the_experiment_trains_the_grid_once_and_writes_its_results(
    config, tmp_path, monkeypatch, capsys, subprocess_env
):
    for name, value in subprocess_env.items():  # For the processes that the grid starts.
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(label_efficiency, "LOSSES", {"none": (), "quadruplet": ("quadruplet_weight",)})
    config.steps = config.checkpoint_every = 3
    config.consistency.pairwise_weight = 1.0
    options = {"workdir": str(tmp_path), "seeds": 1, "counts": ["1000", "8"], "workers": 1}
    label_efficiency.run(config, **options)
    printed = capsys.readouterr().out
    assert "| gain of quadruplet |" in printed
    assert "4 runs" in printed
    with open(tmp_path / "rows.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["loss"], row["labeled_pairs"]) for row in rows] == [
        ("none", "8"),
        ("quadruplet", "8"),
        ("none", "1000"),
        ("quadruplet", "1000"),
    ]
    assert all(0 <= float(row["mean_auc"]) <= 1 and 0 <= float(row["pseudo_label_accuracy"]) <= 1 for row in rows)
    summary = json.loads((tmp_path / "label_efficiency.json").read_text())
    assert summary["none"]["8"]["auc"]["value"] == pytest.approx(float(rows[0]["mean_auc"]), abs=1e-4)
    assert os.path.getsize(tmp_path / "label_efficiency.webp") > 1000

    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/*.json")}
    label_efficiency.run(config, **options)
    assert capsys.readouterr().out == printed
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/*.json")} == before  # nothing was trained again


def test_a_loss_that_would_be_none_is_reported(config, tmp_path):
    config.consistency.pairwise_weight = 0.0
    with pytest.raises(ValueError, match=r"config\.consistency\.pairwise_weight=0\.0 must be above 0 to be compared"):
        label_efficiency.run(config, workdir=str(tmp_path), seeds=1, counts=["8"], workers=1)
