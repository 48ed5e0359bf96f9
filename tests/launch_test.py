"""The command line as a user meets it."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent


def launch(env, *arguments):
    """Runs launch.py; returns (exit code, standard output, standard error)."""
    process = subprocess.run(
        [sys.executable, "launch.py", *arguments], cwd=ROOT, env=env, capture_output=True, text=True, timeout=240
    )
    return process.returncode, process.stdout, process.stderr


@pytest.fixture
def arguments(config):
    """The default config shrunk, as flags."""
    config.data.dir = str(config.data.dir)
    from conftest import flattened

    from configs import default

    before = flattened(default.get_config())
    after = flattened(config)
    return [f"--config.{name}={value}" for name, value in after.items() if before[name] != value]


def test_the_main_job_end_to_end(arguments, subprocess_env, tmp_path):
    workdir = tmp_path / "run"
    code, out, err = launch(subprocess_env, *arguments, f"--workdir={workdir}")
    assert code == 0, err
    for name in ("checkpoints/", "report.html"):
        assert f"{workdir}/{name}" in out
    metrics = json.loads((workdir / "metrics.json").read_text())["splits"]["test"]
    assert f"spearman {metrics['spearman']['value']:.3f}" in out
    assert "step 6/6" in err
    assert "images/s" in err
    # The same command again finds nothing to do, and says so.
    code, out, _ = launch(subprocess_env, *arguments, f"--workdir={workdir}")
    assert code == 0
    assert "has made its 6 steps" in out
    # And evaluation alone gives the same metrics.
    (workdir / "metrics.json").unlink()
    code, out, err = launch(subprocess_env, *arguments, f"--workdir={workdir}", "--mode=evaluate")
    assert code == 0, err
    assert json.loads((workdir / "metrics.json").read_text())["splits"]["test"] == metrics
    # Another config may not take over its folder.
    code, out, err = launch(subprocess_env, *arguments, f"--workdir={workdir}", "--config.seed=5")
    assert code == 1
    assert "config.seed is 0 there, 5 here" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "--workdir"),
        (["--workdir=x", "--config.stepz=5"], "stepz"),
        (["--workdir=x", "--config.steps=many"], "steps"),
        (["--workdir=x", "--config.model.depth=5"], "depth"),
        (["--workdir=x", "--config=nowhere.py"], "nowhere.py"),
        (["--workdir=x", "--mode=tran"], "tran"),
        (["--workdir=x", "steps=5"], "steps=5"),
        (["--workdir=x", "--config.data.name=faces"], "no data set 'faces'"),
        (["--workdir=http://host/run"], "http:// is not supported"),
    ],
)
def test_mistakes_on_the_command_line_get_one_clear_sentence(subprocess_env, tmp_path, flags, message):
    flags = [flag.replace("=x", f"={tmp_path}/x") for flag in flags]
    code, _, err = launch(subprocess_env, *flags)
    assert code != 0
    assert message in err
    assert "Traceback" not in err


def test_an_unwritable_workdir_is_named(arguments, subprocess_env, tmp_path):
    (tmp_path / "file").write_text("in the way")
    code, _, err = launch(subprocess_env, *arguments, f"--workdir={tmp_path}/file/run")
    assert code == 1
    assert f"{tmp_path}/file" in err
    assert "Traceback" not in err


def test_help_names_every_flag(subprocess_env):
    _, out, err = launch(subprocess_env, "--help")
    for flag in ("--config", "--workdir", "--mode", "--[no]distributed"):
        assert flag in out + err


def test_errors_of_distributed_initialisation_are_not_swallowed(arguments, subprocess_env, tmp_path):
    code, _, err = launch(subprocess_env, *arguments, f"--workdir={tmp_path}/run", "--distributed")
    assert code != 0
    assert "coordinator_address" in err
    assert not (tmp_path / "run").exists()


def test_prepare_is_a_command_of_its_own(subprocess_env, demo_dir):
    command = [sys.executable, "-m", "tfds_builders.prepare", f"--data_dir={demo_dir}", "--image_size=32"]
    process = subprocess.run(command, cwd=ROOT, env=subprocess_env, capture_output=True, text=True, timeout=120)
    assert process.returncode == 0, process.stderr
    folders = process.stdout.split()
    assert [os.path.basename(os.path.dirname(folder)).split("-")[:2] for folder in folders] == [
        [kind, "32px"] for kind in ("faces", "labeled", "unlabeled", "ranked")
    ]


def test_the_run_records_what_its_data_were_made_of(arguments, subprocess_env, tmp_path):
    """So that a run never resumes on other data."""
    workdir = tmp_path / "run"
    code, _, err = launch(subprocess_env, *arguments, f"--workdir={workdir}")
    assert code == 0, err
    sources = json.loads((workdir / "config.json").read_text())["data"]["sources"]
    assert len(sources) == 8


def test_prepare_refuses_what_makes_no_sense(subprocess_env, tmp_path):
    command = [sys.executable, "-m", "tfds_builders.prepare", "--dataset=ssranking_face_blur", f"--data_dir={tmp_path}"]
    process = subprocess.run(command, cwd=ROOT, env=subprocess_env, capture_output=True, text=True, timeout=120)
    assert process.returncode == 1
    assert "manual_dir" in process.stderr
    assert "Traceback" not in process.stderr
