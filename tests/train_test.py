"""The loop: resuming, being killed, being asked to stop, and refusing what cannot work."""

import json
import random
import signal
import time

import jax
import numpy as np
import optax
import pytest
import runs

from blur_jax import checkpoints, data, degradations, models, optimizer, parallel, train, train_state, writers
from blur_jax import train_step as step_lib


def test_is_due():
    assert [step for step in range(1, 10) if train.is_due(step, 3)] == [3, 6, 9]


@pytest.fixture
def long_config(config):
    """Long enough to be killed in the middle."""
    config.steps, config.checkpoint_every, config.log_every, config.ema_decay = 40, 4, 2, 0.9
    return config


def wait_for_row(workdir, count, process):
    deadline = time.monotonic() + 120
    while len(writers.read_history(workdir)) < count and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)


def test_killed_at_random_moments_a_run_ends_as_if_nothing_had_happened(long_config, subprocess_env, tmp_path):
    runs.run(long_config, tmp_path / "straight", subprocess_env)
    rng, kills = random.Random(0), 0
    for _ in range(4):
        rows = len(writers.read_history(tmp_path / "killed"))
        (process,) = runs.start(long_config, tmp_path / "killed", subprocess_env)
        wait_for_row(tmp_path / "killed", rows + rng.randint(1, 6), process)
        time.sleep(rng.uniform(0, 0.05))
        process.kill()
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
    assert kills >= 3
    runs.run(long_config, tmp_path / "killed", subprocess_env)
    runs.assert_states_equal(*(runs.last_state(long_config, tmp_path / name) for name in ("straight", "killed")))
    # The record has each row once, with the same figures.
    straight, killed = (writers.read_history(tmp_path / name) for name in ("straight", "killed"))
    assert [row["step"] for row in straight] == [row["step"] for row in killed]
    assert straight == killed


def test_sigterm_saves_and_exits_with_0(long_config, subprocess_env, tmp_path):
    long_config.steps, long_config.checkpoint_every = 2000, 1000
    (process,) = runs.start(long_config, tmp_path, subprocess_env)
    wait_for_row(tmp_path, 3, process)
    process.send_signal(signal.SIGTERM)
    output = runs.finish([process])
    saved = checkpoints.Checkpoints(str(tmp_path), keep=2).latest_step
    assert 0 < saved < 1000
    assert f"saved at step {saved}" in output


def test_a_finished_run_says_so_and_changes_nothing(config, tmp_path, capsys):
    assert train.train(config, str(tmp_path))
    before = runs.last_state(config, tmp_path)
    assert train.train(config, str(tmp_path))
    assert "has finished its 6 steps" in capsys.readouterr().out
    runs.assert_states_equal(before, runs.last_state(config, tmp_path))


def test_the_record_of_a_run(config, tmp_path):
    train.train(config, str(tmp_path))
    rows = writers.read_history(tmp_path)
    losses = [row for row in rows if "loss" in row]
    assert [row["step"] for row in losses] == [1, 2, 3, 4, 5, 6]
    assert [row["step"] for row in rows if "validation_accuracy" in row] == [2, 4, 6]
    assert {"loss", "ranking", "quadruplet", "trusted", "train_accuracy", "gradient_norm"} <= set(losses[0])
    assert list(tmp_path.glob("tensorboard/events*"))
    assert json.loads((tmp_path / "config.json").read_text()) == json.loads(config.to_json())
    # Warm-up over 2 steps: half of the weight at the first.
    assert losses[0]["loss"] == pytest.approx(losses[0]["ranking"] + 0.5 * losses[0]["quadruplet"], abs=1e-6)
    assert losses[1]["loss"] == pytest.approx(losses[1]["ranking"] + losses[1]["quadruplet"], abs=1e-6)


def test_labels_alone_need_no_unlabeled_data(config, tmp_path, monkeypatch):
    config.consistency.quadruplet_weight = 0.0
    opened = []
    open_split = data.open_split
    monkeypatch.setattr(
        data, "open_split", lambda c, kind, *a, **k: opened.append(kind) or open_split(c, kind, *a, **k)
    )
    train.train(config, str(tmp_path))
    assert set(opened) == {"labeled"}
    assert "quadruplet" not in writers.read_history(tmp_path)[0]


