"""One semi-supervised update, written for a single replica; `distributed.pmap` runs it on every replica.

The steps are `make_views` (degrade, augment, score the clean pairs) -> `losses_of` -> averaged gradients -> new state.
Each function runs inside a mapped function; `functools.partial` binds the model, optimizer and config.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax
from jax import lax

from blur_jax.data import augmentation, degradations
from blur_jax.data.batches import Batch
from blur_jax.models import network
from blur_jax.runs import distributed
from blur_jax.runs.config import UNLABELED_LOSSES, uses_own_labels, uses_unlabeled
from blur_jax.runs.inference import to_float
from blur_jax.train import losses, optimizer
from blur_jax.train.state import TrainState

# Named random streams: every draw in a step comes from fold_in(fold_in(key(seed), step), stream).
STREAM_INIT, STREAM_LABELED, STREAM_UNLABELED, STREAM_DEGRADATION, STREAM_PROBE = range(5)


class Views(NamedTuple):
    """The loss inputs that no gradient passes through, for n labeled and m unlabeled pairs."""

    labeled: jax.Array  # float32 [n, 2, S, S, 3], augmented labeled pairs.
    order: jax.Array  # float32 [n], +1 if the right image is blurrier, -1 if the left is, 0 for a tie.
    # float32 [m, 2, S, S, 3], unlabeled pairs, degraded and then augmented; `config.consistency.pairs_per_degradation`
    # pairs share a degradation. This field and the next three are None if no loss uses them.
    degraded: jax.Array | None = None
    clean: jax.Array | None = None  # float32 [m, 2, S, S, 3], the same without the degradation.
    clean_scores: jax.Array | None = None  # float32 [m, 2], the network's scores of `clean`.
    # float32 [m, 2], of the unlabeled pairs before any change, or after only the degradation (`teach_degraded`).
    teacher_scores: jax.Array | None = None


def stream_key(seed: int, step: jax.Array | int, stream: int) -> jax.Array:
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), step), stream)


def train_step(
    state: TrainState,
    batch: Batch,
    *,
    model: nn.Module,
    tx: optax.GradientTransformation,
    config: ml_collections.ConfigDict,
) -> tuple[TrainState, dict[str, jax.Array]]:
    """Makes an update from this replica's share of a batch; returns (new state, metrics), the same on every replica.

    Metrics are float32 scalars. `config` is read during tracing, so its choices are compiled into the program.
    """
    model = network.with_frozen(model, config.model.frozen_blocks)  # ty: ignore[invalid-argument-type]
    views = make_views(state.params, batch, state.step, model=model, config=config, teacher_params=state.teacher_params)
    warmup_steps = optimizer.fitted_warmup(config.consistency.warmup_steps, config.steps)
    ramp = jnp.minimum(1.0, (state.step + 1) / max(1, warmup_steps))
    trained, frozen = network.partition(state.params, config.model.frozen_blocks)

    def loss_of(trained: Any) -> tuple[jax.Array, dict[str, jax.Array]]:
        metrics = losses_of(network.merge(trained, frozen), views, ramp, model=model, config=config)
        return metrics["loss"], metrics

    gradients, metrics = distributed.psum(jax.grad(loss_of, has_aux=True)(trained))
    updates, opt_state = tx.update(gradients, state.opt_state, trained)
    params = network.merge(optax.apply_updates(trained, updates), frozen)  # ty: ignore[invalid-argument-type]
    ema_params = state.ema_params
    if ema_params is not None:
        ema_params = optax.incremental_update(params, ema_params, 1.0 - config.ema_decay)
    metrics["gradient_norm"] = optax.tree.norm(gradients)
    if config.optimizer.max_skipped_updates:
        metrics["skipped"] = optimizer.skipped(opt_state, config.optimizer.max_skipped_updates).astype(jnp.float32)
    state = state.replace(  # ty: ignore[missing-attribute]
        step=state.step + 1, params=params, opt_state=opt_state, ema_params=ema_params
    )
    return state, metrics


def make_views(
    params: Any,
    batch: Any,
    step: jax.Array,
    *,
    model: nn.Module,
    config: ml_collections.ConfigDict,
    teacher_params: Any = None,
) -> Views:
    """Degrades, augments and scores the clean pairs in this replica's share of a batch; `step` seeds the draws."""
    draws = _augmentations(batch.labeled, stream_key(config.seed, step, STREAM_LABELED), config.augment)
    labeled = _augmented(augmentation.apply, draws, to_float(batch.labeled))
    order = batch.order.astype(jnp.float32)
    if not uses_unlabeled(config):
        return Views(labeled, order)
    unlabeled = to_float(batch.unlabeled)
    draws = _augmentations(batch.unlabeled, stream_key(config.seed, step, STREAM_UNLABELED), config.augment)
    noisy = _augmented(augmentation.add_noise, draws, unlabeled)
    consistency = config.consistency
    degrade = partial(
        _degraded,
        key=stream_key(config.seed, step, STREAM_DEGRADATION),
        options=config.degradation,
        images_alike=2 * consistency.pairs_per_degradation if consistency.share_degradation else 1,
    )
    # Noise is added before the degradation, but exposure is changed last. If clipped highlights were always blurred,
    # the scorer would mistake the hard edges of clipping for sharpness.
    exposed = partial(_augmented, augmentation.apply, augmentation.without_noise(draws))
    if consistency.teach_degraded:  # The teacher sees the same pictures, but without noise.
        taught = degrade(unlabeled)
        degraded = _augmented(augmentation.apply, draws, taught)
    else:
        taught, degraded = unlabeled, exposed(degrade(noisy))
    clean = clean_scores = teacher_scores = None
    if uses_own_labels(config):
        clean = exposed(noisy)
        clean_scores = _score(model, params, clean)
    if consistency.distillation_weight > 0:
        teacher_scores = _score(model, teacher_params, taught)
    return Views(labeled, order, degraded, clean, clean_scores, teacher_scores)


