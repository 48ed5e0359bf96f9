"""Prepares a run for the training loop: opens its inputs, claims its directory and restores its state."""

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any

import ml_collections
import optax

from blur_jax.models.network import Network
from blur_jax.runs import checkpoints, distributed, provenance, run_dir
from blur_jax.runs.config import uses_unlabeled
from blur_jax.train import optimizer, start, validation
from blur_jax.train.log import Writer
from blur_jax.train.state import TrainState


@dataclasses.dataclass(frozen=True)
class Run:
    """A run's inputs, read before its directory is claimed."""

    config: ml_collections.ConfigDict
    model: Network
    tx: optax.GradientTransformation
    pairs: start.Pairs
    validate: Callable  # See `validation.make_validate`.
    fingerprint: str  # `start.fingerprint` of the pairs.
    saved: tuple[int, dict[str, Any]] | None  # The newest saved step and its config; None if nothing was saved.

    def initial_state(self) -> TrainState:
        """Returns the state before the first update; if the run has a saved step, only the shapes are meaningful."""
        pairs = self.pairs if self.saved is None else None
        return start.initial_state(self.config, self.model, self.tx, pairs)


def open_run(config: ml_collections.ConfigDict, workdir: str | None) -> Run:
    """Opens a run (a new one if `workdir` is None) without writing anything; all processes must call it together.

    Raises ValueError if a split or a checkpoint cannot be used, and FileNotFoundError if the data are not prepared.
    """
    run = distributed.everywhere(_open, config, workdir)
    distributed.check_agreement(data=run.fingerprint)
    optimizer.warn_of_short_run(config)
    return dataclasses.replace(run, saved=distributed.share(run.saved))


def _open(config: ml_collections.ConfigDict, workdir: str | None) -> Run:
    pairs = start.open_pairs(config)
    model, tx = start.build(config)
    others = [split for split in (pairs.labeled, pairs.unlabeled) if split]
    validate = validation.make_validate(config, model, pairs.validation, others)
    step = recorded = None
    if workdir is not None and distributed.is_process_zero():
        step, recorded = checkpoints.latest_step(workdir), checkpoints.newest_config(workdir)
    saved = None if step is None or recorded is None else (step, recorded)
    return Run(config, model, tx, pairs, validate, start.fingerprint(pairs), saved)


def claim_run(run: Run, workdir: str, template: dict[str, Any]) -> tuple[contextlib.AbstractContextManager, int | None]:
    """Claims the run directory on process 0; returns (a lock to enter, the newest undamaged step or None).

    `template` is `TrainState.arrays` of the run's state. Raises ValueError if the directory is in use, or contains a
    run with a different config or only damaged checkpoints, and OSError if it cannot be written.
    """
    if not distributed.is_process_zero():
        return contextlib.nullcontext(), None
    recorded = None if run.saved is None else run.saved[1]
    with contextlib.ExitStack() as stack:
        stack.enter_context(run_dir.claim(run.config, workdir, recorded))
        newest = checkpoints.newest_whole(workdir, template)
        if (newest is None) != (recorded is None):
            raise ValueError(f"{workdir}: the checkpoints changed while the run was starting; rerun the command")
        return stack.pop_all(), newest


def resume_run(
    run: Run, workdir: str, state: TrainState, newest: int | None
) -> tuple[TrainState, list[dict[str, float]], Writer | None]:
    """Restores the state after step `newest` from a claimed run directory; if `newest` is None, starts with `state`.

    Returns (the state; the metrics of the last steps, which are not in the history yet; the metrics writer, or None if
    the run is complete). Raises ValueError if the checkpoint cannot be read or was trained on different data, and
    OSError if the directory cannot be written.
    """
    steps, unlogged = run.config.steps, []
    if newest is not None:
        arrays, record = checkpoints.restore(workdir, newest, state.arrays())
        if record["data"] != run.fingerprint:
            raise ValueError(
                f"{workdir}: the prepared data differ from the data this run started with (fingerprint"
                f" {run.fingerprint}, not {record['data']}); point --config.data.dir at the original data, or"
                f" continue training on the new data in a new --workdir with --config.start_from={workdir}"
            )
        state, unlogged = state.at(newest, arrays), record["unlogged"]
    first_step = int(state.step)
    if newest is not None and first_step >= steps:
        return state, unlogged, None
    if distributed.is_process_zero():
        provenance.record_start(workdir, first_step)
    writer = Writer(workdir, first_step=first_step, steps=steps, images_per_step=images_per_step(run.config))
    return state, unlogged, writer


def images_per_step(config: ml_collections.ConfigDict) -> int:
    return 2 * (config.batch.labeled + (config.batch.unlabeled if uses_unlabeled(config) else 0))