def test_training_learns(config, tmp_path):
    config.steps, config.batch.labeled, config.checkpoint_every = 40, 24, 40
    train.train(config, str(tmp_path))
    losses = [row["ranking"] for row in writers.read_history(tmp_path) if "ranking" in row]
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:5])


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_good_checkpoint(config, tmp_path):
    config.steps, config.checkpoint_every = 200, 1
    config.optimizer.learning_rate, config.optimizer.clip_norm, config.optimizer.schedule = 1e38, 0.0, "constant"
    with pytest.raises(FloatingPointError, match=r"step \d+: .*last good checkpoint .* is kept.*learning_rate"):
        train.train(config, str(tmp_path))
    rows = writers.read_history(tmp_path)
    assert all(np.isfinite(row["loss"]) for row in rows if "loss" in row)


def test_a_workdir_of_another_config_is_refused_by_field(config, tmp_path):
    train.claim(config, str(tmp_path))
    config.batch.labeled = 16
    config.seed = 7
    with pytest.raises(
        ValueError, match=r"config\.batch\.labeled is 8 there, 16 here; config\.seed is 0 there, 7 here"
    ):
        train.claim(config, str(tmp_path))


def test_data_may_lie_elsewhere_when_a_run_goes_on(config, tmp_path):
    train.claim(config, str(tmp_path))
    config.data.dir = "/elsewhere"
    train.claim(config, str(tmp_path))


def test_a_damaged_config_record_is_named(config, tmp_path):
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config\.json: damaged"):
        train.claim(config, str(tmp_path))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("steps", 0, "config.steps=0"),
        ("log_every", 0, "config.log_every=0"),
        ("checkpoint_every", -1, "config.checkpoint_every=-1"),
        ("keep", 0, "config.keep=0"),
        ("batch.labeled", 0, "config.batch.labeled=0"),
        ("batch.unlabeled", 0, "config.batch.unlabeled=0"),
        ("evaluation.batch_size", 0, "config.evaluation.batch_size=0"),
        ("ema_decay", 1.0, "config.ema_decay=1.0"),
        ("consistency.teacher", "parent", "'parent' must be 'student' or 'ema'"),
        ("consistency.teacher", "ema", "needs config.ema_decay"),
        ("model.backbone", "alexnet", "alexnet"),
        ("model.dtype", "float16", "float16"),
        ("model.linear_probe", -1.0, "config.model.linear_probe=-1.0"),
        ("model.frozen_blocks", 2, "config.model.frozen_blocks=2"),
        ("degradation.families", ("smear",), "smear"),
        ("data.labeled_split", "trian", "trian"),
        ("data.labeled_count", 999, "labeled_count=999"),
    ],
)
def test_configs_that_cannot_work_name_the_field(config, tmp_path, field, value, message):
    config.update_from_flattened_dict({field: value})
    with pytest.raises(ValueError, match="(?s).*" + message.replace(".", r"\.")):
        train.train(config, str(tmp_path))


def one_step(config, ema_params=None, tx=None):
    """One update on one device; returns model, state before, batch, metrics and state after."""
    model, tx = models.from_config(config.model), tx or optax.sgd(1.0)
    state = jax.device_get(train_state.create(runs.initial_params(config), tx, ema=config.ema_decay > 0))
    if ema_params is not None:
        state = state.replace(ema_params=ema_params)
    parts = {
        "labeled": (data.open_split(config.data, "labeled", "train"), 8),
        "unlabeled": (data.open_split(config.data, "unlabeled", "train"), 8),
    }
    batch = next(data.train_batches(parts, seed=0, first_step=0))
    step = parallel.pmap(step_lib.make_train_step(model, tx, config))
    after, metrics = step(parallel.replicate(state), parallel.shard(batch))
    return model, state, batch, parallel.unreplicate(metrics), parallel.unreplicate(after)


