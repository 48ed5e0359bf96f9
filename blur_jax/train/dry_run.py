"""What a run would take, measured by its first steps: `launch.py --mode=dry_run`, before an expensive launch.

It does all that training does before it claims its run directory, so what would fail there fails here.
"""

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import ml_collections
import numpy as np

from blur_jax.data.batches import Batch
from blur_jax.models import network
from blur_jax.runs import distributed, run_dir
from blur_jax.train.loop import make_batches, make_step
from blur_jax.train.run import Run, images_per_step, open_run
from blur_jax.train.state import TrainState, check_finite

# While the step compiles, batches are read ahead. Only once these are used up do the steps go as fast as data are read.
_FIRST_STEPS = 12
_TIMED_STEPS = 10


class StepCost(NamedTuple):
    """What a training step takes on one device.

    Attributes:
        memory: JAX's analysis of the compiled step, in bytes: arguments, outputs, what of these lies in the place of
            arguments, and temporaries.
        limit_bytes: what JAX may take of the device's memory; None where the device does not say.
        flops: floating-point operations as XLA counts them; None where it does not.
        compile_seconds: time to trace and compile.
        step_seconds: times of steps, reading the batch included, at the pace of the training loop.
    """

    memory: Any
    limit_bytes: int | None
    flops: float | None
    compile_seconds: float
    step_seconds: tuple[float, ...]

    @property
    def seconds(self) -> float:
        """Median time of a step."""
        return float(np.median(self.step_seconds))


def report(config: ml_collections.ConfigDict, workdir: str | None = None) -> str:
    """Starts a run as training does, makes a few steps, throws them away and says in a few lines what they took.

    All processes must call it together.

    Args:
        config: the run's config, which `config_check.check_config` accepts; its data are prepared.
        workdir: a run directory, which is read and not written; None is one that does not exist yet. Of a run that is
            there, only config and step are read: the steps here start from a network that is drawn.

    Raises:
        ValueError: the step needs more memory than there is, or the run in `workdir` has another config.
        FileNotFoundError: the data are not prepared.
        FloatingPointError: after these steps the state is no longer finite.
    """
    run = open_run(config, workdir)
    first_step, recorded = run.saved or (0, None)
    if recorded is not None:  # A run that has saved nothing gives way.
        run_dir.check_same_config(config, workdir, recorded)
    state = run.initial_state()
    lines = _run_lines(run, state)
    try:
        cost = measure(make_step(config, run.model, run.tx), state, make_batches(config, run.pairs, first_step))
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise ValueError(
            f"the training step does not fit into the memory of a device ({str(error).splitlines()[0]}); lower"
            " config.batch.labeled, config.batch.unlabeled or config.data.image_size, or take more devices"
        ) from error
    lines |= cost_lines(cost, images=images_per_step(config), first_step=first_step, steps=config.steps)
    return "\n".join(["dry run: no run was written", *(f"{name:<10}  {line}" for name, line in lines.items())])


def measure(run_step: Callable, state: TrainState, batches: Iterator[Batch]) -> StepCost:
    """Compiles the step of `loop.make_step` and makes some; raises FloatingPointError as `check_finite`."""
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
    return StepCost(
        memory=compiled.memory_analysis(),
        limit_bytes=(jax.local_devices()[0].memory_stats() or {}).get("bytes_limit"),
        flops=(compiled.cost_analysis() or {}).get("flops"),
        compile_seconds=compile_seconds,
        step_seconds=tuple(np.diff(times[_FIRST_STEPS:]).tolist()),
    )


def cost_lines(cost: StepCost, *, images: int, first_step: int, steps: int) -> dict[str, str]:
    """Says what the steps take, {name: line}.

    Args:
        cost: of one step.
        images: in a global batch.
        first_step: updates that the run has made.
        steps: updates of the whole run.
    """
    memory = cost.memory
    arguments, outputs = memory.argument_size_in_bytes, memory.output_size_in_bytes
    in_place, temporaries = memory.alias_size_in_bytes, memory.temp_size_in_bytes
    limit = "the device does not say how much it has" if cost.limit_bytes is None else f"of {_mib(cost.limit_bytes)}"
    flops = "the compiler does not count operations"
    if cost.flops is not None:
        rate = cost.flops / cost.seconds / 1e9
        flops = f"{cost.flops / 1e9:.3g} GFLOP a step on each device, {rate:.3g} GFLOP/s"
    least, most, left = min(cost.step_seconds), max(cost.step_seconds), max(0, steps - first_step)
    return {
        "memory": f"{_mib(arguments + outputs - in_place + temporaries)} on each device ({limit}): arguments"
        f" {_mib(arguments)}, outputs {_mib(outputs)}, of these in place {_mib(in_place)}, temporaries"
        f" {_mib(temporaries)}",
        "compiling": f"{cost.compile_seconds:.1f} s",
        "operations": flops,
        "step": f"{1000 * cost.seconds:.4g} ms, median of {len(cost.step_seconds)} from {1000 * least:.4g} to"
        f" {1000 * most:.4g}; {images / cost.seconds:.0f} images/s",
        "run": f"{left} of {steps} steps to go, about {_duration(left * cost.seconds)};"
        " validation, checkpoints and evaluation come on top",
    }


def _run_lines(run: Run, state: TrainState) -> dict[str, str]:
    pairs, devices = run.pairs, jax.device_count()
    labeled, unlabeled = run.config.batch.labeled, run.config.batch.unlabeled if pairs.unlabeled else 0
    trained, frozen = map(_count, network.partition(state.params, run.config.model.frozen_blocks))
    return {
        "devices": f"{devices} x {jax.devices()[0].device_kind}, {jax.process_count()} process(es)",
        "data": f"{len(pairs.labeled)} labeled, {len(pairs.unlabeled or ())} unlabeled and {len(pairs.validation)}"
        f" validation pairs; {len(pairs.labeled.faces.names)} faces in all",
        "batch": f"{labeled} labeled and {unlabeled} unlabeled pairs, on each device {labeled // devices} and"
        f" {unlabeled // devices}",
        "parameters": f"{trained:,} trained, {frozen:,} frozen",
    }


def _count(params: Any) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def _mib(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
