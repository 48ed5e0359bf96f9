"""What a run would take, measured by its first steps: `launch.py --mode=dry_run`, before an expensive launch.

All that training does before it claims its run directory is done here, too, so what would fail there fails here.
"""

import dataclasses
import sys
import time
from collections.abc import Iterator
from typing import Any

import jax
import ml_collections
import numpy as np

from blur_jax.data import batches
from blur_jax.models import network
from blur_jax.runs import checkpoints, distributed, run_dir
from blur_jax.train import config_check, loop, start, validation
from blur_jax.train.state import TrainState, check_finite

# While the step compiles, batches are read ahead. Only once these are used up do the steps go as fast as data are read.
_FIRST_STEPS = 12
_TIMED_STEPS = 10


@dataclasses.dataclass(frozen=True)
class Facts:
    """What a run on these devices would take.

    Attributes:
        device: kind of the devices.
        devices: of all processes.
        processes: of the run.
        labeled_batch: labeled pairs in a global batch.
        unlabeled_batch: unlabeled pairs in it; 0 where no loss asks for them.
        labeled_pairs: to train on.
        unlabeled_pairs: to train on; 0 where no loss asks for them.
        validation_pairs: labeled pairs to validate on.
        faces: of the data set, in whatever split.
        trained: parameters that are trained.
        frozen: parameters that stay as they are.
        argument_bytes: state and batch on one device.
        output_bytes: state and metrics on it.
        donated_bytes: of the output that takes the place of arguments.
        temporary_bytes: what the step needs on it besides.
        limit_bytes: what JAX may take of its memory; None where the device does not say.
        flops: floating-point operations of a step on one device as XLA counts them; None where it does not.
        compile_seconds: time to trace and compile the step.
        step_seconds: times of steps, reading the batch included, at the pace of the training loop.
        first_step: updates that the run in the run directory has made.
        steps: updates of the whole run.
        images_per_step: in a global batch.
    """

    device: str
    devices: int
    processes: int
    labeled_batch: int
    unlabeled_batch: int
    labeled_pairs: int
    unlabeled_pairs: int
    validation_pairs: int
    faces: int
    trained: int
    frozen: int
    argument_bytes: int
    output_bytes: int
    donated_bytes: int
    temporary_bytes: int
    limit_bytes: int | None
    flops: float | None
    compile_seconds: float
    step_seconds: tuple[float, ...]
    first_step: int
    steps: int
    images_per_step: int

    @property
    def bytes(self) -> int:
        """What the step needs on one device in all."""
        return self.argument_bytes + self.output_bytes - self.donated_bytes + self.temporary_bytes

    @property
    def seconds(self) -> float:
        """Median time of a step."""
        return float(np.median(self.step_seconds))


def measure(config: ml_collections.ConfigDict, workdir: str | None = None) -> Facts:
    """Starts a run as training does, makes a few steps and throws them away; all processes must call it together.

    Args:
        config: the run's config; its data are prepared.
        workdir: a run directory, which is read and not written; None is one that does not exist yet. Of a run that is
            there, only config and step are read: the steps here start from a network that is drawn.

    Raises:
        ValueError: a config that cannot work or needs more memory than there is, or the run in `workdir` has another.
        FileNotFoundError: the data are not prepared.
        FloatingPointError: after these steps the state is no longer finite.
    """
    config_check.check(config, workdir)
    newest = None if workdir is None else distributed.on_process_zero(checkpoints.latest_step, workdir)
    if newest is not None:  # A run that has saved nothing gives way.
        recorded = distributed.on_process_zero(checkpoints.newest_config, workdir)
        run_dir.check(config, workdir, recorded)
    pairs = distributed.everywhere(start.open_pairs, config)
    model, tx = start.build(config)
    distributed.everywhere(validation.make_validate, config, model, pairs.validation)
    state = start.initial_state(config, model, tx, pairs.labeled if newest is None else None)
    trained, frozen = map(_count, network.partition(state.params, config.model.frozen_blocks))
    try:
        measured = _steps(loop.make_step(config, model, tx), state, loop.make_batches(config, pairs, newest or 0))
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise ValueError(
            f"the training step does not fit into the memory of a device ({str(error).splitlines()[0]}); lower"
            " config.batch.labeled, config.batch.unlabeled or config.data.image_size, or take more devices"
        ) from error
    return Facts(
        device=jax.devices()[0].device_kind,
        devices=jax.device_count(),
        processes=jax.process_count(),
        labeled_batch=config.batch.labeled,
        unlabeled_batch=config.batch.unlabeled if pairs.unlabeled else 0,
        labeled_pairs=len(pairs.labeled),
        unlabeled_pairs=len(pairs.unlabeled or ()),
        validation_pairs=len(pairs.validation),
        faces=len(pairs.labeled.faces.names),
        trained=trained,
        frozen=frozen,
        first_step=newest or 0,
        steps=config.steps,
        images_per_step=loop.images_per_step(config),
        **measured,
    )