def losses_of(
    params: Any, views: Views, ramp: jax.Array, *, model: nn.Module, config: ml_collections.ConfigDict
) -> dict[str, jax.Array]:
    """Scores the views in one forward pass and returns this replica's share of each loss and metric by name.

    `ramp`, float32 [] in [0, 1], scales the consistency losses early in the run. The results are float32 scalars whose
    sum over replicas is the mean over all pairs, not a mean of replica means.
    """
    weights = config.consistency
    parts: list[Any] = [views.labeled]
    if views.degraded is not None:
        parts.append(views.degraded)
    if weights.pairwise_weight > 0:  # The only loss with a gradient through the clean scores.
        parts.append(views.clean)
    sizes = [len(part) for part in parts]
    scores = _score(model, params, jnp.concatenate(parts))
    labeled, *unlabeled = jnp.split(scores, [sum(sizes[:end]) for end in range(1, len(sizes))])

    metrics = _labeled_losses(labeled, views.order, config.ranking)
    loss = config.ranking.weight * metrics["ranking"]
    if unlabeled:
        extra = _unlabeled_losses(views, *unlabeled, options=weights)
        loss += ramp * sum(weights[f"{name}_weight"] * extra[name] for name in UNLABELED_LOSSES if name in extra)
        metrics |= extra
    return metrics | {"loss": loss}


def _labeled_losses(scores: jax.Array, order: jax.Array, config: ml_collections.ConfigDict) -> dict[str, jax.Array]:
    left, right = scores.T
    ranking = losses.margin_ranking(
        left=left, right=right, order=order, margin=config.margin, tie_margin=config.tie_margin
    )
    in_order = 0.5 + 0.5 * jnp.sign((right - left) * order)
    return {"ranking": _part_of_mean(ranking), "train_accuracy": _part_of_mean(in_order, where=order != 0)}


