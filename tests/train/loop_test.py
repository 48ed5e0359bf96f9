"""The loop: resuming, being killed, being asked to stop, and what is not finite."""

import dataclasses
import json
import random
import signal
import time
from unittest import mock

import numpy as np
import pytest

from blur_jax.data import splits
from blur_jax.runs import checkpoints, run_dir
from blur_jax.train import loop
from blur_jax.train import start as run_start
from configs import default
from tests.helpers import runs
from tests.helpers.configs import shrink


@pytest.fixture(scope="module")
def long_run(demo_dir, tmp_path_factory):
    """A run that is long enough to be killed in the middle: (its config, its directory). To be read only."""
    config = shrink(default.get_config(), demo_dir)
    config.steps, config.checkpoint_every, config.log_every, config.ema_decay = 20, 4, 2, 0.9
    # A teacher is part of the state.
    config.probe.strength, config.consistency.distillation_weight = 1.0, 1.0
    folder = tmp_path_factory.mktemp("straight")
    assert loop.train(config, str(folder))
    return config, folder


@pytest.fixture
def endless_config(config):
    """Of labeled pairs alone, which is traced in half of the time."""
    config.steps, config.checkpoint_every, config.consistency.quadruplet_weight = 2000, 1000, 0.0
    return config


def wait_for_row(workdir, count, process):
    process.wait_until(lambda: len(run_dir.read_history(workdir)) >= count or process.poll() is not None)


def test_killed_at_random_moments_a_run_ends_as_if_nothing_had_happened(long_run, tmp_path):
    config, straight = long_run
    rng = random.Random(0)
    for kills in (1, 2):
        rows = len(run_dir.read_history(tmp_path))
        (process,) = runs.start(config, tmp_path)
        wait_for_row(tmp_path, rows + rng.randint(2, 4), process)
        time.sleep(rng.uniform(0, 0.05))
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL, kills
    assert loop.train(config, str(tmp_path))
    runs.assert_states_equal(*(runs.last_state(config, folder) for folder in (straight, tmp_path)))
    # The record has each row once, with the same metrics.
    assert run_dir.read_history(straight) == run_dir.read_history(tmp_path)


def test_a_run_that_is_asked_to_stop_saves(endless_config, tmp_path):
    (process,) = runs.start(endless_config, tmp_path)
    wait_for_row(tmp_path, 3, process)
    process.send_signal(signal.SIGTERM)
    output = runs.finish([process])
    saved = checkpoints.latest_step(tmp_path)
    assert 0 < saved < 1000
    assert f"stopped by SIGTERM and saved at step {saved}; rerun the command to resume" in output
    assert "Ctrl-C" not in output and "Traceback" not in output


def test_ctrl_c_again_ends_a_run_at_once(endless_config, tmp_path):
    (process,) = runs.start(endless_config, tmp_path, do=("save slowly", "train"))
    wait_for_row(tmp_path, 3, process)
    process.send_signal(signal.SIGINT)
    process.wait_until(lambda: "Ctrl-C again" in process.text("err"))
    process.send_signal(signal.SIGINT)
    output = "".join(process.communicate(timeout=20))
    assert process.returncode == -signal.SIGINT
    assert "Traceback" not in output
    assert checkpoints.latest_step(tmp_path) is None


def test_sigterm_changes_neither_the_record_nor_the_best_checkpoint(config, tmp_path, monkeypatch):
    """Where validation is due, which must not be skipped for good; in the middle of a row; and in the last step.

    At the last step neither logging nor validation is due by its number.
    """
    config.steps, config.log_every, config.consistency.quadruplet_weight = 5, 3, 0.0
    straight, stopped = (str(tmp_path / name) for name in ("straight", "stopped"))
    assert loop.train(config, straight)
    for step in (2, 4, 5):
        with monkeypatch.context() as patch:
            runs.sigterm_at(patch, step)
            assert not loop.train(config, stopped)  # What follows a run, such as its evaluation, takes time, too.
        assert checkpoints.latest_step(stopped) == step
    assert loop.train(config, stopped)
    rows = run_dir.read_history(stopped)
    assert rows == run_dir.read_history(straight)
    assert [row["step"] for row in rows if "loss" in row] == [3, 5]
    assert [row["step"] for row in rows if "validation_accuracy" in row] == [2, 4, 5]
    best, other = checkpoints.find(straight), checkpoints.find(stopped)
    assert (best.step, best.validation_accuracy) == (other.step, other.validation_accuracy)