def plain(config):
    """No augmentation, full weights from the first step: what a test can follow by hand."""
    config.augment = dict.fromkeys(config.augment, 0.0) | {"flip": False}
    config.consistency.warmup_steps = 0
    return config


def score(model, params, images):
    return np.asarray(model.apply({"params": params}, images.astype(np.float32) / 255))


def test_the_step_averages_the_loss_over_labeled_pairs(config):
    model, state, batch, metrics, _ = one_step(plain(config))
    left, right = (score(model, state.params, batch["labeled"][side]) for side in ("left", "right"))
    order = batch["labeled"]["order"]
    violations = np.maximum(0, (left - right) * order + 0.1)
    assert metrics["ranking"] == pytest.approx(violations.mean(), abs=1e-5)
    assert metrics["train_accuracy"] == pytest.approx(((right - left) * order > 0).mean())


def test_both_images_of_an_unlabeled_pair_meet_one_degradation(config, monkeypatch):
    """With the identity as the degradation no order is lost, so only the margin costs."""
    monkeypatch.setattr(degradations, "apply", lambda draw, images: images)
    model, state, batch, metrics, _ = one_step(plain(config))
    left, right = (score(model, state.params, batch["unlabeled"][side]) for side in ("left", "right"))
    expected = np.maximum(0, config.consistency.margin - np.abs(left - right)).mean()
    assert metrics["quadruplet"] == pytest.approx(expected, abs=1e-5)
    # And each call degrades the two images of one pair, [2, S, S, 3], by a single draw.
    shapes = []
    monkeypatch.setattr(degradations, "apply", lambda draw, images: shapes.append(images.shape) or images)
    one_step(plain(config))
    assert shapes == [(2, 32, 32, 3)]


def test_no_gradient_flows_through_the_clean_pair_in_the_step(config, monkeypatch):
    """With degraded images that are constant black, the quadruplet loss has nothing to send a gradient through."""
    plain(config)
    config.consistency.quadruplet_weight = 5.0
    monkeypatch.setattr(degradations, "apply", lambda draw, images: images * 0)
    _, _, _, _, with_consistency = one_step(config)
    config.consistency.quadruplet_weight = 1e-12
    _, _, _, _, without = one_step(config)
    for a, b in zip(jax.tree.leaves(with_consistency.params), jax.tree.leaves(without.params)):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_the_pairwise_loss_sends_gradient_through_the_clean_images(config, monkeypatch):
    plain(config)
    config.consistency.quadruplet_weight, config.consistency.pairwise_weight = 0.0, 5.0
    monkeypatch.setattr(degradations, "apply", lambda draw, images: images * 0)
    _, _, _, _, with_consistency = one_step(config)
    config.consistency.pairwise_weight = 1e-12
    _, _, _, _, without = one_step(config)
    apart = [
        np.abs(a - b).max() for a, b in zip(jax.tree.leaves(with_consistency.params), jax.tree.leaves(without.params))
    ]
    assert max(apart) > 1e-3


def test_the_average_follows_the_parameters(config):
    config.ema_decay = 0.9
    _, before, _, _, after = one_step(plain(config))
    for old, new, average in zip(*(jax.tree.leaves(t) for t in (before.params, after.params, after.ema_params))):
        np.testing.assert_allclose(average, 0.9 * old + 0.1 * new, atol=1e-6)


def test_the_ema_teacher_orders_the_clean_pair(config, monkeypatch):
    """A teacher that orders every pair the other way round: each costs its score difference and the margin."""
    plain(config)
    config.ema_decay, config.consistency.teacher = 0.9, "ema"
    monkeypatch.setattr(degradations, "apply", lambda draw, images: images)
    params = runs.initial_params(config)
    contrary = params | {"head": jax.tree.map(np.negative, params["head"])}
    model, _, batch, metrics, _ = one_step(config, contrary)
    left, right = (score(model, params, batch["unlabeled"][side]) for side in ("left", "right"))
    expected = (config.consistency.margin + np.abs(left - right)).mean()
    assert metrics["quadruplet"] == pytest.approx(expected, abs=1e-5)


