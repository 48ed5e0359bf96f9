"""The baseline in PyTorch computes what the project computes: scores, losses, gradients, updates."""

import jax
import numpy as np
import optax
import pytest

from blur_jax.models import network
from blur_jax.runs import distributed
from blur_jax.train import optimizer, start
from blur_jax.train import step as train_step
from configs import default, wider_blur

torch = pytest.importorskip("torch", reason='the baseline needs PyTorch: pip install -e ".[peers]"')

from benchmarks import train_step as benchmark  # noqa: E402
from benchmarks.peers import as_drawn, expert, networks, time_to_accuracy, views  # noqa: E402
from benchmarks.peers import train_step as peers  # noqa: E402


def small_config(backbone="small", blocks=None, *, like=default, size=64, frozen_blocks=0):
    config = like.get_config()
    config.data.image_size = size
    config.model.backbone, config.model.blocks, config.model.frozen_blocks = backbone, blocks, frozen_blocks
    config.batch.labeled = config.batch.unlabeled = 4
    return config


CONFIGS = {
    "small": small_config(),
    "small, distilled": small_config(like=wider_blur),
    "resnet18": small_config("resnet18"),
    "lite0, frozen": small_config("efficientnet_lite0", 3, like=wider_blur, frozen_blocks=2),
}


def perturbed(params):
    """Parameters none of which is at a special value, such as a bias of zero."""
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda value: value + rng.normal(0, 0.05, value.shape).astype(np.float32), params)


def to_torch(images):
    """[n, 2, S, S, 3] -> [2n, 3, S, S]."""
    return torch.from_numpy(np.array(images)).flatten(0, 1).permute(0, 3, 1, 2).contiguous()


@pytest.mark.parametrize(
    ("backbone", "blocks", "size", "center"),
    [
        ("small", None, 64, False),
        ("small", None, 45, True),
        ("resnet18", None, 50, True),
        ("resnet50", None, 48, False),
        ("efficientnet_lite0", None, 75, True),
    ],
)
def test_scores_are_equal(backbone, blocks, size, center):
    model = network.build(backbone=backbone, blocks=blocks, pool_center=center)
    images = np.random.default_rng(0).uniform(size=(3, size, size, 3)).astype(np.float32)
    params = perturbed(jax.jit(model.init)(jax.random.key(0), images)["params"])
    ours = jax.jit(model.apply)({"params": params}, images)
    with torch.no_grad():
        theirs = networks.from_flax(model, params)(torch.from_numpy(images).permute(0, 3, 1, 2))
    assert np.ptp(ours) > 1e-3
    np.testing.assert_allclose(theirs, ours, atol=1e-4)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_losses_and_gradients_are_equal_on_the_same_views(config):
    model = network.from_config(config.model)
    params = perturbed(start.initial_params(config, model))
    teacher = perturbed(params)
    batch, ramp = benchmark.draw_batch(config), 0.7
    trained, frozen = network.partition(params, config.model.frozen_blocks)

    def step(params, batch):
        found = train_step.make_views(params, batch, 0, model=model, config=config, teacher_params=teacher)

        def loss_of(trained):
            merged = network.merge(trained, frozen)
            return train_step.losses_of(merged, found, ramp, model=model, config=config)["loss"]

        return found, *jax.value_and_grad(loss_of)(trained)

    found, loss, gradients = distributed.pmap(step)(params, distributed.shard(batch))
    trainer = expert.Trainer(config, params, torch.device("cpu"))
    labeled, degraded = (trainer.network(to_torch(part)).reshape(-1, 2) for part in (found.labeled, found.degraded))
    clean, teacher = (
        None if scores is None else torch.from_numpy(np.array(scores))
        for scores in (found.clean_scores, found.teacher_scores)
    )
    scores = expert.Scores(labeled, degraded, clean, teacher)
    theirs = expert.loss_of(scores, torch.from_numpy(np.array(found.order)), ramp, config)
    theirs.backward()
    assert theirs.item() == pytest.approx(float(loss), abs=1e-4)
    expected = networks.state_dict(gradients)
    parameters = {name: value for name, value in trainer.network.named_parameters() if value.requires_grad}
    assert parameters.keys() == expected.keys()
    size = torch.cat([value.flatten() for value in expected.values()]).norm()
    errors = {name: (parameter.grad - expected[name]).norm() for name, parameter in parameters.items()}
    assert size > 1e-4
    assert torch.stack([*errors.values()]).norm() < 1e-3 * size
    for name, error in errors.items():  # Rounding moves an activation over a kink now and then, and so a few entries.
        assert error < 1e-2 * expected[name].norm() + 1e-4 * size, name


