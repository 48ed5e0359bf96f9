import csv
import json
import os
import pickle

import numpy as np
import pytest
from PIL import Image

from blur_jax.data import splits
from experiments import label_efficiency, label_efficiency_summary, linear_ranker
from experiments.configs import label_efficiency as frozen


def test_cells_are_the_whole_grid_and_the_first_seed_comes_first():
    cells = label_efficiency.cells(("none", "pairwise", "quadruplet"), (100, 300), 2)
    assert len(set(cells)) == len(cells) == 3 * 2 * 2
    assert {seed for _, _, seed in cells[:6]} == {0}


def test_a_cell_changes_seed_labels_and_weights_only():
    config = frozen.get_config()
    config.consistency.update(quadruplet_weight=4.0, pairwise_weight=2.0, distillation_weight=8.0)
    weights = {"none": (0, 0, 0), "pairwise": (0, 2, 0), "quadruplet": (4, 0, 0), "distillation": (0, 0, 8)}
    names = [f"{name}_weight" for name in ("quadruplet", "pairwise", "distillation")]
    for loss, expected in weights.items():
        cell = label_efficiency.cell_config(config, (loss, 300, 2), 8816)
        assert tuple(cell.consistency[name] for name in names) == expected
        assert (cell.seed, cell.data.labeled_count) == (2, 300)
    assert label_efficiency.cell_config(config, ("none", 10000, 0), 8816).data.labeled_count is None  # all
    for each in (cell, config):
        each.seed = each.data.labeled_count = 0
        each.consistency.update(dict.fromkeys(names, 0.0))
    assert cell.to_json() == config.to_json()


def test_over_seeds_keeps_the_mean_and_resamples_runs():
    # Three runs without any spread over faces: what varies is the runs alone.
    values = np.repeat([[0.1], [0.2], [0.6]], 2001, axis=1)
    found = label_efficiency_summary.over_seeds(values)
    assert found[0] == pytest.approx(0.3)
    # All three draws alike has probability 1 / 27 each: the extremes are single runs.
    assert (found[1:].min(), found[1:].max()) == pytest.approx((0.1, 0.6))
    assert found[1:].mean() == pytest.approx(0.3, abs=0.01)


def test_gains_are_paired_by_seed_and_shares_of_the_gap_follow():
    """Runs differ widely from seed to seed, and always by the same between scorers: the gain is sure."""
    better = {"none": 0.0, "pairwise": 0.0, "quadruplet": 0.02, "distillation": 0.06, "linear ranker": 0.01}
    metrics = {
        (scorer, count, seed): {"mean": {"auc": np.full(101, value + more + (0.08 if count == 1000 else 0.0))}}
        for scorer, more in better.items()
        for count in (100, 1000)
        for seed, value in enumerate((0.6, 0.7, 0.8))
    }
    found = label_efficiency_summary.summarize(metrics, (100, 1000), 3)
    assert found["none"]["100"]["auc"]["value"] == pytest.approx(0.7)
    assert found["none"]["100"]["auc"]["low"] < 0.65
    text = label_efficiency_summary.table(found, (100, 1000))
    assert "| gain of distillation | +0.060 [+0.060, +0.060] | +0.060 [+0.060, +0.060] |" in text
    assert "| gain of pairwise | +0.000 [+0.000, +0.000] | +0.000 [+0.000, +0.000] |" in text
    assert (
        "| distillation minus the halfway point to labels alone, all pairs | +0.020 [+0.020, +0.020] |  |" in text
    )  # Of a gap of 0.08.
    assert "| share of the gap closed by quadruplet | 25% |  |" in text  # None is left with the most pairs.
    assert "| quadruplet minus the halfway point to labels alone, all pairs | -0.020 [-0.020, -0.020] |  |" in text
    assert "| distillation minus labels alone, all pairs | -0.020 [-0.020, -0.020] | +0.060 [+0.060, +0.060] |" in text


@pytest.fixture
def brightness_features(monkeypatch):
    """The mean brightness of each image takes the place of the linear ranker's features."""
    features = linear_ranker.baseline_features
    monkeypatch.setattr(features, "imagenet_features", lambda images: images.mean((1, 2, 3))[:, None])


