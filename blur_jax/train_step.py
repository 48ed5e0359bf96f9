"""One semi-supervised update and one scoring pass, written for a single replica; `parallel.pmap` maps them.

The way of an update: augment -> degrade -> score -> losses -> averaged gradients -> new state.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax

from blur_jax import augment, degradations, losses, models, parallel
from blur_jax.train_state import TrainState

Batch = dict[str, dict[str, jax.Array]]

# Named random streams: every draw of a step comes from fold_in(fold_in(key(seed), step), stream).
STREAM_INIT, STREAM_LABELED, STREAM_UNLABELED, STREAM_DEGRADATION = range(4)


def stream_key(seed: int, step: jax.Array | int, stream: int) -> jax.Array:
    """The key of one random stream at one step."""
    return jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), step), stream)


def to_float(images: jax.Array) -> jax.Array:
    """uint8 [..., S, S, 3] in [0, 255] -> float32 in [0, 1]."""
    return images.astype(jnp.float32) / 255.0


def uses_unlabeled(config: ml_collections.ConfigDict) -> bool:
    """Whether the configured losses need unlabeled pairs at all."""
    return config.consistency.quadruplet_weight > 0 or config.consistency.pairwise_weight > 0


def make_train_step(
    model: nn.Module, tx: optax.GradientTransformation, config: ml_collections.ConfigDict
) -> Callable[[TrainState, Batch], tuple[TrainState, dict[str, jax.Array]]]:
    """Returns `train_step(state, batch) -> (state, metrics)` for one replica.

    Args:
        model: the scorer.
        tx: the optimizer.
        config: the run's config; read while tracing, so every choice in it is compiled in.

    The batch holds this replica's share: `batch["labeled"]` with left and right, uint8 [n, S, S, 3], and order,
    int8 [n]; `batch["unlabeled"]` with left and right, uint8 [m, S, S, 3], where a consistency loss is on.
    Metrics are float32 scalars, equal on every replica.
    """
    options = config.consistency
    semi_supervised = uses_unlabeled(config)
    trainable = models.trainable(config.model)

    def score(params, pairs):
        """float32 [n, 2, S, S, 3] -> float32 [n, 2]."""
        scores = model.apply({"params": params}, pairs.reshape(-1, *pairs.shape[2:]))
        return scores.reshape(pairs.shape[:2])

    def augmented(part, step, stream):
        """Both images of each pair as float32 [n, 2, S, S, 3], each with its own rank-preserving augmentation."""
        images = to_float(jnp.stack([part["left"], part["right"]], axis=1))
        keys = parallel.example_keys(stream_key(config.seed, step, stream), images.shape[0])
        keys = jax.vmap(lambda key: jax.random.split(key, 2))(keys)
        return jax.vmap(jax.vmap(lambda key, image: augment.augment(key, image, **config.augment)))(keys, images)

    def degraded(pairs, step):
        """One degradation for each pair, the same for both of its images."""
        keys = parallel.example_keys(stream_key(config.seed, step, STREAM_DEGRADATION), pairs.shape[0])
        fixed = dict(config.degradation, image_size=pairs.shape[-2], families=tuple(config.degradation.families))
        draws = jax.vmap(lambda key: degradations.sample(key, **fixed))(keys)
        return jax.vmap(degradations.apply)(draws, pairs)

    def constants(state, batch):
        """All that the losses need and no gradient passes through."""
        step = state.step
        given = {"labeled": augmented(batch["labeled"], step, STREAM_LABELED)}
        given["order"] = batch["labeled"]["order"].astype(jnp.float32)
        if semi_supervised:
            given["clean"] = augmented(batch["unlabeled"], step, STREAM_UNLABELED)
            given["degraded"] = degraded(given["clean"], step)
            teacher = state.ema_params if options.teacher == "ema" else state.params
            given["clean_scores"] = jax.lax.stop_gradient(score(teacher, given["clean"]))
        return given

    def per_pair(params, given):
        """Losses and shares of each pair, out of one forward pass over everything that needs a gradient."""
        # Of the consistency losses, only the pairwise one sends a gradient through the clean images.
        names = ["labeled", *["degraded"] * semi_supervised, *["clean"] * (options.pairwise_weight > 0)]
        scores = score(params, jnp.concatenate([given[name] for name in names]))
        ends = np.cumsum([given[name].shape[0] for name in names])
        scores = dict(zip(names, jnp.split(scores, ends[:-1]), strict=True))

        left, right = scores["labeled"].T
        order = given["order"]
        values = {
            "ranking": losses.margin_ranking(
                left=left, right=right, order=order, margin=config.ranking.margin, tie_margin=config.ranking.tie_margin
            ),
            "train_accuracy": jnp.where(order == 0, 0.0, 0.5 + 0.5 * jnp.sign((right - left) * order)),
        }
        if semi_supervised:
            clean_left, clean_right = given["clean_scores"].T
            degraded_left, degraded_right = scores["degraded"].T
            values["quadruplet"] = losses.quadruplet_consistency(
                clean_left=clean_left,
                clean_right=clean_right,
                degraded_left=degraded_left,
                degraded_right=degraded_right,
                margin=options.margin,
                gate=options.gate,
            )
            values["trusted"] = jnp.abs(losses.pseudo_order(left=clean_left, right=clean_right, gate=options.gate))
        if options.pairwise_weight:
            pairwise = losses.pairwise_consistency(
                clean=scores["clean"], degraded=scores["degraded"], margin=options.margin
            )
            values["pairwise"] = jnp.mean(pairwise, axis=1)
        return values

    def train_step(state: TrainState, batch: Batch) -> tuple[TrainState, dict[str, jax.Array]]:
        given = constants(state, batch)
        ramp = jnp.minimum(1.0, (state.step + 1) / max(1, options.warmup_steps))
        # Sums over replicas over counts over replicas, never a mean of means.
        labeled, ordered = given["order"].size, jnp.sum(given["order"] != 0)
        unlabeled = given["clean"].shape[0] if semi_supervised else 0
        labeled, ordered, unlabeled = parallel.psum(jnp.array([labeled, ordered, unlabeled], jnp.float32))
        counts = dict.fromkeys(("quadruplet", "pairwise", "trusted"), unlabeled)
        counts |= {"ranking": labeled, "train_accuracy": jnp.maximum(ordered, 1.0)}

        def loss_fn(params):
            if trainable:  # So that nothing is computed backwards through what stays as it is.
                params = jax.tree.map(
                    lambda free, value: value if free else jax.lax.stop_gradient(value), trainable(params), params
                )
            shares = {name: value.sum() / counts[name] for name, value in per_pair(params, given).items()}
            weights = {"quadruplet": options.quadruplet_weight, "pairwise": options.pairwise_weight}
            consistency = sum(weights[name] * shares[name] for name in weights if name in shares)
            shares["loss"] = config.ranking.weight * shares["ranking"] + ramp * consistency
            return shares["loss"], shares

        gradients, metrics = jax.grad(loss_fn, has_aux=True)(state.params)
        gradients, metrics = parallel.psum((gradients, metrics))
        updates, opt_state = tx.update(gradients, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        ema_params = state.ema_params
        if ema_params is not None:
            ema_params = optax.incremental_update(params, ema_params, 1.0 - config.ema_decay)
        metrics["gradient_norm"] = optax.tree.norm(gradients)
        return TrainState(step=state.step + 1, params=params, opt_state=opt_state, ema_params=ema_params), metrics

    return train_step


def make_map_step(function: Callable[[Any, jax.Array], jax.Array]) -> Callable[[Any, jax.Array], jax.Array]:
    """Returns `map_step(params, images)` for one replica, that applies a function of images to a whole global batch.

    function(params, images), of float32 [n, S, S, 3] in [0, 1], gives [n, ...]: scores, or features. images are uint8
    [n, S, S, 3], this replica's share; what comes back is [replicas * n, ...], in order, on every replica.
    """

    def map_step(params: Any, images: jax.Array) -> jax.Array:
        return parallel.all_gather(function(params, to_float(images)))

    return map_step