def test_equal_gradients_give_equal_updates():
    config = default.get_config()
    config.steps, config.optimizer.warmup_steps, config.optimizer.weight_decay = 5, 2, 0.1
    config.optimizer.clip_norm, config.ema_decay = 0.1, 0.9
    model, tx = network.from_config(config.model), optimizer.build(config.optimizer, config.steps)
    params = average = perturbed(start.initial_params(config, model))
    trainer, state = expert.Trainer(config, params, torch.device("cpu")), tx.init(params)
    rng = np.random.default_rng(0)
    for _ in range(4):
        gradients = jax.tree.map(lambda value: rng.normal(size=value.shape).astype(np.float32), params)
        updates, state = tx.update(gradients, state, params)
        params = optax.apply_updates(params, updates)
        average = optax.incremental_update(params, average, 1 - config.ema_decay)
        slopes = networks.state_dict(gradients)
        trainer.descend(sum((p * slopes[name]).sum() for name, p in trainer.network.named_parameters()))
    for found, expected in ((trainer.network, params), (trainer.average.module, average)):
        for name, value in networks.state_dict(expected).items():
            np.testing.assert_allclose(found.get_parameter(name).detach(), value, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("family", ["gaussian", "anisotropic", "downup"])
def test_blur_has_its_width(family):
    config, size = default.get_config(), 65
    config.degradation.families, config.degradation.rms_min, config.degradation.rms_max = (family,), 0.05, 0.05
    torch.manual_seed(0)
    light = torch.zeros(200, 3, size, size)
    light[:, :, 32, 32] = 1.0
    blurred = views.to_linear(views.degrade(views.to_srgb(light), config.degradation, 2))
    place = torch.arange(size) - 32.0
    moments = (blurred * (place[:, None] ** 2 + place**2)).sum(dim=(2, 3)) / blurred.sum(dim=(2, 3))
    assert moments.mean().sqrt().item() == pytest.approx(0.05 * size, rel=0.05)
    torch.testing.assert_close(blurred[0], blurred[1])  # One draw for both.
    assert (blurred[0] - blurred[2]).abs().max() > 1e-3 or family == "gaussian"


def test_what_has_no_counterpart_is_refused():
    config = default.get_config()
    config.degradation.noise_max = 0.1
    with pytest.raises(ValueError, match="noise"):
        views.degrade(torch.zeros(2, 3, 32, 32), config.degradation, 2)
    config.consistency.pairwise_weight = 1.0
    with pytest.raises(ValueError, match="pairwise_weight must be 0"):
        expert.Trainer(config, {}, torch.device("cpu"))


@pytest.mark.parametrize("like", [default, wider_blur], ids=["quadruplets", "distillation"])
def test_both_steps_compute_the_same_of_pictures_as_they_are(like):
    config = small_config(like=like, size=32)
    params = perturbed(start.initial_params(config, network.from_config(config.model)))
    batch = benchmark.draw_batch(config)
    one, other = (expert.Trainer(config, params, torch.device("cpu")) for _ in range(2))
    for _ in range(2):
        loss = one.update(batch, changes=False)
        assert loss.item() == pytest.approx(as_drawn.update(other, batch, changes=False).item(), abs=1e-5)
    changed = one.update(batch), as_drawn.update(other, batch)
    assert all(abs(each.item() - loss.item()) > 1e-5 for each in changed)


def test_the_benchmark_prints_a_table(capsys):
    config = small_config(like=wider_blur, size=32)
    peers.run(config, repeats=1)
    header, *rows, _, ours, _, _ = capsys.readouterr().out.splitlines()
    assert header.startswith("small float32, 16 images of 32 px; PyTorch ")
    assert [row.split(" | ")[0].strip("| ") for row in rows[2:]] == [peers.STEP, peers.BARE, peers.FORWARD]
    assert all(row.count("|") == 7 for row in rows)
    assert ours.startswith("JAX: ")


def test_the_rate_is_that_of_jax():
    own = {(peers.JAX, what): [1.0, 1.0] for what in (peers.STEP, peers.BARE, peers.FORWARD)}
    row = peers.table(own | {(peers.EXPERT, peers.STEP): [1.0, 1.0], (peers.DRAWN, peers.STEP): [2.0, 4.0]})
    expected = "1000 [1000, 1000] | 1000 [1000, 1000] | 1.00 [1.00, 1.00] | 3000 [2500, 3500] | 3.00 [2.50, 3.50] |"
    assert row.splitlines()[2] == f"| step | {expected}"


def test_both_libraries_train_on_the_same_data_until_an_accuracy(config, capsys):
    config.ema_decay = 0.9
    baseline = config.copy_and_resolve_references()
    baseline.model.backbone, baseline.data.image_size = "resnet18", 32
    curves = time_to_accuracy.run(config, baseline, accuracies=[0.0, 2.0], steps=2, patience=1e9)
    for curve in curves.values():
        assert [steps for steps, _, _ in curve] == [2, 4, 6]  # All of its steps: 2.0 is out of reach.
        seconds, accuracies = [second for _, second, _ in curve], [accuracy for *_, accuracy in curve]
        assert seconds == sorted(seconds)
        assert all(0 <= accuracy <= 1 for accuracy in accuracies)
    *_, reached, missed = capsys.readouterr().out.splitlines()
    assert reached.startswith("| 0.0 | ")
    assert missed.count("not in ") == 3


def test_a_learner_that_is_late_stops(config):
    curves = time_to_accuracy.run(config, config, accuracies=[2.0], steps=1, patience=0.0)
    assert [len(curve) for curve in curves.values()] == [6, 6, 6]  # Nobody is late before JAX has ended.
    curves = time_to_accuracy.run(config, config, accuracies=[0.0], steps=1, patience=0.0)
    assert [len(curve) for curve in curves.values()] == [1, 1, 1]


def test_the_first_time_an_accuracy_is_reached_counts():
    curves = {
        time_to_accuracy.OURS: [(10, 2.0, 0.7), (20, 4.0, 0.9), (30, 6.0, 0.8)],
        time_to_accuracy.BASELINE: [(10, 20.0, 0.6), (20, 40.0, 0.8)],
    }
    assert time_to_accuracy.reached(curves[time_to_accuracy.OURS], 0.8) == (20, 4.0)
    assert time_to_accuracy.reached(curves[time_to_accuracy.BASELINE], 0.9) is None
    rows = time_to_accuracy.table(curves, [0.8, 0.9]).splitlines()[2:]
    assert rows[0] == "| 0.8 | 4.0 (20) | 40.0 (20), 10.00 |"
    assert rows[1] == "| 0.9 | 4.0 (20) | not in 40.0 (20), at best 0.800, over 10.00 |"
