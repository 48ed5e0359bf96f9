"""The learning-rate schedule and the optax chain."""

from typing import Any

import jax
import ml_collections
import optax

from blur_jax.runs import distributed
from blur_jax.runs.config import uses_unlabeled


def learning_rate(config: ml_collections.ConfigDict, steps: int) -> optax.Schedule:
    """Returns the learning rate as a function of the step: linear warm-up, then cosine decay to 0 at `steps`.

    `config` is `config.optimizer`; `learning_rate` is the peak, and `fitted_warmup` adjusts `warmup_steps`.
    """
    peak, warmup_steps = config.learning_rate, fitted_warmup(config.warmup_steps, steps)
    warmup = optax.linear_schedule(peak / (warmup_steps + 1), peak, warmup_steps)
    decay = optax.cosine_decay_schedule(peak, max(1, steps - warmup_steps))
    return optax.join_schedules([warmup, decay], [warmup_steps])


def fitted_warmup(warmup_steps: int, steps: int) -> int:
    """Returns the warm-up length in steps: `warmup_steps`, or half of a run that is no longer than that."""
    return warmup_steps if warmup_steps < steps else steps // 2


def warn_of_short_run(config: ml_collections.ConfigDict) -> None:
    steps, fields = config.steps, ["optimizer.warmup_steps"]
    if uses_unlabeled(config):
        fields.append("consistency.warmup_steps")
    given = {field: config[field.partition(".")[0]].warmup_steps for field in fields}
    shortened = [f"config.{field}={value}" for field, value in given.items() if fitted_warmup(value, steps) != value]
    if steps and shortened:
        distributed.say(
            f"the warm-up ({', '.join(shortened)}) does not fit in a run of {steps} steps; it is shortened to"
            f" {steps // 2} steps"
        )


def build(config: ml_collections.ConfigDict, steps: int) -> optax.GradientTransformation:
    """Returns AdamW with a clipped global gradient norm and no weight decay for biases and normalization parameters.

    `config` is `config.optimizer`; up to `max_skipped_updates` updates in a row are skipped if their gradients are not
    finite.
    """
    clip = optax.identity() if config.clip_norm is None else optax.clip_by_global_norm(config.clip_norm)
    # With the usual eps of 1e-8, a gradient that is only rounding error becomes a full-sized update, and the same
    # run diverges on different numbers of devices.
    adamw = optax.adamw(learning_rate(config, steps), eps=1e-6, weight_decay=config.weight_decay, mask=_is_matrix)
    chain = optax.chain(clip, adamw)
    limit = config.max_skipped_updates
    return optax.apply_if_finite(chain, limit) if limit else chain


def skipped(state: Any, max_skipped_updates: int) -> jax.Array:
    """Returns whether the last update was skipped, bool []; `max_skipped_updates`, as in `build`, must be above 0."""
    return ~state.last_finite & (state.notfinite_count <= max_skipped_updates)


def _is_matrix(params: Any) -> Any:
    return jax.tree.map(lambda parameter: parameter.ndim > 1, params)