def _count(params: Any) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def _steps(run_step: Any, state: TrainState, batches: Iterator[batches.Batch]) -> dict[str, Any]:
    """Compiles the step, makes some and returns the fields of `Facts` that come of it."""
    state, batch = distributed.replicate(state), distributed.shard(next(batches))
    if distributed.is_process_zero():
        print("compiling the training step", file=sys.stderr, flush=True)
    began = time.monotonic()
    compiled = run_step.lower(state, batch).compile()  # The calls below find it compiled.
    compile_seconds = time.monotonic() - began
    times, before = [], None
    for _ in range(_FIRST_STEPS + _TIMED_STEPS + 1):
        state, metrics = run_step(state, batch)
        # As in the loop: the step before is waited for once this one has been dispatched.
        jax.block_until_ready(before)
        times.append(time.monotonic())
        before, batch = metrics, distributed.shard(next(batches))
    check_finite(jax.device_get(state))
    memory = compiled.memory_analysis()
    return {
        "argument_bytes": memory.argument_size_in_bytes,
        "output_bytes": memory.output_size_in_bytes,
        "donated_bytes": memory.alias_size_in_bytes,
        "temporary_bytes": memory.temp_size_in_bytes,
        "limit_bytes": (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit"),
        "flops": (compiled.cost_analysis() or {}).get("flops"),
        "compile_seconds": compile_seconds,
        "step_seconds": tuple(np.diff(times[_FIRST_STEPS:]).tolist()),
    }


def text(facts: Facts) -> str:
    """Says the facts in a few lines, for people."""
    limit = "the device does not say how much it has" if facts.limit_bytes is None else f"of {_mib(facts.limit_bytes)}"
    flops = "the compiler does not count operations"
    if facts.flops is not None:
        rate = facts.flops / facts.seconds / 1e9
        flops = f"{facts.flops / 1e9:.3g} GFLOP a step on each device, {rate:.3g} GFLOP/s"
    least, most = min(facts.step_seconds), max(facts.step_seconds)
    left = max(0, facts.steps - facts.first_step)
    lines = {
        "devices": f"{facts.devices} x {facts.device}, {facts.processes} process(es)",
        "data": f"{facts.labeled_pairs} labeled, {facts.unlabeled_pairs} unlabeled and {facts.validation_pairs}"
        f" validation pairs; {facts.faces} faces in all",
        "batch": f"{facts.labeled_batch} labeled and {facts.unlabeled_batch} unlabeled pairs, on each device"
        f" {facts.labeled_batch // facts.devices} and {facts.unlabeled_batch // facts.devices}",
        "parameters": f"{facts.trained:,} trained, {facts.frozen:,} frozen",
        "memory": f"{_mib(facts.bytes)} on each device ({limit}): arguments {_mib(facts.argument_bytes)}, outputs"
        f" {_mib(facts.output_bytes)}, of these in place {_mib(facts.donated_bytes)}, temporaries"
        f" {_mib(facts.temporary_bytes)}",
        "compiling": f"{facts.compile_seconds:.1f} s",
        "operations": flops,
        "step": f"{1000 * facts.seconds:.4g} ms, median of {len(facts.step_seconds)} from {1000 * least:.4g} to"
        f" {1000 * most:.4g}; {facts.images_per_step / facts.seconds:.0f} images/s",
        "run": f"{left} of {facts.steps} steps to go, about {_duration(left * facts.seconds)};"
        " validation, checkpoints and evaluation come on top",
    }
    return "\n".join(["dry run: no run was written", *(f"{name:<10}  {line}" for name, line in lines.items())])


def _mib(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
