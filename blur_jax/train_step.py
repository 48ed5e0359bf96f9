"""One semi-supervised update and one scoring pass, written for a single replica; `parallel.pmap` maps them.

The way of an update: augment -> degrade -> score -> losses -> averaged gradients -> new state.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_collections
import optax

from blur_jax import augment, degradations, losses, parallel
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
    """Whether the configured losses need unlabelled pairs at all."""
    return config.consistency.quadruplet_weight > 0 or config.consistency.pairwise_weight > 0


def make_train_step(
    model: nn.Module, tx: optax.GradientTransformation, config: ml_collections.ConfigDict
) -> Callable[[TrainState, Batch], tuple[TrainState, dict[str, jax.Array]]]:
    """Returns `train_step(state, batch) -> (state, metrics)` for one replica.

    Args:
        model: the scorer.
        tx: the optimizer.
        config: the run's config; read while tracing, so every choice in it is compiled in.

    The batch holds this replica's share: `batch["labeled"]` with left and right, uint8 [n, S, S, 3], and order, int8 [n];
    `batch["unlabeled"]` with left and right, uint8 [m, S, S, 3], where a consistency loss is on. Metrics are float32
    scalars, equal on every replica.
    """

    def score(params, images):
        """float32 [n, k, S, S, 3] -> float32 [n, k]: any number of images per example in one forward pass."""
        n, k = images.shape[:2]
        return model.apply({"params": params}, images.reshape(n * k, *images.shape[2:])).reshape(n, k)

    def pairs(part, step, stream):
        """Both images of each pair as float32 [n, 2, S, S, 3], each with its own rank-preserving augmentation."""
        images = to_float(jnp.stack([part["left"], part["right"]], axis=1))
        keys = parallel.example_keys(stream_key(config.seed, step, stream), images.shape[0])
        keys = jax.vmap(lambda key: jax.random.split(key, 2))(keys)
        augment_one = lambda key, image: augment.augment(key, image, **config.augment)
        return jax.vmap(jax.vmap(augment_one))(keys, images)

    def degrade(images, step):
        """One degradation for each pair, the same for both of its images."""
        keys = parallel.example_keys(stream_key(config.seed, step, STREAM_DEGRADATION), images.shape[0])
        options = dict(config.degradation, image_size=images.shape[-2], families=tuple(config.degradation.families))
        draws = jax.vmap(lambda key: degradations.sample(key, **options))(keys)
        return jax.vmap(degradations.apply)(draws, images)

    def consistency_inputs(state, part):
        """What the consistency losses need of the unlabelled pairs, before any gradient is taken."""
        clean = pairs(part, state.step, STREAM_UNLABELED)
        teacher = state.ema_params if config.consistency.teacher == "ema" else state.params
        return clean, degrade(clean, state.step), jax.lax.stop_gradient(score(teacher, clean))

    def consistency_losses(clean_scores, graded_scores):
        """Per-pair quadruplet and pairwise losses; `graded_scores` are [m, 2] degraded, or [m, 4] degraded then clean."""
        options = config.consistency
        degraded = graded_scores[:, :2]
        quadruplet = losses.quadruplet_consistency(
            clean_left=clean_scores[:, 0],
            clean_right=clean_scores[:, 1],
            degraded_left=degraded[:, 0],
            degraded_right=degraded[:, 1],
            margin=options.margin,
            gate=options.gate,
        )
        if not options.pairwise_weight:
            return quadruplet, jnp.zeros_like(quadruplet)
        pairwise = losses.pairwise_consistency(clean=graded_scores[:, 2:], degraded=degraded, margin=options.margin)
        return quadruplet, jnp.mean(pairwise, axis=1)

    def train_step(state: TrainState, batch: Batch) -> tuple[TrainState, dict[str, jax.Array]]:
        options = config.consistency
        labeled = pairs(batch["labeled"], state.step, STREAM_LABELED)
        order = batch["labeled"]["order"].astype(jnp.float32)
        n = labeled.shape[0]
        semi = uses_unlabeled(config)
        if semi:
            clean, degraded, clean_scores = consistency_inputs(state, batch["unlabeled"])
            # The pairwise loss alone needs a gradient through the clean images.
            graded = jnp.concatenate([degraded, clean], axis=1) if options.pairwise_weight else degraded
            m = graded.shape[0]
        ramp = jnp.minimum(1.0, (state.step + 1) / max(1, options.warmup_steps))

        def loss_fn(params):
            images = labeled.reshape(2 * n, 1, *labeled.shape[2:])
            if semi:
                images = jnp.concatenate([images, graded.reshape(-1, 1, *graded.shape[2:])])
            scores = score(params, images)[:, 0]
            left, right = scores[: 2 * n].reshape(n, 2).T
            ranking = losses.margin_ranking(
                left=left, right=right, order=order, margin=config.ranking.margin, tie_margin=config.ranking.tie_margin
            )
            correct = 0.5 * (1 + jnp.sign((right - left) * order))
            sums = {"ranking": ranking.sum(), "correct": jnp.where(order == 0, 0.0, correct).sum()}
            loss = sums["ranking"] / counts["labeled"]
            if semi:
                quadruplet, pairwise = consistency_losses(clean_scores, scores[2 * n :].reshape(m, -1))
                sums |= {"quadruplet": quadruplet.sum(), "pairwise": pairwise.sum()}
                weighted = options.quadruplet_weight * quadruplet + options.pairwise_weight * pairwise
                loss += ramp * weighted.sum() / counts["unlabeled"]
            return loss, sums

        # Sums over replicas divided by counts over replicas, never a mean of means.
        counts = {"labeled": jnp.float32(n), "ordered": jnp.sum(order != 0).astype(jnp.float32)}
        if semi:
            counts["unlabeled"] = jnp.float32(m)
        counts = {name: jnp.maximum(count, 1.0) for name, count in parallel.psum(counts).items()}
        (loss, sums), gradients = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
        if semi:
            trusted = losses.pseudo_order(left=clean_scores[:, 0], right=clean_scores[:, 1], gate=options.gate) != 0
            sums["trusted"] = trusted.sum().astype(jnp.float32)
        loss, sums, gradients = parallel.psum((loss, sums, gradients))

        updates, opt_state = tx.update(gradients, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        ema_params = state.ema_params
        if ema_params is not None:
            ema_params = optax.incremental_update(params, ema_params, 1.0 - config.ema_decay)
        metrics = {
            "loss": loss,
            "ranking": sums["ranking"] / counts["labeled"],
            "train_accuracy": sums["correct"] / counts["ordered"],
            "gradient_norm": optax.global_norm(gradients),
        }
        if semi:
            metrics |= {name: sums[name] / counts["unlabeled"] for name in ("quadruplet", "pairwise", "trusted")}
        new = TrainState(step=state.step + 1, params=params, opt_state=opt_state, ema_params=ema_params)
        return new, metrics

    return train_step


def make_score_step(model: nn.Module) -> Callable[[Any, jax.Array], jax.Array]:
    """Returns `score_step(params, images) -> scores` for one replica.

    images are uint8 [n, S, S, 3], this replica's share; scores are float32 [replicas * n], the whole global batch in order,
    on every replica.
    """

    def score_step(params: Any, images: jax.Array) -> jax.Array:
        return parallel.all_gather(model.apply({"params": params}, to_float(images)))

    return score_step
