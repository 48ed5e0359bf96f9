"""The training loop: `train(config, workdir)`."""

import contextlib
import functools
import json
from collections.abc import Callable, Iterator
from typing import Any

import jax
import ml_collections
import optax

from blur_jax.data import batches
from blur_jax.models.network import Network
from blur_jax.runs import checkpoints, distributed, provenance, run_dir
from blur_jax.runs.config import uses_unlabeled
from blur_jax.train import config_check, start, validation
from blur_jax.train.log import StepLog, Writer, is_due
from blur_jax.train.state import TrainState, check_finite
from blur_jax.train.step import train_step


def train(config: ml_collections.ConfigDict, workdir: str) -> bool:
    """Trains a scorer, or resumes a run that was stopped.

    The state after any step is a function of the config and the data alone, so a run that was killed and started again
    ends where an uninterrupted one does. SIGTERM and Ctrl-C save and return early.

    Args:
        config: see configs/default.py.
        workdir: the run directory, created where needed.

    Returns:
        True when the run has made all its steps, False when it was asked to stop before.

    Raises:
        ValueError: a config that cannot work, or `workdir` holds a run of another config or other data, or no
            checkpoint that is whole, or is in use.
        OSError: `workdir` cannot be written.
        FloatingPointError: the loss or the state is no longer finite; the last good checkpoint is kept.
    """
    config_check.check(config, workdir)
    pairs = distributed.everywhere(start.open_pairs, config)
    model, tx = start.build(config)
    recorded = distributed.on_process_zero(checkpoints.newest_config, workdir)
    state = start.initial_state(config, model, tx, pairs.labeled if recorded is None else None)
    fingerprint = distributed.everywhere(start.fingerprint, pairs)
    # Claimed only now that everything a config can get wrong has been tried: a typo leaves no claim behind.
    with distributed.everywhere(_claim, config, workdir, recorded), contextlib.ExitStack() as stack:
        newest = distributed.on_process_zero(checkpoints.newest_whole, workdir, state.arrays())
        _check_still_there(workdir, newest, recorded)
        record = {}
        if newest is not None:
            arrays, record = distributed.everywhere(checkpoints.restore, workdir, newest, state.arrays())
            state = state.at(newest, arrays)
            distributed.everywhere(_check_data, workdir, record, fingerprint)
        if state.step >= config.steps:
            distributed.say(
                f"{workdir}: this run has made its {config.steps} steps; to train on from it, give another --workdir"
                f" and --config.start_from={workdir}"
            )
            return True
        saver = stack.enter_context(contextlib.closing(checkpoints.Checkpoints(workdir, keep=config.keep)))
        if state.step:
            distributed.say(f"{workdir}: resuming from step {state.step}")
        distributed.on_process_zero(provenance.record_start, workdir, int(state.step))
        step = make_step(config, model, tx)
        others = [split for split in (pairs.labeled, pairs.unlabeled) if split]
        validate = distributed.everywhere(validation.make_validate, config, model, pairs.validation, others)
        validation.warn_of_few_pairs(pairs.validation, pairs.labeled)
        try:
            return _loop(config, workdir, state, step, pairs, validate, saver, record.get("unlogged", []), fingerprint)
        except FloatingPointError as error:
            good = saver.latest_step
            kept = "no checkpoint was saved" if good is None else f"the last good checkpoint (step {good}) is kept"
            raise FloatingPointError(
                f"{error}; training stops and {kept}. Lower config.optimizer.learning_rate"
                " or config.optimizer.clip_norm and train in another --workdir"
            ) from error


def make_step(config: ml_collections.ConfigDict, model: Network, tx: optax.GradientTransformation) -> Callable:
    """Returns the update on all devices: (replicated state, which is donated; sharded batch) -> (state, metrics)."""
    return distributed.pmap(functools.partial(train_step, model=model, tx=tx, config=config), donate_state=True)


def make_batches(config: ml_collections.ConfigDict, pairs: start.Pairs, first_step: int) -> Iterator[batches.Batch]:
    """Yields this process's share of the batches of the steps after `first_step`, without end."""
    return batches.train_batches(
        pairs.labeled,
        config.batch.labeled,
        pairs.unlabeled,
        config.batch.unlabeled,
        seed=config.seed,
        first_step=first_step,
        process_index=jax.process_index(),
        process_count=jax.process_count(),
    )


def images_per_step(config: ml_collections.ConfigDict) -> int:
    """Returns how many images a global batch has."""
    return 2 * (config.batch.labeled + (config.batch.unlabeled if uses_unlabeled(config) else 0))


def _claim(
    config: ml_collections.ConfigDict, workdir: str, recorded: dict[str, Any] | None
) -> contextlib.AbstractContextManager:
    return run_dir.claim(config, workdir, recorded) if distributed.is_process_zero() else contextlib.nullcontext()


def _check_still_there(workdir: str, newest: int | None, recorded: dict[str, Any] | None) -> None:
    if (newest is None) != (recorded is None):
        raise ValueError(f"{workdir}: its checkpoints changed while the run was starting; rerun the command")


def _check_data(workdir: str, record: dict[str, Any], fingerprint: str) -> None:
    if record["data"] != fingerprint:
        raise ValueError(
            f"{workdir}: the prepared data are not those that this run began with (fingerprint {fingerprint}, not"
            f" {record['data']}); give --config.data.dir with the same data, or train on from the run on these in"
            f" another --workdir with --config.start_from={workdir}"
        )


def _loop(
    config: ml_collections.ConfigDict,
    workdir: str,
    state: TrainState,
    run_step: Callable,
    pairs: start.Pairs,
    validate: Callable,
    saver: checkpoints.Checkpoints,
    unlogged: list[dict[str, float]],
    fingerprint: str,
) -> bool:
    """Makes the steps that are left; returns whether it got to the last."""
    first_step = int(state.step)
    batches = make_batches(config, pairs, first_step)
    writer = distributed.everywhere(
        Writer, workdir, first_step=first_step, steps=config.steps, images_per_step=images_per_step(config)
    )
    log = StepLog(config, writer, unlogged)
    state = distributed.replicate(state)
    with contextlib.closing(writer), distributed.Preemption() as preemption:
        for step in range(first_step + 1, config.steps + 1):
            state, metrics = run_step(state, distributed.shard(next(batches)))
            log.follow(step, metrics)
            last, stop = step == config.steps, preemption.reached(step)
            due = is_due(step, config.checkpoint_every) or last
            if due or stop:
                log.catch_up()
                host_state = jax.device_get(state)
                check_finite(host_state)
                found, calibration = validate(state.scoring_params) if due else ({}, None)
                if due:
                    distributed.everywhere(writer.write_validation, step, found)
                    validation.warn_of_collapse(step, found["score_spread"])
                saver.save(
                    step,
                    host_state.arrays(),
                    config=json.loads(config.to_json()),
                    preprocessing=pairs.validation.preprocessing,
                    validation_accuracy=found.get("validation_accuracy"),
                    validation_pairs=validation.count_ordered(pairs.validation),
                    calibration=calibration,
                    unlogged=log.unlogged,
                    data=fingerprint,
                )
            if stop:
                saver.wait()
                reason = preemption.reason
                distributed.say(f"{workdir}: stopped by {reason} and saved at step {step}; rerun the command to resume")
                return False
    return True
