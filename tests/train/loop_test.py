"""The loop: resuming, being killed, being asked to stop, and what is not finite."""

import dataclasses
import json
import random
import signal
import time

import numpy as np
import pytest

from blur_jax.data import splits
from blur_jax.runs import checkpoints, run_dir
from blur_jax.train import loop
from blur_jax.train import start as run_start
from tests.helpers import runs


@pytest.fixture
def long_config(config):
    """Long enough to be killed in the middle."""
    config.steps, config.checkpoint_every, config.log_every, config.ema_decay = 40, 4, 2, 0.9
    # A teacher is part of the state.
    config.model.linear_probe_strength, config.consistency.distillation_weight = 1.0, 1.0
    return config


def wait_for_row(workdir, count, process):
    process.wait_until(lambda: len(run_dir.read_history(workdir)) >= count or process.poll() is not None)


def test_killed_at_random_moments_a_run_ends_as_if_nothing_had_happened(long_config, tmp_path):
    runs.run(long_config, tmp_path / "straight")
    rng, kills = random.Random(0), 0
    for _ in range(4):
        rows = len(run_dir.read_history(tmp_path / "killed"))
        (process,) = runs.start(long_config, tmp_path / "killed")
        wait_for_row(tmp_path / "killed", rows + rng.randint(1, 6), process)
        time.sleep(rng.uniform(0, 0.05))
        process.kill()
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
    assert kills >= 3
    runs.run(long_config, tmp_path / "killed")
    runs.assert_states_equal(*(runs.last_state(long_config, tmp_path / name) for name in ("straight", "killed")))
    # The record has each row once, with the same metrics.
    straight, killed = (run_dir.read_history(tmp_path / name) for name in ("straight", "killed"))
    assert [row["step"] for row in straight] == [row["step"] for row in killed]
    assert straight == killed


@pytest.mark.parametrize(("sent", "name"), [(signal.SIGTERM, "SIGTERM"), (signal.SIGINT, "Ctrl-C")])
def test_a_run_that_is_asked_to_stop_saves(long_config, tmp_path, sent, name):
    long_config.steps, long_config.checkpoint_every = 2000, 1000
    (process,) = runs.start(long_config, tmp_path)
    wait_for_row(tmp_path, 3, process)
    process.send_signal(sent)
    output = runs.finish([process])
    saved = checkpoints.latest_step(tmp_path)
    assert 0 < saved < 1000
    assert f"stopped by {name} and saved at step {saved}; rerun the command to resume" in output
    assert ("press Ctrl-C again to stop immediately" in output) == (name == "Ctrl-C")
    assert "Traceback" not in output


def test_ctrl_c_again_ends_a_run_at_once(long_config, tmp_path):
    long_config.steps, long_config.checkpoint_every = 2000, 1000
    (process,) = runs.start(long_config, tmp_path, do=("save slowly", "train"))
    wait_for_row(tmp_path, 3, process)
    process.send_signal(signal.SIGINT)
    process.wait_until(lambda: "Ctrl-C again" in process.text("err"))
    process.send_signal(signal.SIGINT)
    output = "".join(process.communicate(timeout=20))
    assert process.returncode == -signal.SIGINT
    assert "Traceback" not in output
    assert checkpoints.latest_step(tmp_path) is None


@pytest.mark.parametrize("at", [2, 3])
def test_sigterm_changes_neither_the_record_nor_the_best_checkpoint(config, tmp_path, monkeypatch, at):
    """At a step where validation is due, too: it must not be skipped for good; and in the middle of a row."""
    config.log_every = 4
    assert loop.train(config, str(tmp_path / "straight"))
    with monkeypatch.context() as patch:
        runs.sigterm_at(patch, at)
        assert not loop.train(config, str(tmp_path / "stopped"))
    assert checkpoints.latest_step(tmp_path / "stopped") == at
    assert loop.train(config, str(tmp_path / "stopped"))
    straight, stopped = (run_dir.read_history(tmp_path / name) for name in ("straight", "stopped"))
    assert straight == stopped
    best = [checkpoints.find(tmp_path / name) for name in ("straight", "stopped")]
    assert best[0].step == best[1].step
    assert best[0].validation_accuracy == best[1].validation_accuracy


