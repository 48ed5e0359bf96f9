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
    arguments += ["--config.steps=2"]
    code, out, err = launch_afresh(*arguments, f"--workdir={workdir}")
    assert code == 0, err
    for name in ("checkpoints/", "report.html"):
        assert f"{workdir}/{name}" in out
    metrics = json.loads((workdir / "metrics.json").read_text())["splits"]["test"]
    assert f"spearman {metrics['spearman']['value']:.3f}" in out
    assert "step 2/2" in err
    assert "images/s" in err
    # The same command again finds nothing to do, and says so.
    code, out, _ = launch(*arguments, f"--workdir={workdir}")
    assert code == 0
    assert "is complete (2 steps)" in out
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
    code, out, err = launch(*arguments, "--mode=dry_run", f"--workdir={tmp_path}/run")
    assert code == 0, err
    assert "parameters  71,553 trained, 0 frozen" in out
    assert "run         6 of 6 steps left" in out
    code, _, err = launch(*arguments, "--mode=dry_run", "--config.batch.labeled=70000")  # And no --workdir.
    assert code == 1
    assert err.startswith("launch.py: config.batch.labeled=70000 must be")
    assert not list(tmp_path.iterdir())


def files(folder):
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_one_checkpoint_is_evaluated_into_the_run_and_not_into_orbax_folder(own_run):
    _, trained = own_run
    before = files(trained / "checkpoints")
    code, out, err = launch(f"--workdir={trained}/checkpoints/4", "--mode=evaluate")
    assert code == 0, err
    assert f"{trained}/checkpoints/4\n" in out and f"{trained}/report.html" in out
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
    flags = ["--config.steps=3000", "--config.checkpoint_every=1000", "--config.consistency.quadruplet_weight=0.0"]
    process = forked.Program("launch.py", *arguments, *flags, f"--workdir={tmp_path}/run")
    process.wait_until(lambda: len(run_dir.read_history(tmp_path / "run")) > 2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 75, err
    assert "stopped by Ctrl-C and saved at step" in out
    assert "Traceback" not in err
    assert "metric" not in err  # What Orbax says of a checkpoint without validation.
    assert not (tmp_path / "run" / "metrics.json").exists()


PEER = ["--coordinator=a:1", "--processes=2", "--process=2"]


@pytest.mark.parametrize(
    ("flags", "status", "message"),
    [
        ([], 2, "--workdir is missing"),
        (["--mode=dry_run", "--output=y"], 2, "--output is only for --mode=evaluate"),
        (["--workdir=x", "--mode=evaluate"], 1, "no checkpoint here"),
        (["--workdir=x", "--config.model.depth=5"], 2, "depth"),
        (["--workdir=x", "--config=nowhere.py"], 2, "nowhere.py"),
        (["--workdir=x", "steps=5"], 2, "steps=5"),
        (["--workdir=x", "--config.model.backbone=resnet34"], 1, "resnet34"),
        (["--workdir=x", "--config.data.name=faces"], 1, "unknown data set 'faces'"),
        (["--workdir=x", "--distributed", "--processes=2"], 2, "must be passed together"),
        (["--workdir=x", "--coordinator=a:1", "--processes=2", "--process=0"], 2, "and with --distributed"),
        (["--workdir=x", "--distributed", *PEER], 2, "--process=2 must be below"),
        (["--workdir=x", "--distributed"], 1, "pass --coordinator, --processes and --process"),
        (["--workdir=http://host/run"], 1, "http:// is not supported"),
        (["--workdir=x", "--topology=v5e:2x2"], 2, "--topology is only for --mode=dry_run"),
        (["--mode=dry_run", "--workdir=x", "--topology=v5e:2x2"], 2, "without --workdir"),
        (["--mode=dry_run", "--topology=v5e:2"], 1, "a slice of v5e has 2 dimensions, as in v5e:4x8"),
    ],
)
def test_mistakes_on_the_command_line_get_one_clear_sentence(tmp_path, flags, status, message):
    code, _, err = launch(*(flag.replace("dir=x", f"dir={tmp_path}/x") for flag in flags))
    assert code == status
    assert message in err
    assert err.count("\n") <= 2
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())


def test_an_unwritable_workdir_is_named(arguments, tmp_path):
    (tmp_path / "file").write_text("in the way")
    code, _, err = launch(*arguments, f"--workdir={tmp_path}/file/run")
    assert code == 1
    assert f"{tmp_path}/file" in err
    assert "Traceback" not in err


def test_help_names_every_flag():
    code, out, _ = launch("--help")
    assert code == 0
    assert "configs/default.py documents every field" in out and "--[no]distributed" in out


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


def test_changed_lists_and_another_size_are_prepared_beside_the_first(arguments, tmp_path):
    """And each run knows which data are its own: it never resumes on others."""
    own = ["name=ssranking_face_blur", f"manual_dir={releases.make(tmp_path)}", f"dir={tmp_path}/data", "image_size=32"]
    # Without the hash of the data, which launch.py finds.
    arguments = [flag for flag in arguments if not flag.startswith("--config.data.")]
    arguments += [f"--config.data.{field}" for field in own]
    arguments += ["--config.batch.labeled=2", "--config.batch.unlabeled=2", "--config.steps=1"]
    code, _, err = launch(*arguments, f"--workdir={tmp_path}/first")
    assert code == 0, err
    first = json.loads((tmp_path / "first" / "config.json").read_text())["data"]["sources"]
    unlabeled = tmp_path / "release" / releases.UNSUPERVISED
    unlabeled.write_text(unlabeled.read_text() + releases.pair("C", "D") + "\n")
    code, _, err = launch(*arguments, f"--workdir={tmp_path}/first")
    assert code == 1
    assert f"config.data.sources is '{first}' there" in err and "need a run of their own" in err
    code, _, err = launch(*arguments, "--config.data.image_size=48", f"--workdir={tmp_path}/second")
    assert code == 0, err
    assert len(list((tmp_path / "data" / "ssranking_face_blur").glob("labeled-*"))) == 3
