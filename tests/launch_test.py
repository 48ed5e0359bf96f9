"""The command line as a user meets it.

Most cases are forked processes (tests/helpers/forked.py), of 2 to 5 s of CPU where they train.
"""

import json
import pathlib
import signal
import subprocess
import sys

import pytest

from blur_jax.runs import run_dir
from tests.helpers import forked, releases
from tests.helpers.commands import launch, launch_afresh
from tests.helpers.paths import ROOT


def test_the_main_job_end_to_end(arguments, tmp_path):
    """The first command in an interpreter of its own."""
    workdir = tmp_path / "run"
    code, out, err = launch_afresh(*arguments, f"--workdir={workdir}")
    assert code == 0, err
    for name in ("checkpoints/", "report.html"):
        assert f"{workdir}/{name}" in out
    metrics = json.loads((workdir / "metrics.json").read_text())["splits"]["test"]
    assert f"spearman {metrics['spearman']['value']:.3f}" in out
    assert "step 6/6" in err
    assert "images/s" in err
    # The same command again finds nothing to do, and says so.
    code, out, _ = launch(*arguments, f"--workdir={workdir}")
    assert code == 0
    assert "has completed its 6 steps" in out
    # And evaluation alone, on the data that the run knows, gives the same metrics.
    (workdir / "metrics.json").unlink()
    code, out, err = launch(f"--workdir={workdir}", "--mode=evaluate")
    assert code == 0, err
    assert json.loads((workdir / "metrics.json").read_text())["splits"]["test"] == metrics
    # Another config may not take over its folder.
    code, out, err = launch(*arguments, f"--workdir={workdir}", "--config.seed=5")
    assert code == 1
    assert "config.seed is 0 there but 5 here" in err
    assert "Traceback" not in err


def test_a_dry_run_says_what_a_run_takes_and_writes_none(arguments, tmp_path):
    for flags in ([], [f"--workdir={tmp_path}/run"]):
        code, out, err = launch(*arguments, "--mode=dry_run", *flags)
        assert code == 0, err
        assert "parameters  71,553 trained, 0 frozen" in out
        assert "run         6 of 6 steps left" in out
        assert not list(tmp_path.iterdir())
    code, _, err = launch(*arguments, "--mode=dry_run", "--config.batch.labeled=70000")
    assert code == 1
    assert err.startswith("launch.py: config.batch.labeled=70000 must be")


def files(folder):
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_one_checkpoint_is_evaluated_into_the_run_and_not_into_orbax_folder(own_run):
    _, trained = own_run
    before = files(trained / "checkpoints")
    code, out, err = launch(f"--workdir={trained}/checkpoints/4", "--mode=evaluate")
    assert code == 0, err
    assert f"{trained}/checkpoints/4\n" in out
    assert json.loads((trained / "metrics.json").read_text())["step"] == 4
    assert files(trained / "checkpoints") == before


def test_results_on_other_data_go_elsewhere(shared_run, tmp_path):
    _, trained = shared_run
    before = files(trained)
    other = ["--mode=evaluate", f"--workdir={trained}", "--config.data.name=ssranking_face_blur"]
    other += [f"--config.data.manual_dir={releases.make(tmp_path)}", f"--config.data.dir={tmp_path}/data"]
    code, _, err = launch(*other)
    assert code == 1
    assert "--output=DIR" in err
    assert not (tmp_path / "data").exists()  # It is said before anything is prepared.
    code, out, err = launch(*other, f"--output={tmp_path}/results")
    assert code == 0, err
    assert f"{tmp_path}/results/report.html" in out
    assert set(json.loads((tmp_path / "results" / "metrics.json").read_text())["splits"]) == {"test1"}
    assert files(trained) == before


def test_a_failed_start_leaves_the_directory_free(arguments, tmp_path):
    folder = tmp_path / "run"
    code, _, err = launch(*arguments, "--config.model.backbone=resnet34", f"--workdir={folder}")
    assert code == 1
    assert "resnet34" in err
    assert not folder.exists()


def test_ctrl_c_while_data_are_prepared_is_one_sentence(tmp_path):
    process = forked.Program("launch.py", f"--config.data.dir={tmp_path}/data", f"--workdir={tmp_path}/run")
    process.wait_until(lambda: list(tmp_path.glob("data/demo_face_blur/*/*")))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.endswith("\nlaunch.py: interrupted; run the same command again to continue\n")
    assert "Traceback" not in err
    assert not (tmp_path / "run").exists()


