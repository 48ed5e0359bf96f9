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

torch = pytest.importorskip("torch", reason='PyTorch is large, so CI has a job for it: pip install -e ".[peers]"')

from benchmarks import train_step as benchmark  # noqa: E402
from benchmarks.peers import expert, networks, views  # noqa: E402
from benchmarks.peers import train_step as peers  # noqa: E402


def small_config(backbone="small", blocks=None, *, like=default, size=64, frozen_blocks=0):
    config = like.get_config()
    config.steps = 200  # wider_blur trains only on request.
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
    ("backbone", "size", "center"),
    [
        ("small", 64, False),
        ("small", 45, True),
        ("resnet18", 50, True),
        ("resnet50", 48, False),
        ("efficientnet_lite0", 75, True),
    ],
)
def test_scores_are_equal(backbone, size, center):
    model = network.build(backbone=backbone, pool_center=center)
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
    with pytest.raises(ValueError, match="set config.consistency.pairwise_weight=0"):
        expert.Trainer(config, {}, torch.device("cpu"))


def test_the_benchmark_prints_a_table(capsys):
    config = small_config(like=wider_blur, size=32)
    peers.run(config, repeats=1)
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.startswith("small float32, 16 images of 32 px; PyTorch ")
    assert [row.split(" | ")[0].strip("| ") for row in rows[2:]] == [peers.STEP, peers.BARE, peers.FORWARD]
    assert all(row.count("|") == 5 for row in rows)


def test_the_rate_is_that_of_jax():
    times = {(peers.JAX, what): [1.0, 1.0] for what in (peers.STEP, peers.BARE, peers.FORWARD)}
    times |= {(peers.EXPERT, what): [2.0, 4.0] for what in (peers.STEP, peers.BARE, peers.FORWARD)}
    row = peers.table(times).splitlines()[2]
    assert row == "| step | 1000 [1000, 1000] | 3000 [2500, 3500] | 3.00 [2.50, 3.50] |"
