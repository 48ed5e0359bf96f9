"""Rejects invalid configs before any data are prepared or a run directory is claimed."""

from typing import Any

import jax
import ml_collections

from blur_jax.data import augmentation, degradations, judged_table
from blur_jax.models import network
from blur_jax.runs import checkpoints, distributed, run_dir
from blur_jax.runs.config import PROBE_TERMS, UNLABELED_LOSSES, check_ranges, uses_unlabeled
from blur_jax.train import optimizer, start


def check_config(config: ml_collections.ConfigDict, workdir: str | None = None, devices: int | None = None) -> None:
    """Raises ValueError with the field name if the config cannot work; all processes must call it together.

    Once the run in `workdir` has saved a checkpoint, it no longer needs `config.start_from`. `devices` is the number of
    devices to train on; None means all devices of this run.
    """
    check_ranges(config)
    devices = jax.device_count() if devices is None else devices
    distributed.check_batch_size(config.batch.labeled, "batch.labeled", devices)
    if uses_unlabeled(config):
        distributed.check_batch_size(config.batch.unlabeled, "batch.unlabeled", devices)
        _check_groups(config, devices)
    elif config.ranking.weight == 0:
        names = ", ".join(f"config.consistency.{name}_weight" for name in UNLABELED_LOSSES)
        raise ValueError(f"config.ranking.weight, {names} are all 0, so the run would learn nothing; set one above 0")
    _check_probe(config)
    network.from_config(config.model)
    optimizer.build(config.optimizer, config.steps)
    key = jax.eval_shape(lambda: jax.random.key(0))
    size = config.data.image_size
    drawn: dict[str, Any] = {**config.degradation, "image_size": size, "families": tuple(config.degradation.families)}
    try:
        jax.eval_shape(lambda key: degradations.sample(key, **drawn), key)
        jax.eval_shape(lambda key: augmentation.sample(key, image_size=size, **config.augment), key)
    except ValueError as error:
        raise ValueError(f"config.degradation or config.augment: {error}") from error
    distributed.everywhere(_check_paths, config, workdir)
    if workdir is not None:
        checkpoints.try_folder(workdir)


def divisible(config: ml_collections.ConfigDict) -> list[int]:
    """Returns the batch sizes that the number of devices must divide, even if `check_config` rejects the config."""
    unlabeled = config.batch.unlabeled // max(1, config.consistency.pairs_per_degradation)
    return [config.batch.labeled, *([unlabeled] if uses_unlabeled(config) else [])]


def _check_paths(config: ml_collections.ConfigDict, workdir: str | None) -> None:
    if workdir is not None:
        run_dir.resolve(workdir)  # Raises for an address that cannot be a run directory.
    if config.start_from is not None and (workdir is None or checkpoints.latest_step(workdir) is None):
        start.find_start(config)
    if config.evaluation.judged is not None:
        judged_table.read(config.evaluation.judged)


def _check_probe(config: ml_collections.ConfigDict) -> None:
    weighted = [f"config.probe.{name}" for name in PROBE_TERMS if config.probe[name]]
    if weighted and config.probe.strength is None:
        raise ValueError(f"{', '.join(weighted)} would do nothing without a linear probe; set config.probe.strength")
    if config.probe.prior and config.start_from is None:
        raise ValueError("config.probe.prior needs a head to follow; set config.start_from")
    least, most, size = config.probe.side_min, config.probe.side_max, config.data.image_size
    if weighted and not least < most < size:
        raise ValueError(
            "expected config.probe.side_min < config.probe.side_max < config.data.image_size, found"
            f" {least}, {most} and {size}"
        )


def _check_groups(config: ml_collections.ConfigDict, devices: int) -> None:
    group, weight = config.consistency.pairs_per_degradation, config.consistency.distillation_weight
    share = config.batch.unlabeled // devices
    if share % group:
        raise ValueError(
            f"config.consistency.pairs_per_degradation={group} must divide the {share} unlabeled pairs on each device"
        )
    if weight == 0 and config.consistency.teach_degraded:
        raise ValueError(
            "config.consistency.teach_degraded=True needs a teacher; set config.consistency.distillation_weight above 0"
        )
    if weight > 0 and config.probe.strength is None and config.start_from is None:
        raise ValueError(
            f"config.consistency.distillation_weight={weight} would distill a randomly initialized network; set"
            " config.probe.strength or config.start_from, or set the weight to 0"
        )
