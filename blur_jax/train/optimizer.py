"""The learning-rate schedule and the optax chain."""

from typing import Any

import jax
import ml_collections
import optax


def learning_rate(config: ml_collections.ConfigDict, steps: int) -> optax.Schedule:
    """Returns the learning rate as a function of the step: linear warm-up, then cosine decay to 0 at `steps`.

    Args:
        config: `config.optimizer`: learning_rate (peak), warmup_steps.
        steps: length of the run.

    Raises:
        ValueError: a warm-up that does not end before the run does.
    """
    if not 0 <= config.warmup_steps < steps:
        raise ValueError(
            f"config.optimizer.warmup_steps={config.warmup_steps} must be from 0 to below config.steps={steps}"
        )
    peak = config.learning_rate
    warmup = optax.linear_schedule(peak / (config.warmup_steps + 1), peak, config.warmup_steps)
    decay = optax.cosine_decay_schedule(peak, steps - config.warmup_steps)
    return optax.join_schedules([warmup, decay], [config.warmup_steps])


def build(config: ml_collections.ConfigDict, steps: int) -> optax.GradientTransformation:
    """Returns AdamW with a clipped global gradient norm; biases and normalization parameters are not decayed.

    Args:
        config: `config.optimizer`: as `learning_rate`, and clip_norm (None turns clipping off), weight_decay, and
            skips, how many updates in a row with a gradient that is not finite change nothing.
        steps: length of the run.
    """
    clip = optax.identity() if config.clip_norm is None else optax.clip_by_global_norm(config.clip_norm)
    # With the usual 1e-8 a gradient that is nothing but rounding becomes a full-sized update, and the same run drifts
    # apart on other numbers of devices.
    adamw = optax.adamw(learning_rate(config, steps), eps=1e-6, weight_decay=config.weight_decay, mask=_is_matrix)
    chain = optax.chain(clip, adamw)
    return optax.apply_if_finite(chain, config.skips) if config.skips else chain


def skipped(state: optax.OptState, skips: int) -> jax.Array:
    """Returns whether the last update was skipped: bool []; `skips` is that of `build`, above 0."""
    return ~state.last_finite & (state.notfinite_count <= skips)


def _is_matrix(params: Any) -> Any:
    return jax.tree.map(lambda parameter: parameter.ndim > 1, params)