def test_the_linear_ranker_is_fitted_to_the_pairs_that_a_run_draws(config, brightness_features):
    """Its score follows the brightness, up or down as the drawn pairs require."""
    config.data.labeled_count = 8
    split = splits.open_split(config.data, "labeled", "train", count=8, seed=3)
    test = splits.open_split(config.data, "ranked", "test")
    found = linear_ranker.score({(8, 3): config.data}, {"near": {"test": test}}, 1.0)
    means = split.images(range(8)).reshape(8, 2, -1).mean(2)
    brightness = test.faces.stack(test.rows).reshape(len(test), -1).mean(1)
    rising = np.sum((means[:, 1] - means[:, 0]) * split.labels)
    correlation = np.corrcoef(found[8, 3]["near"]["test"], brightness)[0, 1]
    assert correlation == pytest.approx(np.sign(rising), abs=1e-5)


@pytest.fixture
def far(tmp_path):
    """Six ranked pictures of another kind."""
    folder = tmp_path / "far"
    folder.mkdir()
    rng = np.random.default_rng(0)
    names = [f"{index}.png" for index in range(6)]
    for name in names:
        Image.fromarray(rng.integers(256, size=(40, 40, 3), dtype=np.uint8)).save(folder / name)
    (folder / "ranked.csv").write_text("name,rank\n" + "".join(f"{n},{i % 2}\n" for i, n in enumerate(names)))
    return str(folder)


def test_the_experiment_writes_its_results(config, tmp_path, far, brightness_features, shared_run, capsys, monkeypatch):
    """Each run of the grid is the shared one."""
    trained = {}

    def rows(runs, **_):
        trained.update(runs)
        reads = pickle.loads(pickle.dumps([run.read for run in runs.values()]))  # As for another process.
        scored = (read(run.config, str(shared_run[1])) for run, read in zip(runs.values(), reads))
        return {name: {"seconds": 30.0} | row for name, row in zip(runs, scored)}

    monkeypatch.setattr(label_efficiency.grid, "rows", rows)
    config.probe.strength = 1e-2
    config.consistency.distillation_weight = 1.0
    options = {"scorers": ["none", "distillation"], "seeds": 1, "counts": ["1000", "8"], "workers": 1}
    label_efficiency.run(config, workdir=str(tmp_path / "grid"), far=far, **options)
    cells = [("none", "8"), ("distillation", "8"), ("none", "1000"), ("distillation", "1000")]
    assert list(trained) == [f"{scorer}_{count}_0" for scorer, count in cells]
    assert [run.config.data.labeled_count for run in trained.values()] == [8, 8, None, None]
    printed = capsys.readouterr().out
    assert "| share of the gap closed by distillation |" in printed
    assert "4 runs" in printed and "2 minutes" in printed
    with open(tmp_path / "grid/rows.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    linear = [("linear ranker", "8"), ("linear ranker", "1000")]
    assert [(row["scorer"], row["labeled_pairs"]) for row in rows] == cells + linear
    assert all(0 <= float(row[f"{axis}_mean_auc"]) <= 1 for row in rows for axis in ("near", "far"))
    assert 0 <= float(rows[0]["validation_accuracy"]) <= 1
    summary = json.loads((tmp_path / "grid/label_efficiency.json").read_text())
    assert summary["near"]["none"]["8"]["auc"]["value"] == pytest.approx(float(rows[0]["near_mean_auc"]), abs=1e-4)
    assert os.path.getsize(tmp_path / "grid/label_efficiency.webp") > 1000


def test_what_cannot_be_compared_is_reported(config, tmp_path):
    config.consistency.pairwise_weight = 0.0

    def refused(*scorers):
        options = {"workdir": str(tmp_path), "far": None, "seeds": 1, "counts": ["8"], "workers": 1}
        with pytest.raises(ValueError) as error:
            label_efficiency.run(config, scorers=scorers, **options)
        return str(error.value)

    assert (
        refused("none", "pairwise") == "config.consistency.pairwise_weight is 0.0; set it above 0 to compare pairwise"
    )
    assert refused("none", "triplet").startswith("unknown --scorers=triplet; choose from none, pairwise,")
    assert refused("quadruplet").startswith("--scorers must include none")
