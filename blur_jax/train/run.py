"""A run, opened: what it reads, then its claimed directory and the state it goes on from."""

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

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
    """All that a run reads before its directory is claimed.

    Attributes:
        config: of the run.
        workdir: the run directory; None for a run that does not exist yet.
        model: the network.
        tx: the optimizer.
        pairs: the splits that training reads.
        validate: see `validation.make_validate`.
        fingerprint: `start.fingerprint` of the pairs.
        saved: the newest step in the run directory and the config recorded there; None where nothing was saved.
    """

    config: ml_collections.ConfigDict
    workdir: str | None
    model: Network
    tx: optax.GradientTransformation
    pairs: start.Pairs
    validate: Callable
    fingerprint: str
    saved: tuple[int, dict[str, Any]] | None

    def initial_state(self) -> TrainState:
        """Returns the state before the first update; of a run that has saved something, only its shapes matter."""
        labeled = self.pairs.labeled if self.saved is None else None
        return start.initial_state(self.config, self.model, self.tx, labeled)


class Claim(NamedTuple):
    """A claimed run directory: `lock` must be entered; `newest` is the newest step that is whole, None without any."""

    lock: contextlib.AbstractContextManager
    newest: int | None


class Resumed(NamedTuple):
    """What the loop goes on from.

    Attributes:
        state: the newest state.
        unlogged: metrics of the last steps before it, which are in no row of the history yet.
        writer: of the metrics of the steps that are left; None where no step is left.
    """

    state: TrainState
    unlogged: list[dict[str, float]]
    writer: Writer | None


def open_run(config: ml_collections.ConfigDict, workdir: str | None) -> Run:
    """Opens a run and writes nothing; all processes must call it together.

    Args:
        config: of the run; `check_config` accepts it.
        workdir: the run directory; None for a run that does not exist yet.

    Raises:
        ValueError: the data have no such split, the validation split cannot be used, or no checkpoint can be read.
        FileNotFoundError: the data are not prepared.
    """
    run = distributed.everywhere(_open, config, workdir)
    optimizer.warn_of_short_run(config)
    return dataclasses.replace(run, saved=distributed.share(run.saved))


def claim_run(run: Run, template: dict[str, Any]) -> Claim:
    """Claims the run directory and finds the step to resume from; all processes must call it together.

    Args:
        run: the run.
        template: `TrainState.arrays` of its state.

    Raises:
        ValueError: the directory holds a run of another config, or no checkpoint that is whole, or is in use.
        OSError: it cannot be written.
    """
    claim = distributed.everywhere(_claim, run, template)
    return claim._replace(newest=distributed.share(claim.newest))


def resume_run(run: Run, state: TrainState, newest: int | None) -> Resumed:
    """Restores the newest state and opens the metrics; all processes must call it together.

    Args:
        run: the run, whose directory is claimed.
        state: its state before the first update.
        newest: of `claim_run`.

    Raises:
        ValueError: the checkpoint was made on other data, or cannot be read.
        OSError: the run directory cannot be written.
    """
    return distributed.everywhere(_resume, run, state, newest)


def images_per_step(config: ml_collections.ConfigDict) -> int:
    """Returns how many images a global batch has."""
    return 2 * (config.batch.labeled + (config.batch.unlabeled if uses_unlabeled(config) else 0))


def _open(config: ml_collections.ConfigDict, workdir: str | None) -> Run:
    pairs = start.open_pairs(config)
    model, tx = start.build(config)
    others = [split for split in (pairs.labeled, pairs.unlabeled) if split]
    validate = validation.make_validate(config, model, pairs.validation, others)
    saved = None
    if workdir is not None and distributed.is_process_zero():
        step = checkpoints.latest_step(workdir)
        saved = None if step is None else (step, checkpoints.newest_config(workdir))
    return Run(config, workdir, model, tx, pairs, validate, start.fingerprint(pairs), saved)


def _claim(run: Run, template: dict[str, Any]) -> Claim:
    if not distributed.is_process_zero():
        return Claim(contextlib.nullcontext(), None)
    recorded = None if run.saved is None else run.saved[1]
    with contextlib.ExitStack() as stack:
        stack.enter_context(run_dir.claim(run.config, run.workdir, recorded))
        newest = checkpoints.newest_whole(run.workdir, template)
        if (newest is None) != (recorded is None):
            raise ValueError(f"{run.workdir}: its checkpoints changed while the run was starting; rerun the command")
        return Claim(stack.pop_all(), newest)


def _resume(run: Run, state: TrainState, newest: int | None) -> Resumed:
    workdir, steps, unlogged = run.workdir, run.config.steps, []
    if newest is not None:
        arrays, record = checkpoints.restore(workdir, newest, state.arrays())
        if record["data"] != run.fingerprint:
            raise ValueError(
                f"{workdir}: the prepared data are not those that this run began with (fingerprint {run.fingerprint},"
                f" not {record['data']}); give --config.data.dir with the same data, or train on from the run on these"
                f" in another --workdir with --config.start_from={workdir}"
            )
        state, unlogged = state.at(newest, arrays), record["unlogged"]
    first_step = int(state.step)
    if first_step >= steps:
        return Resumed(state, unlogged, None)
    if distributed.is_process_zero():
        provenance.record_start(workdir, first_step)
    writer = Writer(workdir, first_step=first_step, steps=steps, images_per_step=images_per_step(run.config))
    return Resumed(state, unlogged, writer)