def test_a_gate_above_every_difference_trusts_nothing(config):
    plain(config)
    config.consistency.gate = 1.0
    _, _, _, metrics, _ = one_step(config)
    assert metrics["trusted"] == 0
    assert metrics["quadruplet"] == 0


def test_frozen_blocks_stay_as_they_are_and_the_rest_moves(config):
    plain(config)
    config.model.backbone, config.model.blocks, config.model.frozen_blocks = "efficientnet_lite0", 3, 2
    config.consistency.quadruplet_weight, config.optimizer.weight_decay = 0.0, 0.5
    tx = optimizer.build(config.optimizer, 10, trainable=models.trainable(config.model))
    _, before, _, _, after = one_step(config, tx=tx)
    moved = jax.tree.map(lambda a, b: bool(np.any(np.asarray(a) != np.asarray(b))), before.params, after.params)
    assert not any(jax.tree.leaves([moved["backbone"][name] for name in ("stem", "block00", "block01")]))
    assert all(jax.tree.leaves([moved["backbone"]["block02"], moved["head"], moved["attention"]]))


def test_without_weight_the_labeled_pairs_teach_nothing(config):
    plain(config)
    config.ranking.weight, config.consistency.quadruplet_weight = 0.0, 1e-12
    _, before, _, metrics, after = one_step(config)
    assert metrics["ranking"] > 0
    assert metrics["loss"] < 1e-9
    for a, b in zip(jax.tree.leaves(before.params), jax.tree.leaves(after.params)):
        np.testing.assert_allclose(a, b, atol=1e-9)


def test_validation_tells_what_pseudo_orders_are_worth(config, monkeypatch):
    """Four ordered pairs with scores known: differences 0.4 right, 0.3 wrong, 0.1 right, 0 undecided."""
    left, right = [0.1, 0.5, 0.5, 0.2], [0.5, 0.2, 0.4, 0.2]
    orders = [1, 1, -1, 1]
    pixels = np.zeros((32, 32, 3), np.uint8)
    examples = [{"left": pixels, "right": pixels, "order": order} for order in [*orders, 0]]
    monkeypatch.setattr(
        train.evaluate, "make_score_images", lambda model, batch_size: lambda params, images: np.array(left + right)
    )
    config.consistency.gate = 0.2
    figures = train._make_validate(config, None, data.Split(examples, None, {}))(None)
    assert figures == pytest.approx(
        {
            "validation_accuracy": 2.5 / 4,
            "pseudo_order_share": 2 / 4,
            "pseudo_order_accuracy": 1 / 2,
            "score_spread": np.std(left + right),
        }
    )


@pytest.mark.parametrize(("spread", "said"), [(0.001, True), (0.1, False)])
def test_collapsed_scores_are_told(capsys, spread, said):
    train._warn_of_collapse(40, spread)
    assert ("step 40: the scores have collapsed" in capsys.readouterr().out) == said


def test_a_run_may_start_from_a_fitted_head(config, tmp_path):
    """The head orders the pairs it was fitted to before any training: one step of next to no size shows it."""
    config.model.linear_probe, config.steps, config.checkpoint_every = 1.0, 1, 1
    config.optimizer.learning_rate, config.optimizer.warmup_steps = 1e-9, 0
    train.train(config, str(tmp_path))
    head = runs.last_state(config, tmp_path).params["head"]
    random_head = runs.initial_params(config)["head"]
    assert np.abs(head["kernel"]).max() > 5 * np.abs(random_head["kernel"]).max()
    assert writers.read_history(tmp_path)[0]["train_accuracy"] >= 0.75


def test_a_left_out_face_is_in_no_pair_of_either_kind(config):
    def names(split):
        return {example[f"{side}_name"] for example in split.examples for side in ("left", "right")}

    person = next(iter(names(data.open_split(config.data, "unlabeled", "train")))).split("/")[0] + "/"
    config.data.leave_out = person
    for split, _ in train._open_parts(config).values():
        assert not any(name.startswith(person) for name in names(split))