def test_a_run_that_was_stopped_has_a_status_of_its_own(arguments, tmp_path):
    """So that a scheduler can tell it from one that is done, and from one that failed."""
    arguments = [*arguments, "--config.steps=3000", "--config.checkpoint_every=1000", f"--workdir={tmp_path}/run"]
    process = forked.Program("launch.py", *arguments)
    process.wait_until(lambda: len(run_dir.read_history(tmp_path / "run")) > 2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 75, err
    assert "stopped by Ctrl-C and saved at step" in out
    assert "Traceback" not in err
    assert "metric" not in err  # What Orbax says of a checkpoint without validation.
    assert not (tmp_path / "run" / "metrics.json").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "--workdir is missing"),
        (["--workdir=x", "--output=y"], "--output is only for --mode=evaluate"),
        (["--mode=dry_run", "--output=y"], "--output is only for --mode=evaluate"),
        (["--workdir=x", "--config.step=5"], "no field step; did you mean steps?"),
        (["--workdir=x", "--mode=evaluate"], "no checkpoint here"),
        (["--workdir=x", "--config.steps=many"], "steps"),
        (["--workdir=x", "--config.model.depth=5"], "depth"),
        (["--workdir=x", "--config=nowhere.py"], "nowhere.py"),
        (["--workdir=x", "--mode=tran"], "tran"),
        (["--workdir=x", "steps=5"], "steps=5"),
        (["--workdir=x", "--config.data.name=faces"], "unknown data set 'faces'"),
        (["--workdir=http://host/run"], "http:// is not supported"),
    ],
)
def test_mistakes_on_the_command_line_get_one_clear_sentence(tmp_path, flags, message):
    flags = [flag.replace("=x", f"={tmp_path}/x") for flag in flags]
    code, _, err = launch(*flags)
    assert code in (1, 2)
    assert message in err
    assert err.count("\n") <= 2
    assert "Traceback" not in err


def test_an_unwritable_workdir_is_named(arguments, tmp_path):
    (tmp_path / "file").write_text("in the way")
    code, _, err = launch(*arguments, f"--workdir={tmp_path}/file/run")
    assert code == 1
    assert f"{tmp_path}/file" in err
    assert "Traceback" not in err


def test_help_names_every_flag():
    code, out, _ = launch("--help")
    assert code == 0
    for flag in ("--config", "--workdir", "--mode", "--output", "--[no]distributed"):
        assert flag in out
    assert "configs/default.py documents every field" in out


def test_errors_of_distributed_initialization_are_not_swallowed(arguments, tmp_path):
    code, _, err = launch(*arguments, f"--workdir={tmp_path}/run", "--distributed")
    assert code != 0
    assert "coordinator_address" in err
    assert not (tmp_path / "run").exists()


def test_prepare_is_a_command_of_its_own(tmp_path):
    """In an interpreter of its own."""
    command = [sys.executable, "-m", "tfds_builders.prepare", "--dataset=ssranking_face_blur", "--image_size=32"]
    command += [f"--manual_dir={releases.make(tmp_path)}", f"--data_dir={tmp_path}/data"]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
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


def test_another_size_and_changed_lists_are_prepared_beside_the_first(release_arguments, tmp_path):
    """And each run knows which data are its own: it never resumes on others."""
    code, _, err = launch(*release_arguments, f"--workdir={tmp_path}/first")
    assert code == 0, err
    first = json.loads((tmp_path / "first" / "config.json").read_text())["data"]["sources"]
    code, _, err = launch(*release_arguments, "--config.data.image_size=48", f"--workdir={tmp_path}/larger")
    assert code == 0, err
    unlabeled = tmp_path / "release" / releases.UNSUPERVISED
    unlabeled.write_text(unlabeled.read_text() + releases.pair("C", "D") + "\n")
    code, _, err = launch(*release_arguments, f"--workdir={tmp_path}/first")
    assert code == 1
    assert f"config.data.sources is '{first}' there" in err
    code, _, err = launch(*release_arguments, f"--workdir={tmp_path}/second")
    assert code == 0, err
    assert len(list((tmp_path / "data" / "ssranking_face_blur").glob("labeled-*"))) == 3


def test_prepare_refuses_what_makes_no_sense(tmp_path):
    code, _, err = forked.run(
        *("-m", "tfds_builders.prepare", "--dataset=ssranking_face_blur", f"--data_dir={tmp_path}")
    )
    assert code == 1
    assert "manual_dir" in err
    assert "Traceback" not in err
