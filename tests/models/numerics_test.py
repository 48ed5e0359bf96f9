import jax
import numpy as np
import pytest

import blur_jax
from blur_jax.runs import checkpoints, run_dir
from blur_jax.train import loop
from blur_jax.train import step as train_step
from tests.helpers import runs


def poison(monkeypatch, at, what):
    """Has the update of step `at` go wrong in the state or in the metrics it returns."""
    step = loop.train_step

    def poisoned(state, batch, **options):
        after, metrics = step(state, batch, **options)
        wrong = jax.numpy.where(after.step == at, jax.numpy.nan, 0.0)
        if what == "state":
            after = after.replace(params=jax.tree.map(lambda x: x + wrong, after.params))
        else:
            metrics = metrics | {"loss": metrics["loss"] + wrong}
        return after, metrics

    monkeypatch.setattr(loop, "train_step", poisoned)


@pytest.mark.parametrize("what", ["state", "loss"])
def test_what_is_not_finite_stops_the_run_and_keeps_the_last_good_checkpoint(config, tmp_path, monkeypatch, what):
    config.checkpoint_every = 1
    poison(monkeypatch, 3, what)
    with pytest.raises(FloatingPointError, match=r"step 3.*last good checkpoint \(step 2\) is kept.*learning_rate"):
        loop.train(config, str(tmp_path))
    assert checkpoints.latest_step(tmp_path) == 2 >= checkpoints.find(tmp_path).step
    score = blur_jax.load_scorer(tmp_path).score([np.zeros((40, 40, 3), np.uint8)])
    assert np.isfinite(score).all()
    assert all(np.isfinite(list(row.values())).all() for row in run_dir.read_history(tmp_path))


def test_a_run_that_is_never_finite_saves_nothing(config, tmp_path, monkeypatch):
    config.checkpoint_every = 1
    poison(monkeypatch, 1, "state")
    with pytest.raises(FloatingPointError, match="step 1 .*no checkpoint was saved"):
        loop.train(config, str(tmp_path))
    assert checkpoints.latest_step(tmp_path) is None


@pytest.fixture
def bad_gradient(monkeypatch):
    """Has the losses of some steps, from 1 on, be no number, and so the gradients."""
    steps = []
    make_views = train_step.make_views

    def views(params, batch, step, **options):
        wrong = jax.numpy.isin(step + 1, jax.numpy.array([0, *steps]))
        made = make_views(params, batch, step, **options)
        return made._replace(order=jax.numpy.where(wrong, jax.numpy.nan, made.order))

    monkeypatch.setattr(train_step, "make_views", views)
    return steps


def test_a_gradient_that_is_not_finite_stops_a_run_and_is_named(config, tmp_path, bad_gradient):
    bad_gradient.append(3)
    culprits = "step 3: metrics are not finite: gradient norm nan  loss nan  ranking nan  train accuracy nan;"
    with pytest.raises(FloatingPointError, match=culprits):
        loop.train(config, str(tmp_path))
    assert checkpoints.latest_step(tmp_path) == 2


def test_skipped_updates_change_nothing_and_are_counted_until_there_are_too_many(config, tmp_path, bad_gradient):
    config.optimizer.max_skipped_updates, config.ema_decay, config.log_every, config.checkpoint_every = 2, 0.5, 3, 1
    config.steps = config.keep = 9
    bad_gradient += [3, 4, 6, 7, 8]
    with pytest.raises(FloatingPointError, match="step 8: metrics are not finite: .*loss nan"):
        loop.train(config, str(tmp_path))
    assert checkpoints.latest_step(tmp_path) == 7
    states = {step: runs.state_at(config, tmp_path, step).params for step in (2, 4, 5, 7)}
    runs.assert_states_equal(states[2], states[4])
    runs.assert_states_equal(states[5], states[7])
    assert not np.array_equal(states[4]["head"]["kernel"], states[5]["head"]["kernel"])
    rows = [row for row in run_dir.read_history(tmp_path) if "skipped" in row]
    assert [row["skipped"] for row in rows] == pytest.approx([1 / 3, 2 / 3])
    assert np.isfinite([row["loss"] for row in rows]).all()