def _unlabeled_losses(
    views: Views,
    degraded_scores: jax.Array,
    clean_scores_with_gradient: jax.Array | None = None,
    *,
    options: ml_collections.ConfigDict,
) -> dict[str, jax.Array]:
    metrics = {}
    if views.teacher_scores is not None:
        teacher_left, teacher_right = _pairs_in_groups(views.teacher_scores, options.pairs_per_degradation)
        left, right = _pairs_in_groups(degraded_scores, options.pairs_per_degradation)
        distillation = losses.pair_distillation(
            teacher_left=teacher_left,
            teacher_right=teacher_right,
            left=left,
            right=right,
            temperature=options.temperature,
        )
        metrics["distillation"] = _part_of_mean(distillation)
    if views.clean_scores is None:
        return metrics
    clean_left, clean_right = views.clean_scores.T
    degraded_left, degraded_right = degraded_scores.T
    quadruplet = losses.quadruplet_consistency(
        clean_left=clean_left,
        clean_right=clean_right,
        degraded_left=degraded_left,
        degraded_right=degraded_right,
        margin=options.margin,
        confidence_threshold=options.confidence_threshold,
    )
    labels = losses.pseudo_label(left=clean_left, right=clean_right, confidence_threshold=options.confidence_threshold)
    metrics |= {"quadruplet": _part_of_mean(quadruplet), "confident": _part_of_mean(jnp.abs(labels))}
    if clean_scores_with_gradient is not None:
        pairwise = losses.pairwise_consistency(
            clean=clean_scores_with_gradient, degraded=degraded_scores, margin=options.margin
        )
        metrics["pairwise"] = _part_of_mean(jnp.mean(pairwise, axis=1))
    return metrics


def _pairs_in_groups(scores: jax.Array, group: int) -> tuple[jax.Array, jax.Array]:
    """Forms all pairs of scores that share a degradation: float32 [m, 2] -> two [m * (2 * group - 1)]."""
    first, second = np.triu_indices(2 * group, k=1)
    scores = scores.reshape(-1, 2 * group)
    return scores[:, first].ravel(), scores[:, second].ravel()


def _part_of_mean(values: jax.Array, where: jax.Array | None = None) -> jax.Array:
    """Returns this replica's contribution to the mean of [n] over all replicas; 0 if no entry counts."""
    if where is None:
        return jnp.sum(values) / distributed.psum(jnp.float32(values.size))
    count = distributed.psum(jnp.sum(where).astype(jnp.float32))
    return jnp.sum(jnp.where(where, values, 0.0)) / jnp.maximum(count, 1.0)


def _score(model: nn.Module, params: Any, pairs: jax.Array) -> jax.Array:
    """Scores pairs: float32 [n, 2, S, S, 3] -> float32 [n, 2]."""
    scores: Any = model.apply({"params": params}, pairs.reshape(-1, *pairs.shape[2:]))
    return scores.reshape(pairs.shape[:2])


def _augmentations(pairs: jax.Array, key: jax.Array, options: ml_collections.ConfigDict) -> augmentation.Augmentation:
    """Draws the augmentation of each of the 2n images in pairs [n, 2, S, S, 3]."""
    keys = jax.vmap(lambda key: jax.random.split(key, 2))(distributed.example_keys(key, len(pairs)))
    return jax.vmap(partial(augmentation.sample, image_size=pairs.shape[-2], **options))(keys.ravel())


def _augmented(change: Callable, draws: augmentation.Augmentation, pairs: jax.Array) -> jax.Array:
    """Changes each image in pairs, float32 [n, 2, S, S, 3], by its own draw."""
    return map_examples(change, draws, pairs.reshape(-1, *pairs.shape[2:])).reshape(pairs.shape)


def _degraded(pairs: jax.Array, key: jax.Array, options: ml_collections.ConfigDict, images_alike: int) -> jax.Array:
    """Degrades pairs, float32 [n, 2, S, S, 3]; every `images_alike` consecutive images share a degradation."""
    fixed: dict[str, Any] = dict(options, image_size=pairs.shape[-2], families=tuple(options.families))
    keys = distributed.example_keys(key, 2 * len(pairs) // images_alike)

    def degrade(key: jax.Array, images: jax.Array) -> jax.Array:
        return degradations.apply(degradations.sample(key, **fixed), images)

    return map_examples(degrade, keys, pairs.reshape(-1, images_alike, *pairs.shape[2:])).reshape(pairs.shape)


def map_examples(function: Callable, *arguments: Any) -> Any:
    """Like `jax.vmap`, but maps one example at a time on CPUs: each fits in a core's caches, which halves the time.

    The device that the program is compiled for decides, which may not be one of this process (`pod.py`).
    """
    return lax.platform_dependent(
        *arguments,
        cpu=lambda *examples: lax.map(lambda example: function(*example), examples),
        default=jax.vmap(function),
    )
