"""A run that starts from the parameters of another."""

import shutil

import jax
import numpy as np
import pytest

from blur_jax.models import network
from blur_jax.runs import checkpoints, run_dir
from blur_jax.train import config_check, loop, optimizer
from blur_jax.train import start as run_start
from tests.helpers import runs


@pytest.fixture
def start(config, shared_run):
    """The config of a run that starts from it."""
    config.start_from = str(shared_run[1])
    return config


def test_it_starts_from_the_parameters_that_the_other_scores_with(shared_run, start):
    model = network.from_config(start.model)
    pairs = run_start.open_pairs(start)
    state = run_start.initial_state(start, model, optimizer.build(start.optimizer, 6), pairs)
    assert state.step == 0
    other = runs.last_state(*shared_run)
    assert not np.array_equal(other.params["head"]["kernel"], other.ema_params["head"]["kernel"])
    runs.assert_states_equal(state.params, other.ema_params)


def test_a_probe_fits_a_new_head_to_the_features_that_it_starts_from(shared_run, start):
    start.probe.strength = 1.0
    model = network.from_config(start.model)
    state = run_start.initial_state(start, model, optimizer.build(start.optimizer, 6), run_start.open_pairs(start))
    other = runs.last_state(*shared_run)
    runs.assert_states_equal(state.params["backbone"], other.ema_params["backbone"])
    assert not np.allclose(state.params["head"]["kernel"], other.ema_params["head"]["kernel"])


def test_a_run_goes_on_without_what_it_started_from(shared_run, start, tmp_path, monkeypatch):
    start.start_from = str(tmp_path / "start" / "checkpoints" / "6")  # One checkpoint may be named.
    shutil.copytree(shared_run[1], tmp_path / "start")
    start.steps, start.consistency.quadruplet_weight = 2, 0.0
    assert loop.train(start, str(tmp_path / "straight"))
    with monkeypatch.context() as patch:
        runs.sigterm_at(patch, 1)
        assert not loop.train(start, str(tmp_path / "stopped"))
    shutil.rmtree(tmp_path / "start")
    assert loop.train(start, str(tmp_path / "stopped"))
    runs.assert_states_equal(*(runs.last_state(start, tmp_path / name) for name in ("straight", "stopped")))
    moved = jax.tree.map(
        lambda a, b: np.abs(a - b).max(),
        runs.last_state(start, tmp_path / "straight").params,
        runs.last_state(*shared_run).ema_params,
    )
    assert max(jax.tree.leaves(moved)) > 1e-4


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("model.backbone", "resnet18", r"config\.model\.backbone is 'small' there but 'resnet18' here"),
        ("model.pool_center", True, r"config\.model\.pool_center is False there but True here"),
        ("data.image_size", 64, r"config\.data\.image_size is 32 there but 64 here"),
        ("data.context", 1.5, r"config\.data\.context is 1\.0 there but 1\.5 here"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_claimed(start, tmp_path, field, value, message):
    start.update_from_flattened_dict({field: value})
    with pytest.raises(ValueError, match=message):
        config_check.check_config(start, str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("check", [config_check.check_config, loop.train])
def test_a_start_that_is_not_there_is_noticed_before_anything_is_claimed(start, tmp_path, check):
    start.start_from = str(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"config\.start_from: .*nowhere: no checkpoint here"):
        check(start, str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_a_run_that_was_to_be_longer_is_told_how(shared_run):
    config = shared_run[0].copy_and_resolve_references()
    config.steps = 8
    folder = shared_run[1]
    with pytest.raises(ValueError, match=rf"config\.steps is 6 there but 8 here.*--config\.start_from={folder}"):
        loop.train(config, str(folder))
    assert checkpoints.latest_step(folder) == 6
    assert run_dir.read_history(folder)[-1]["step"] == 6
