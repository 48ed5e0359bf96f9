import importlib
import json
import pathlib
import re
import runpy
import subprocess
import sys
import warnings
from unittest import mock

import numpy as np
import pytest
from absl.testing import flagsaver

from blur_jax.runs import run_dir
from blur_jax.train import config_check, loop
from configs import default
from experiments import configs, grid, tables
from tests.helpers.configs import flattened, shrink
from tests.helpers.paths import ROOT

CONFIGS = sorted(path.stem for path in pathlib.Path(configs.__file__).parent.glob("*.py") if path.stem != "__init__")


def call(name, *arguments):
    """Runs a command in this process; returns what it would print on exit, None where all went well."""
    with (
        flagsaver.flagsaver(),
        mock.patch.object(sys, "argv", [f"{name}.py", *arguments]),
        warnings.catch_warnings(),
        pytest.raises(SystemExit) as stopped,
    ):
        warnings.simplefilter("ignore", RuntimeWarning)  # The module may have been imported before.
        warnings.simplefilter("ignore", DeprecationWarning)  # Of ml_collections, which loads a config file the old way.
        runpy.run_module(f"experiments.{name}", run_name="__main__")
    return stopped.value.code


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("label_efficiency", ["--config.data.dir=nowhere"], "no prepared|prepare"),
        ("label_efficiency", ["--config.consistency.pairwise_weight=0"], "pairwise_weight is 0.0; set it above 0"),
        ("leave_event_out", ["--config.data.dir=nowhere", "--least_pairs=3"], "no prepared|prepare"),
        ("baselines", ["--config.data.dir=nowhere", "--run=x"], "--run must be NAME=PATH"),
        ("leave_event_out", ["--config.data.name=demo_face_blur", "--config.data.manual_dir=x"], "manual_dir"),
        ("robustness", ["--run=nowhere", "--splits=a,b", "--baseline=Tenengrad"], "nowhere"),
        ("calibration", ["--run=x=nowhere", "--data_dir=nowhere", "--far=x", "--resamples=3"], "nowhere"),
        ("readme_picture", ["--run=nowhere"], "nowhere"),
        ("leave_event_out", ["--config.data.nothing=1"], r"nothing.* \(fields and types: configs/default.py\)"),
    ],
)
def test_an_error_of_the_user_is_one_sentence(name, arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = call(name, *arguments)
    assert re.match(f"{name}: .*({message})", said) and "\n" not in said


@pytest.mark.parametrize(
    ("name", "argument", "message"),
    [
        ("label_efficiency", "more", "unknown argument 'more'"),
        ("baselines", "--config.data.image_size=large", "image_size=large: invalid literal for int"),
        ("robustness", "--baseline=nobody", "--baseline=nobody: value should be one of <variance of the Laplacian"),
        ("calibration", "--resamples=5", "--run must have a value"),
    ],
)
def test_wrong_arguments_are_refused(name, argument, message, capsys):
    assert call(name, argument, *["--run=x"] * (name == "robustness")) == 1
    assert message in capsys.readouterr().err


def test_importing_experiments_has_no_side_effect_and_frozen_configs_follow_no_current_recipe():
    """Each config in a child of one process, which has imported none; then everything in that process."""
    names = [path.stem for path in pathlib.Path(grid.__file__).parent.glob("*.py") if path.stem != "__init__"]
    code = f"""
import importlib, os, sys
import ml_collections.config_flags
for name in {CONFIGS}:
    if os.fork() == 0:
        importlib.import_module("experiments.configs." + name).get_config()
        print(name, [name for name in sys.modules if name.startswith("configs.")], flush=True)
        os._exit(0)
    os.wait()
from absl import flags
import absl.logging, absl.app, grain, orbax.checkpoint, tensorflow_datasets
known = set(flags.FLAGS)
for name in {names}:
    importlib.import_module("experiments." + name)
assert not set(flags.FLAGS) - known, set(flags.FLAGS) - known
from jax._src import xla_bridge
assert not xla_bridge.backends_are_initialized()
assert {{name for name in sys.modules if name.startswith("configs.")}} <= {{"configs.default"}}
"""
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    assert found.stdout.splitlines() == [f"{name} ['configs.default']" for name in CONFIGS]


def test_a_table_says_what_made_it(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/work/experiments/some.py", "--a=b c"])
    table = tables.markdown(["scorer", "AUC"], [["ours", "0.9"], ["size", "0.5"]])
    assert table == "| scorer | AUC |\n| --- | --- |\n| ours | 0.9 |\n| size | 0.5 |"
    with pytest.raises(ValueError, match="a row has 3 cells but the table has 2 columns: ours"):
        tables.markdown(["scorer", "AUC"], [["ours", "0.9", "0.8"]])
    tables.publish(str(tmp_path / "new"), "some", {"First": table, "Second": table}, note="2 runs")
    text = (tmp_path / "new" / "some.md").read_text()
    assert text == capsys.readouterr().out
    lines = [line for line in text.splitlines() if line.startswith("`python -m experiments.some '--a=b c'`; ")]
    assert len(lines) == 2
    assert re.search(r"\d x cpu, \d+ cores.* jax \d+\.\d+.* 20\d\d-\d\d-\d\d; 2 runs$", lines[0])


def read_steps(config, folder):
    """A row of a run, for the test below."""
    return {"steps": [row["step"] for row in run_dir.read_history(folder) if "loss" in row], "seed": config.seed}


def test_runs_are_made_once_and_never_taken_for_others(config, tmp_path, monkeypatch):
    config.steps = config.checkpoint_every = 2

    def made():
        return grid.rows({"a": grid.Run(config, read_steps)}, workdir=str(tmp_path))["a"]

    row = made()
    assert row["steps"] == [1, 2] and row["seed"] == 0 and row["seconds"] > 0

    (tmp_path / "a" / grid.ROW_FILE).write_text(json.dumps(row | {"seed": "kept"}))
    assert made()["seed"] == "kept"
    config.seed = 1
    with pytest.raises(
        ValueError, match="a contains a run with a different config .*config.seed is 0 there but 1 here"
    ):
        made()


@pytest.mark.parametrize("name", CONFIGS)
def test_a_frozen_config_passes_the_checks(name):
    config = importlib.import_module(f"experiments.configs.{name}").get_config()
    assert flattened(config).keys() == flattened(default.get_config()).keys()
    config_check.check_config(config)


@pytest.mark.parametrize("name", [name for name in CONFIGS if name != "baselines"])  # Which trains nothing.
def test_a_frozen_config_trains_when_shrunk(name, demo_dir, tmp_path):
    config = shrink(importlib.import_module(f"experiments.configs.{name}").get_config(), demo_dir)
    config.steps = config.checkpoint_every = 2
    config.optimizer.warmup_steps = 1
    config.model.update(backbone="small", blocks=None, pool_center=False, pretrained=False, frozen_blocks=0)
    assert loop.train(config, str(tmp_path))
    losses = [row["loss"] for row in run_dir.read_history(tmp_path) if "loss" in row]
    assert len(losses) == 2 and np.isfinite(losses).all()
