"""One update on one device, followed by hand, mostly with a network of one parameter.

Each traces and compiles a step of its own: 1 s of CPU, 4 s where nothing is compiled yet.
"""

import functools

import flax.linen as nn
import jax
import numpy as np
import optax
import pytest

from blur_jax.data import augmentation, batches, degradations
from blur_jax.models import network
from blur_jax.runs import distributed
from blur_jax.train import optimizer, start
from blur_jax.train import state as train_state
from blur_jax.train import step as train_step
from tests.helpers.platforms import as_accelerator, lowered

MARGIN = 0.05


class MeanNetwork(nn.Module):
    """Scores an image as the sigmoid of w times the mean of its values."""

    @nn.compact
    def __call__(self, images):
        return nn.sigmoid(self.param("w", nn.initializers.constant(2.0), ()) * images.mean((1, 2, 3)))


def by_hand(images):
    """Scores of [n, 2, S, S, 3] by `MeanNetwork` and their derivatives by w, [n, 2] each."""
    means = images.mean((2, 3, 4), dtype=np.float64)
    scores = 1 / (1 + np.exp(-2.0 * means))
    return scores, scores * (1 - scores) * means


@pytest.fixture
def plain(config, monkeypatch):
    """No augmentation or degradation, full weights from the first step: what a test can follow by hand."""
    monkeypatch.setattr(degradations, "apply", lambda draw, images: images)
    config.augment.update(flip=False, exposure=0.0, contrast=0.0, color=0.0, noise=0.0)
    config.consistency.warmup_steps = 0
    return config


def draw_batch(config):
    pairs = start.open_pairs(config)
    return next(batches.train_batches(pairs.labeled, 8, pairs.unlabeled, 8, seed=0, first_step=0))


def update(config, *, model=None, params=None, tx=None, teacher_params=None):
    """Makes one update on one device; returns state before, batch, metrics and state after."""
    model, params, tx = model or MeanNetwork(), params or {"w": np.float32(2.0)}, tx or optax.sgd(1.0)
    ema, frozen_blocks = config.ema_decay is not None, config.model.frozen_blocks
    state = jax.device_get(train_state.create(params, tx, frozen_blocks=frozen_blocks, ema=ema))
    state = state.replace(teacher_params=teacher_params)
    batch = draw_batch(config)
    step = distributed.pmap(functools.partial(train_step.train_step, model=model, tx=tx, config=config))
    after, metrics = jax.device_get(step(state, distributed.shard(batch)))
    return state, batch, metrics, after


def views_of(config):
    """Returns the batch, and the views of it made on one device."""
    batch = draw_batch(config)
    make = functools.partial(train_step.make_views, model=MeanNetwork(), config=config)
    mapped = distributed.pmap(lambda params, batch: make(params, batch, 3))
    return batch, jax.device_get(mapped({"w": np.float32(2.0)}, distributed.shard(batch)))


def test_the_loss_is_averaged_over_labeled_pairs(plain):
    _, batch, metrics, _ = update(plain)
    left, right = by_hand(batch.labeled / 255)[0].T
    violations = np.maximum(0, (left - right) * batch.order + 0.1)
    assert metrics["ranking"] == pytest.approx(violations.mean(), abs=1e-5)
    assert metrics["train_accuracy"] == pytest.approx(((right - left) * batch.order > 0).mean())


def test_both_images_of_an_unlabeled_pair_meet_one_degradation(plain, monkeypatch):
    """With the identity as the degradation no order is lost, so only the margin costs."""
    _, batch, metrics, _ = update(plain)
    left, right = by_hand(batch.unlabeled / 255)[0].T
    assert metrics["quadruplet"] == pytest.approx(np.maximum(0, MARGIN - np.abs(left - right)).mean(), abs=1e-5)
    # And each call degrades the two images of one pair, [2, S, S, 3], by a single draw.
    shapes = set()  # Each is traced for a CPU and for an accelerator.
    monkeypatch.setattr(degradations, "apply", lambda draw, images: shapes.add(images.shape) or images)
    update(plain)
    assert shapes == {(2, 32, 32, 3)}
    plain.consistency.share_degradation = False  # Each image may meet one of its own.
    update(plain)
    assert shapes == {(2, 32, 32, 3), (1, 32, 32, 3)}


@pytest.mark.parametrize("families", [("motion", "gaussian", "downup"), ("downup",)])
def test_a_cpu_and_an_accelerator_make_the_same_views(config, monkeypatch, families):
    """They differ in how they map, convolve and make noise."""
    config.degradation.families = families
    _, of_cpu = views_of(config)
    as_accelerator(monkeypatch)
    _, of_accelerator = views_of(config)
    for one, other in zip(jax.tree.leaves(of_cpu), jax.tree.leaves(of_accelerator)):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert np.abs(of_cpu.degraded - of_cpu.clean).max() > 0.1


