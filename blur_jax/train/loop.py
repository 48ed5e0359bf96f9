"""The training loop: `train(config, workdir)`."""

import contextlib
import functools
import json
from collections.abc import Iterator, Sequence

import jax
import ml_collections
import optax

from blur_jax.data import batches
from blur_jax.models.network import Network
from blur_jax.runs import checkpoints, distributed
from blur_jax.train import start, validation
from blur_jax.train.log import StepLog, Writer
from blur_jax.train.run import Run, claim_run, open_run, resume_run
from blur_jax.train.state import TrainState, check_finite
from blur_jax.train.step import train_step


def train(config: ml_collections.ConfigDict, workdir: str) -> bool:
    """Trains a scorer, or resumes a run that was stopped.

    The state after any step depends only on the config and the data, so a run that was killed and restarted ends in the
    same state as an uninterrupted one. On SIGTERM or Ctrl-C it saves a checkpoint and returns early.

    The config must pass `config_check.check_config`. Returns whether the run has completed all its steps.

    Raises:
        ValueError: `workdir` is in use, or contains a different run or only damaged checkpoints, or a split is missing.
        FileNotFoundError: the data are not prepared.
        OSError: `workdir` cannot be written.
        FloatingPointError: the loss or the state is no longer finite; the last good checkpoint is kept.
    """
    run = open_run(config, workdir)
    state = run.initial_state()
    with contextlib.ExitStack() as stack:
        # Every config error has surfaced by now, so a typo does not leave a claimed directory behind.
        lock, newest = distributed.everywhere(claim_run, run, workdir, state.arrays())
        stack.enter_context(lock)
        newest = distributed.share(newest)
        state, unlogged, writer = distributed.everywhere(resume_run, run, workdir, state, newest)
        distributed.check_agreement(step=int(state.step), state=checkpoints.fingerprint(state.arrays()))
        if writer is None:
            distributed.say(
                f"{workdir}: this run is complete ({config.steps} steps); to train further, pass a new"
                f" --workdir and --config.start_from={workdir}"
            )
            return True
        stack.enter_context(contextlib.closing(writer))
        saver = stack.enter_context(contextlib.closing(checkpoints.CheckpointWriter(workdir, keep=config.keep)))
        if newest is not None:
            distributed.say(f"{workdir}: resuming from step {newest}")
        validation.warn_of_few_pairs(run.pairs.validation, run.pairs.labeled, steps=config.steps)
        try:
            stopped_by = _loop(run, state, StepLog(config, writer, unlogged), writer, saver)
        except FloatingPointError as error:
            good = saver.latest_step
            kept = "no checkpoint was saved" if good is None else f"the last good checkpoint (step {good}) is kept"
            raise FloatingPointError(
                f"{error}; training stopped, and {kept}. Lower config.optimizer.learning_rate"
                " or config.optimizer.clip_norm and train in a new --workdir"
            ) from error
        if stopped_by:
            distributed.say(f"{workdir}: stopped by {stopped_by}; rerun the command to resume")
        return not stopped_by


def make_step(
    config: ml_collections.ConfigDict,
    model: Network,
    tx: optax.GradientTransformation,
    devices: Sequence[jax.Device] | None = None,
) -> jax.stages.Wrapped:
    """Returns a function that updates all devices: (replicated state, donated; sharded batch) -> (state, metrics)."""
    step = functools.partial(train_step, model=model, tx=tx, config=config)
    return distributed.pmap(step, donate_state=True, devices=devices)


def make_batches(config: ml_collections.ConfigDict, pairs: start.Pairs, first_step: int) -> Iterator[batches.Batch]:
    """Yields this process's share of each batch after `first_step`, indefinitely."""
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


def _loop(run: Run, state: TrainState, log: StepLog, writer: Writer, saver: checkpoints.CheckpointWriter) -> str:
    """Runs the remaining steps; returns "" after the last one, or the reason and the step if it stopped early."""
    config, first_step = run.config, int(state.step)
    run_step = make_step(config, run.model, run.tx)
    batches = make_batches(config, run.pairs, first_step)
    state = distributed.replicate(state)
    with distributed.Preemption() as preemption:
        # Without any updates, the run still validates and saves its initial state.
        for step in range(first_step + 1 if config.steps else 0, config.steps + 1):
            if step:
                state, metrics = run_step(state, distributed.shard(next(batches)))
                log.follow(step, metrics)
            stop = preemption.reached(step)
            due = step % config.checkpoint_every == 0 or step == config.steps
            if due or stop:
                log.catch_up()
                host_state = jax.device_get(state)
                check_finite(host_state)
                validated, calibration = run.validate(state.scoring_params) if due else ({}, None)
                if due:
                    distributed.everywhere(writer.write_validation, step, validated)
                    validation.warn_of_collapse(step, validated["score_spread"])
                saver.save(
                    step,
                    host_state.arrays(),
                    config=json.loads(config.to_json()),
                    preprocessing=run.pairs.validation.preprocessing,
                    validation_accuracy=validated.get("validation_accuracy"),
                    validation_pairs=validation.count_ordered(run.pairs.validation),
                    calibration=calibration,
                    unlogged=log.unlogged,
                    data=run.fingerprint,
                )
            if stop:
                saver.wait()
                return f"{preemption.reason} and saved at step {step}"
    return ""