def test_sigterm_in_the_last_step_still_validates(config, tmp_path, monkeypatch):
    """Though neither logging nor validation is due at that step by its number."""
    config.steps, config.checkpoint_every, config.log_every = 5, 2, 3
    runs.sigterm_at(monkeypatch, 5)
    assert not loop.train(config, str(tmp_path))  # What follows a run, such as its evaluation, takes time, too.
    assert loop.train(config, str(tmp_path))
    rows = run_dir.read_history(tmp_path)
    assert [row["step"] for row in rows if "loss" in row] == [3, 5]
    assert [row["step"] for row in rows if "validation_accuracy" in row] == [2, 4, 5]


def test_a_run_in_a_bucket_appends_to_no_file(config, tmp_path, monkeypatch):
    """The disk stands in for the bucket: no lock, no TensorBoard, and a history that is written as a whole."""
    monkeypatch.setattr(run_dir, "is_local", lambda path: False)
    with monkeypatch.context() as patch:
        runs.sigterm_at(patch, 3)
        assert not loop.train(config, str(tmp_path))
    assert loop.train(config, str(tmp_path))
    assert [row["step"] for row in run_dir.read_history(tmp_path) if "loss" in row] == [1, 2, 3, 4, 5, 6]
    assert not {".lock", "tensorboard"} & {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize("before", [True, False])
def test_checkpoints_that_change_while_a_run_starts_are_noticed(config, tmp_path, monkeypatch, before):
    """They are there, or not, when the run is opened, and the reverse when its directory is claimed."""
    if not before:
        loop.train(config, str(tmp_path))
        monkeypatch.setattr(checkpoints, "latest_step", lambda _: None)
    else:
        monkeypatch.setattr(checkpoints, "latest_step", lambda _: 4)
        monkeypatch.setattr(checkpoints, "newest_config", lambda _: json.loads(config.to_json()))
    with pytest.raises(ValueError, match="changed while the run was starting"):
        loop.train(config, str(tmp_path))


def test_a_run_goes_on_from_the_newest_checkpoint_that_is_whole(config, tmp_path, monkeypatch, capsys):
    assert loop.train(config, str(tmp_path / "straight"))
    with monkeypatch.context() as patch:
        runs.sigterm_at(patch, 5)
        loop.train(config, str(tmp_path / "damaged"))
    for path in (tmp_path / "damaged" / "checkpoints" / "5" / "params").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:9])
    assert loop.train(config, str(tmp_path / "damaged"))
    output = capsys.readouterr()
    assert "moved to 5.damaged, resuming from step 4" in output.err
    assert "resuming from step 4" in output.out
    runs.assert_states_equal(*(runs.last_state(config, tmp_path / name) for name in ("straight", "damaged")))


def test_without_config_json_the_checkpoint_says_whose_run_it_is(own_run):
    config, folder = own_run
    (folder / "config.json").unlink()
    config.seed = 5
    with pytest.raises(ValueError, match="config.seed is 0 there but 5 here"):
        loop.train(config, str(folder))


def test_a_run_does_not_go_on_with_other_data(config, tmp_path, monkeypatch):
    """The hash of the sources, which is in the config, does not see what happened to the prepared data since."""
    with monkeypatch.context() as patch:
        runs.sigterm_at(patch, 3)
        loop.train(config, str(tmp_path / "run"))
    open_pairs = run_start.open_pairs
    rows = open_pairs(config).labeled.rows[::-1]
    monkeypatch.setattr(
        run_start,
        "open_pairs",
        lambda config: (p := open_pairs(config))._replace(labeled=dataclasses.replace(p.labeled, rows=rows)),
    )
    with pytest.raises(ValueError, match="prepared data differ from the data this run started with"):
        loop.train(config, str(tmp_path / "run"))


def test_a_finished_run_says_so_and_changes_nothing(shared_run, own_run, capsys):
    config, folder = own_run
    assert loop.train(config, str(folder))
    assert "has completed its 6 steps" in capsys.readouterr().out
    runs.assert_states_equal(*(runs.last_state(*run) for run in (shared_run, own_run)))


