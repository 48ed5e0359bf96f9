"""Whether a config can work: what can be refused at once is, before data are prepared or a run directory is claimed."""

import jax
import jax.numpy as jnp
import ml_collections

from blur_jax import augment, checkpoints, degradations, distributed, models, optimizer, train_step, warm_start


def check(config: ml_collections.ConfigDict, workdir: str | None = None) -> None:
    """Raises ValueError, naming the field, for a config that cannot work; all processes must call it together.

    Args:
        config: the run's config.
        workdir: the run directory; None is one that does not exist yet. Once a run has saved something there, what it
            started from is not asked for again.
    """
    for field in ("steps", "log_every", "checkpoint_every", "keep", "evaluation.batch_size", "evaluation.resamples"):
        value = _field(config, field)
        if value < 1:
            raise ValueError(f"config.{field}={value} must be at least 1")
    distributed.check_batch_size(config.batch.labeled, "batch.labeled")
    if train_step.uses_unlabeled(config):
        distributed.check_batch_size(config.batch.unlabeled, "batch.unlabeled")
        _check_groups(config)
    for field in ("model.linear_probe", "optimizer.clip_norm"):
        value = _field(config, field)
        if value is not None and not value > 0:
            raise ValueError(f"config.{field}={value} must be above 0; leave it unset to turn it off")
    if config.ema_decay is not None and not 0 < config.ema_decay < 1:
        raise ValueError(f"config.ema_decay={config.ema_decay} must be between 0 and 1; leave it unset to turn it off")
    models.from_config(config.model)
    optimizer.build(config.optimizer, config.steps)
    size = config.data.image_size
    key, image = jax.eval_shape(lambda: (jax.random.key(0), jnp.zeros((size, size, 3))))
    drawn = {**config.degradation, "image_size": size, "families": tuple(config.degradation.families)}
    try:
        jax.eval_shape(lambda key: degradations.sample(key, **drawn), key)
        jax.eval_shape(lambda key, image: augment.augment(key, image, **config.augment), key, image)
    except ValueError as error:
        raise ValueError(f"config.degradation or config.augment: {error}") from error
    fresh = workdir is None or distributed.on_process_zero(checkpoints.latest_step, workdir) is None
    if fresh and config.start_from is not None:
        distributed.everywhere(warm_start.find, config)


def _check_groups(config: ml_collections.ConfigDict) -> None:
    group, weight = config.consistency.group, config.consistency.distillation_weight
    share = config.batch.unlabeled // jax.device_count()
    if group < 1 or share % group:
        raise ValueError(f"config.consistency.group={group} must divide the {share} unlabeled pairs of each device")
    if weight > 0 and not config.consistency.temperature > 0:
        raise ValueError(f"config.consistency.temperature={config.consistency.temperature} must be above 0")
    if weight > 0 and config.model.linear_probe is None and config.start_from is None:
        raise ValueError(
            f"config.consistency.distillation_weight={weight} distills what training starts from, and that is a random"
            " network: set config.model.linear_probe or config.start_from, or a weight of 0"
        )


def _field(config: ml_collections.ConfigDict, name: str) -> float | None:
    for part in name.split("."):
        config = config[part]
    return config
