"""The baseline in PyTorch computes what the project computes: scores, losses, gradients, updates."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from blur_jax import distributed, initialization, models, optimizer, train_step
from configs import default, wider_blur

torch = pytest.importorskip("torch", reason='the baseline needs PyTorch: pip install -e ".[peers]"')

from benchmarks import train_step as benchmark  # noqa: E402
from benchmarks.peers import expert, networks, views  # noqa: E402


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
    "lite0": small_config("efficientnet_lite0", 4, like=wider_blur, size=96),
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
        ("resnet18", None, 64, False),
        ("resnet18", None, 50, True),
        ("resnet50", None, 48, False),
        ("efficientnet_lite0", 11, 64, True),
        ("efficientnet_lite0", None, 75, False),
    ],
)
def test_scores_are_equal(backbone, blocks, size, center):
    model = models.build(backbone=backbone, blocks=blocks, center=center)
    images = np.random.default_rng(0).uniform(size=(3, size, size, 3)).astype(np.float32)
    params = perturbed(jax.jit(model.init)(jax.random.key(0), images)["params"])
    ours = jax.jit(model.apply)({"params": params}, images)
    with torch.no_grad():
        theirs = networks.from_flax(model, params)(torch.from_numpy(images).permute(0, 3, 1, 2))
    assert np.ptp(ours) > 1e-3
    np.testing.assert_allclose(theirs, ours, atol=1e-4)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_losses_and_gradients_are_equal_on_the_same_views(config):
    model = models.from_config(config.model)
    params = perturbed(initialization.initial_params(config, model))
    teacher = perturbed(params)
    batch, ramp = benchmark.draw_batch(config), 0.7
    trained, frozen = models.partition(params, config.model.frozen_blocks)

    def step(params, batch):
        views = train_step.make_views(params, batch, 0, model=model, config=config, teacher_params=teacher)

        def loss_of(trained):
            merged = models.merge(trained, frozen)
            return train_step.losses_of(merged, views, ramp, model=model, config=config)["loss"]

        return views, *jax.value_and_grad(loss_of)(trained)

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
    scale = max(value.abs().max() for value in expected.values())
    assert scale > 1e-4
    for name, parameter in parameters.items():
        np.testing.assert_allclose(parameter.grad, expected[name], rtol=1e-3, atol=1e-3 * scale, err_msg=name)