@pytest.mark.parametrize("known", [4, None])
def test_checkpoints_that_change_while_a_run_starts_are_noticed(own_run, tmp_path, monkeypatch, known):
    """They are there, or not, when the run is opened, and the reverse when its directory is claimed."""
    config, folder = own_run
    monkeypatch.setattr(checkpoints, "latest_step", lambda _: known)
    monkeypatch.setattr(checkpoints, "newest_config", lambda _: json.loads(config.to_json()))
    with pytest.raises(ValueError, match="changed while the run was starting"):
        loop.train(config, str(tmp_path / "new" if known else folder))


def test_a_run_goes_on_from_the_newest_checkpoint_that_is_whole(shared_run, own_run, capsys):
    """And with other settings of what its state does not depend on."""
    config, folder = own_run
    for path in (folder / "checkpoints" / "6" / "params").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:9])
    config.log_every, config.keep, config.evaluation.batch_size, config.data.cache_mb = 3, 5, 8, 0
    assert loop.train(config, str(folder))
    output = capsys.readouterr()
    assert "moved to 6.damaged, resuming from step 4" in output.err
    assert "resuming from step 4" in output.out
    assert output.out.count("validation has only 10 ordered pair(s), too few to choose a checkpoint") == 1
    runs.assert_states_equal(*(runs.last_state(*run) for run in (shared_run, own_run)))


def test_without_config_json_the_checkpoint_says_whose_run_it_is(own_run):
    config, folder = own_run
    (folder / "config.json").unlink()
    config.seed = 5
    with pytest.raises(ValueError, match="config.seed is 0 there but 5 here"):
        loop.train(config, str(folder))


def test_a_run_does_not_go_on_with_other_data(own_run, monkeypatch):
    """The hash of the sources, which is in the config, does not see what happened to the prepared data since."""
    config, folder = own_run
    pairs = run_start.open_pairs(config)
    pairs = pairs._replace(labeled=dataclasses.replace(pairs.labeled, rows=pairs.labeled.rows[::-1]))
    monkeypatch.setattr(run_start, "open_pairs", lambda config: pairs)
    with pytest.raises(ValueError, match="prepared data differ from the data this run started with"):
        loop.train(config, str(folder))


def test_a_finished_run_says_so_and_changes_nothing(shared_run, own_run, capsys):
    config, folder = own_run
    assert loop.train(config, str(folder))
    assert "is complete (6 steps)" in capsys.readouterr().out
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


def test_labels_alone_need_no_unlabeled_data(config, tmp_path):
    """In the directory of a run that was stopped before its first checkpoint, which gives way."""
    config.seed = 5
    with run_dir.claim(config, tmp_path):
        pass
    config.seed, config.steps, config.consistency.quadruplet_weight = 0, 1, 0.0
    with mock.patch.object(splits, "open_split", wraps=splits.open_split) as open_split:
        assert loop.train(config, str(tmp_path))
    assert {call.args[1] for call in open_split.call_args_list} == {"labeled"}
    assert "quadruplet" not in run_dir.read_history(tmp_path)[0]
    assert json.loads((tmp_path / "config.json").read_text())["seed"] == 0


def test_training_learns(config, tmp_path):
    config.steps, config.batch.labeled, config.checkpoint_every = 40, 24, 40
    loop.train(config, str(tmp_path))
    losses = [row["ranking"] for row in run_dir.read_history(tmp_path) if "ranking" in row]
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:5])


def test_the_teacher_is_what_training_started_from(long_run):
    config, folder = long_run
    state = runs.last_state(config, folder)
    pairs = run_start.open_pairs(config)
    start = run_start.initial_state(config, *run_start.build(config), pairs)
    runs.assert_states_equal(state.teacher_params, start.params)
    assert not np.array_equal(state.params["head"]["kernel"], start.params["head"]["kernel"])


def test_a_run_may_start_from_a_fitted_head(config, tmp_path):
    """The head orders the pairs it was fitted to before any training: one step of next to no size shows it."""
    config.probe.strength, config.steps, config.checkpoint_every = 1.0, 1, 1
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