@pytest.mark.parametrize(("platform", "in_turn"), [("cpu", True), ("tpu", False), ("cuda", False)])
def test_the_platform_of_the_program_decides_how_examples_are_mapped(platform, in_turn):
    def double(images):
        return train_step.map_examples(lambda image: 2 * image, images)

    assert ("stablehlo.while" in lowered(double, np.ones((4, 8)), platform=platform)) == in_turn


def test_the_exposure_of_unlabeled_pairs_changes_after_they_are_degraded(config, monkeypatch):
    """As in a camera; and the degradation is all that tells one view from the other."""
    monkeypatch.setattr(degradations, "apply", lambda draw, images: images)
    batch, views = views_of(config)
    np.testing.assert_array_equal(views.degraded, views.clean)
    assert np.abs(views.clean - batch.unlabeled / 255).max() > 0.1
    monkeypatch.setattr(degradations, "apply", lambda draw, images: 0.0 * images)
    monkeypatch.setattr(augmentation, "apply", lambda draw, image: 0.5 + 0.5 * image)
    config.augment.noise = 0.0
    batch, views = views_of(config)
    np.testing.assert_array_equal(views.degraded, 0.5)
    np.testing.assert_allclose(views.clean, 0.5 + batch.unlabeled / 510, atol=1e-6)


def test_noise_is_degraded_with_the_picture(plain, monkeypatch):
    plain.augment.noise = 0.5
    monkeypatch.setattr(degradations, "apply", lambda draw, images: 0.5 * images)
    batch, views = views_of(plain)
    np.testing.assert_allclose(views.degraded, 0.5 * views.clean, atol=1e-6)
    for seen, pairs in ((views.clean, batch.unlabeled), (views.labeled, batch.labeled)):
        assert np.abs(seen - pairs / 255).max() > 0.2


@pytest.mark.parametrize("loss", ["quadruplet", "pairwise"])
def test_the_gradient_of_the_consistency_losses_by_hand(plain, monkeypatch, loss):
    """The clean pair's scores are labels to the quadruplet loss, without gradient, and a side of the pairwise one."""
    plain.ranking.weight = 0.0
    plain.consistency.quadruplet_weight, plain.consistency.pairwise_weight = float(loss == "quadruplet"), 0.0
    if loss == "pairwise":
        plain.consistency.pairwise_weight = 1.0
    # The degradation turns half of each image's range around, so that some pairs change their order.
    monkeypatch.setattr(degradations, "apply", lambda draw, images: abs(images - 0.5))
    before, batch, _, after = update(plain)
    clean = batch.unlabeled / 255
    (scores, slopes), (degraded, degraded_slopes) = by_hand(clean), by_hand(abs(clean - 0.5))
    if loss == "quadruplet":
        label = np.sign(scores[:, 1] - scores[:, 0])
        costs = (degraded[:, 0] - degraded[:, 1]) * label + MARGIN > 0
        gradient = (costs * label * (degraded_slopes[:, 0] - degraded_slopes[:, 1])).mean()
    else:
        costs = scores - degraded + MARGIN > 0
        gradient = (costs * (slopes - degraded_slopes)).mean()
    assert costs.any()
    assert abs(gradient) > 1e-4
    assert before.params["w"] - after.params["w"] == pytest.approx(gradient, rel=1e-3)


@pytest.mark.parametrize("teach_degraded", [False, True])
def test_distillation_by_hand(plain, monkeypatch, teach_degraded):
    """Of 8 pairs in groups of 2, whose images meet one degradation; the teacher sees them as they are, or degraded."""
    plain.ranking.weight = plain.consistency.quadruplet_weight = 0.0
    plain.consistency.update(distillation_weight=3.0, pairs_per_degradation=2, temperature=0.5)
    plain.consistency.teach_degraded = teach_degraded
    shapes = set()
    monkeypatch.setattr(degradations, "apply", lambda draw, images: shapes.add(images.shape) or abs(images - 0.5))
    plain.augment.flip = True  # No matter to means; the teacher's pictures are not augmented.
    student, teacher = {"w": np.float32(2.0)}, {"w": np.float32(-5.0)}
    _, batch, metrics, after = update(plain, params=student, teacher_params=teacher)
    assert shapes == {(4, 32, 32, 3)}
    clean = (batch.unlabeled / 255).reshape(2 * 2, 4, -1).mean(2, dtype=np.float64)
    degraded = abs(batch.unlabeled / 255 - 0.5).reshape(2 * 2, 4, -1).mean(2, dtype=np.float64)
    taught, costs = degraded if teach_degraded else clean, []
    for group in range(4):
        for i in range(4):
            for j in range(i + 1, 4):
                p = 1 / (1 + np.exp(5.0 * (taught[group, j] - taught[group, i]) / 0.5))
                q = 1 / (1 + np.exp(-2.0 * (degraded[group, j] - degraded[group, i]) / 0.5))
                costs.append(-abs(2 * p - 1) * (p * np.log(q) + (1 - p) * np.log(1 - q)))
    assert len(costs) == 24
    assert metrics["distillation"] == pytest.approx(np.mean(costs), rel=1e-4)
    assert metrics["loss"] == pytest.approx(3 * np.mean(costs), rel=1e-4)
    assert "quadruplet" not in metrics
    assert after.teacher_params == teacher


