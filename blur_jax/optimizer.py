"""The learning-rate schedule and the optax chain."""

from collections.abc import Callable
from typing import Any

import jax
import ml_collections
import optax

SCHEDULES = ("cosine", "linear", "constant")


def learning_rate(config: ml_collections.ConfigDict, steps: int) -> optax.Schedule:
    """The learning rate as a function of the step: linear warm-up, then the chosen decay to 0 at `steps`.

    Args:
        config: `config.optimizer`: learning_rate (peak), warmup_steps, schedule.
        steps: length of the run, in steps.

    Raises:
        ValueError: an unknown schedule, or a warm-up that does not end before the run does.
    """
    if config.schedule not in SCHEDULES:
        raise ValueError(f"config.optimizer.schedule must be one of {SCHEDULES}, not {config.schedule!r}")
    if not 0 <= config.warmup_steps < steps:
        raise ValueError(
            f"config.optimizer.warmup_steps={config.warmup_steps} must be from 0 to below config.steps={steps}"
        )
    peak, decay_steps = config.learning_rate, steps - config.warmup_steps
    decay = {
        "cosine": optax.cosine_decay_schedule(peak, decay_steps),
        "linear": optax.linear_schedule(peak, 0.0, decay_steps),
        "constant": optax.constant_schedule(peak),
    }[config.schedule]
    warmup = optax.linear_schedule(peak / (config.warmup_steps + 1), peak, config.warmup_steps)
    return optax.join_schedules([warmup, decay], [config.warmup_steps])


def build(
    config: ml_collections.ConfigDict, steps: int, *, trainable: Callable[[Any], Any] | None = None
) -> optax.GradientTransformation:
    """AdamW with a clipped global gradient norm; biases and normalization parameters are not decayed.

    Args:
        config: `config.optimizer`: as `learning_rate`, and clip_norm (0 turns clipping off), weight_decay.
        steps: length of the run, in steps.
        trainable: from parameters to the same tree of bools; the others are left as they are, without moments or decay.
    """
    clip = optax.clip_by_global_norm(config.clip_norm) if config.clip_norm else optax.identity()
    # With the usual 1e-8 a gradient that is nothing but rounding becomes a full-sized update, and the same run drifts
    # apart on other numbers of devices.
    adamw = optax.adamw(learning_rate(config, steps), eps=1e-6, weight_decay=config.weight_decay, mask=_is_matrix)
    chain = optax.chain(clip, adamw)
    # What is masked passes through; their gradient is zero, and stays so.
    return optax.masked(chain, trainable) if trainable else chain


def _is_matrix(params):
    return jax.tree.map(lambda parameter: parameter.ndim > 1, params)