def test_the_record_of_a_run(shared_run):
    config, folder = shared_run
    rows = run_dir.read_history(folder)
    losses = [row for row in rows if "loss" in row]
    assert [row["step"] for row in losses] == [1, 2, 3, 4, 5, 6]
    assert [row["step"] for row in rows if "validation_accuracy" in row] == [2, 4, 6]
    assert {"loss", "ranking", "quadruplet", "confident", "train_accuracy", "gradient_norm"} <= set(losses[0])
    assert list(folder.glob("tensorboard/events*"))
    assert json.loads((folder / "config.json").read_text()) == json.loads(config.to_json())
    # Warm-up over 2 steps: half of the weight at the first.
    assert losses[0]["loss"] == pytest.approx(losses[0]["ranking"] + 0.5 * losses[0]["quadruplet"], abs=1e-6)
    assert losses[1]["loss"] == pytest.approx(losses[1]["ranking"] + losses[1]["quadruplet"], abs=1e-6)


def test_labels_alone_need_no_unlabeled_data(config, tmp_path, monkeypatch):
    config.consistency.quadruplet_weight = 0.0
    opened = []
    open_split = splits.open_split
    monkeypatch.setattr(
        splits, "open_split", lambda c, kind, *a, **k: opened.append(kind) or open_split(c, kind, *a, **k)
    )
    loop.train(config, str(tmp_path))
    assert set(opened) == {"labeled"}
    assert "quadruplet" not in run_dir.read_history(tmp_path)[0]


def test_training_learns(config, tmp_path):
    config.steps, config.batch.labeled, config.checkpoint_every = 40, 24, 40
    loop.train(config, str(tmp_path))
    losses = [row["ranking"] for row in run_dir.read_history(tmp_path) if "ranking" in row]
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:5])


def test_the_teacher_is_what_training_started_from(config, tmp_path):
    config.model.linear_probe_strength, config.consistency.distillation_weight = 1.0, 1.0
    loop.train(config, str(tmp_path))
    state = runs.last_state(config, tmp_path)
    pairs = run_start.open_pairs(config)
    start = run_start.initial_state(config, *run_start.build(config), pairs.labeled)
    runs.assert_states_equal(state.teacher_params, start.params)
    assert not np.array_equal(state.params["head"]["kernel"], start.params["head"]["kernel"])


def test_a_typo_leaves_no_claim_behind(config, tmp_path):
    config.data.labeled_split = "trian"
    with pytest.raises(ValueError, match="trian"):
        loop.train(config, str(tmp_path / "run"))
    config.data.labeled_split = "train"
    assert loop.train(config, str(tmp_path / "run"))


def test_a_run_that_was_stopped_before_its_first_checkpoint_gives_way(config, tmp_path):
    other = config.copy_and_resolve_references()
    other.seed = 5
    with run_dir.claim(other, tmp_path):
        pass
    assert loop.train(config, str(tmp_path))
    assert json.loads((tmp_path / "config.json").read_text())["seed"] == 0


def test_a_run_resumes_with_other_logging_and_evaluation(config, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        runs.sigterm_at(patch, 3)
        loop.train(config, str(tmp_path))
    config.log_every, config.keep, config.evaluation.batch_size, config.data.cache_mb = 3, 5, 8, 0
    assert loop.train(config, str(tmp_path))


def test_a_run_may_start_from_a_fitted_head(config, tmp_path):
    """The head orders the pairs it was fitted to before any training: one step of next to no size shows it."""
    config.model.linear_probe_strength, config.steps, config.checkpoint_every = 1.0, 1, 1
    config.optimizer.learning_rate, config.optimizer.warmup_steps = 1e-9, 0
    loop.train(config, str(tmp_path))
    head = runs.last_state(config, tmp_path).params["head"]
    random_head = runs.initial_params(config)["head"]
    assert np.abs(head["kernel"]).max() > 5 * np.abs(random_head["kernel"]).max()
    assert run_dir.read_history(tmp_path)[0]["train_accuracy"] >= 0.75


def test_a_left_out_face_is_in_no_pair_of_either_kind(config):
    names = np.unique(splits.open_split(config.data, "unlabeled", "train").names)
    person = names[0].split("/")[0] + "/"
    config.data.leave_out = person
    pairs = run_start.open_pairs(config)
    for split in (pairs.labeled, pairs.unlabeled):
        assert len(split)
        assert not any(name.startswith(person) for name in np.ravel(split.names))