def test_the_average_follows_the_parameters(plain):
    plain.ema_decay = 0.9
    before, _, _, after = update(plain)
    for old, new, average in zip(*(jax.tree.leaves(t) for t in (before.params, after.params, after.ema_params))):
        np.testing.assert_allclose(average, 0.9 * old + 0.1 * new, atol=1e-6)
    assert after.scoring_params is after.ema_params


def test_above_every_difference_the_confidence_threshold_leaves_no_pair(plain):
    plain.consistency.confidence_threshold = 1.0
    _, _, metrics, _ = update(plain)
    assert metrics["confident"] == 0
    assert metrics["quadruplet"] == 0


def test_frozen_blocks_stay_as_they_are_and_the_rest_moves(plain, monkeypatch):
    given, with_frozen = set(), network.with_frozen
    monkeypatch.setattr(network, "with_frozen", lambda model, count: given.add(count) or with_frozen(model, count))
    plain.model.backbone, plain.model.blocks, plain.model.frozen_blocks = "efficientnet_lite0", 3, 2
    plain.consistency.quadruplet_weight, plain.optimizer.weight_decay = 0.0, 0.5
    model = network.from_config(plain.model)
    params = start.initial_params(plain, model)
    before, _, _, after = update(plain, model=model, params=params, tx=optimizer.build(plain.optimizer, 10))
    moved = jax.tree.map(lambda a, b: bool(np.any(a != b)), before.params, after.params)
    assert not any(jax.tree.leaves([moved["backbone"][name] for name in ("stem", "block00", "block01")]))
    assert all(jax.tree.leaves([moved["backbone"]["block02"], moved["head"], moved["attention"]]))
    assert given == {2}, "the step saves memory where no gradient is needed"


def test_an_optimizer_that_was_built_for_other_frozen_blocks_is_an_error(plain):
    """Not a silent decay of what should stay as it is."""
    plain.model.backbone, plain.model.blocks = "efficientnet_lite0", 3
    plain.consistency.quadruplet_weight = 0.0
    model, tx = network.from_config(plain.model), optimizer.build(plain.optimizer, 10)
    state = train_state.create(start.initial_params(plain, model), tx, frozen_blocks=0)
    plain.model.frozen_blocks = 2
    step = distributed.pmap(functools.partial(train_step.train_step, model=model, tx=tx, config=plain))
    with pytest.raises(ValueError, match="(?i)dict|tree|mismatch"):
        step(jax.device_get(state), distributed.shard(draw_batch(plain)))


def test_without_weight_the_labeled_pairs_teach_nothing(plain):
    plain.ranking.weight, plain.consistency.quadruplet_weight = 0.0, 1e-12
    before, _, metrics, after = update(plain)
    assert metrics["ranking"] > 0
    assert metrics["loss"] < 1e-9
    for a, b in zip(jax.tree.leaves(before.params), jax.tree.leaves(after.params)):
        np.testing.assert_allclose(a, b, atol=1e-9)


def test_ties_are_left_out_of_the_accuracy(plain):
    views = train_step.Views(labeled=np.zeros((4, 2, 32, 32, 3), np.float32), order=np.array([1.0, 0.0, -1.0, 0.0]))
    params = {"w": np.float32(2.0)}
    losses_of = functools.partial(train_step.losses_of, model=MeanNetwork(), config=plain)
    shares = distributed.pmap(lambda params, views: losses_of(params, views, 1.0))(params, distributed.shard(views))
    # Black images score alike: of the two ordered pairs each counts one half, and costs the margin of 0.1.
    assert shares["train_accuracy"] == 0.5
    assert shares["ranking"] == pytest.approx(0.05, abs=1e-6)
