"""The command line as a user meets it."""

import json
import pathlib
import subprocess
import sys

import pytest

import releases

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
    from configs import default
    from conftest import flattened

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


def test_errors_of_distributed_initialization_are_not_swallowed(arguments, subprocess_env, tmp_path):
    code, _, err = launch(subprocess_env, *arguments, f"--workdir={tmp_path}/run", "--distributed")
    assert code != 0
    assert "coordinator_address" in err
    assert not (tmp_path / "run").exists()


def test_prepare_is_a_command_of_its_own(subprocess_env, tmp_path):
    command = [sys.executable, "-m", "tfds_builders.prepare", "--dataset=ssranking_face_blur", "--image_size=32"]
    command += [f"--manual_dir={releases.make(tmp_path)}", f"--data_dir={tmp_path}/data"]
    process = subprocess.run(command, cwd=ROOT, env=subprocess_env, capture_output=True, text=True, timeout=120)
    assert process.returncode == 0, process.stderr
    folders = [pathlib.Path(folder) for folder in process.stdout.split()]
    assert [folder.parent.name.split("-")[:2] for folder in folders] == [
        [kind, "32px"] for kind in ("faces", "labeled", "unlabeled", "ranked")
    ]


@pytest.fixture
def release_arguments(arguments, tmp_path):
    """A run on lists of one's own, without the data set's hash: launch.py finds it."""
    taken = ("--config.data.", "--config.batch.")
    kept = [argument for argument in arguments if not argument.startswith(taken)]
    places = [f"--config.data.manual_dir={releases.make(tmp_path)}", f"--config.data.dir={tmp_path}/data"]
    sizes = ["--config.data.image_size=32", "--config.batch.labeled=2", "--config.batch.unlabeled=2"]
    return [
        *kept,
        "--config.data.name=ssranking_face_blur",
        *places,
        *sizes,
        "--config.steps=2",
        "--config.optimizer.warmup_steps=1",
    ]


def test_another_size_and_changed_lists_are_prepared_beside_the_first(release_arguments, subprocess_env, tmp_path):
    """And each run knows which data are its own: it never resumes on others."""
    code, _, err = launch(subprocess_env, *release_arguments, f"--workdir={tmp_path}/first")
    assert code == 0, err
    first = json.loads((tmp_path / "first" / "config.json").read_text())["data"]["sources"]
    code, _, err = launch(
        subprocess_env, *release_arguments, "--config.data.image_size=48", f"--workdir={tmp_path}/larger"
    )
    assert code == 0, err
    unlabeled = tmp_path / "release" / releases.UNSUPERVISED
    unlabeled.write_text(unlabeled.read_text() + releases.pair("C", "D") + "\n")
    code, _, err = launch(subprocess_env, *release_arguments, f"--workdir={tmp_path}/first")
    assert code == 1
    assert f"config.data.sources is '{first}' there" in err
    code, _, err = launch(subprocess_env, *release_arguments, f"--workdir={tmp_path}/second")
    assert code == 0, err
    assert len(list((tmp_path / "data" / "ssranking_face_blur").glob("labeled-*"))) == 3


def test_prepare_refuses_what_makes_no_sense(subprocess_env, tmp_path):
    command = [sys.executable, "-m", "tfds_builders.prepare", "--dataset=ssranking_face_blur", f"--data_dir={tmp_path}"]
    process = subprocess.run(command, cwd=ROOT, env=subprocess_env, capture_output=True, text=True, timeout=120)
    assert process.returncode == 1
    assert "manual_dir" in process.stderr
    assert "Traceback" not in process.stderr
