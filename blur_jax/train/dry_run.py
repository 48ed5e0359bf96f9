"""Estimates the cost of a run from a few steps, before an expensive launch: `launch.py --mode=dry_run`.

It does everything that training does before claiming the run directory, so it raises the same errors.
"""

import sys
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import ml_collections
import numpy as np

from blur_jax.data.batches import Batch
from blur_jax.models import network
from blur_jax.runs import distributed, run_dir
from blur_jax.train.loop import make_batches, make_step
from blur_jax.train.program import mib
from blur_jax.train.run import Run, images_per_step, open_run
from blur_jax.train.state import TrainState, check_finite

# Batches are prefetched while the step compiles; later steps wait for data only once these are used up.
_FIRST_STEPS = 12
_TIMED_STEPS = 10


class StepCost(NamedTuple):
    """The cost of a training step on one device."""

    memory: Any  # JAX's analysis of the compiled step: bytes of arguments, outputs, in-place outputs, temporaries.
    limit_bytes: int | None  # Device memory that JAX may use; None if the device does not report it.
    flops: float | None  # Floating-point operations; None if XLA does not count them.
    compile_seconds: float  # Includes tracing.
    step_seconds: tuple[float, ...]  # Measured as in the training loop; includes reading the batch.


def report(config: ml_collections.ConfigDict, workdir: str | None = None) -> str:
    """Runs a few training steps, discards the result and returns a few lines of text about their cost.

    All processes must call it together, with a config that `config_check.check_config` accepts. It writes nothing, and
    only reads the config and step of an existing run in `workdir`; the measured steps start from a random network.
    Raises the same errors as `loop.train`, and ValueError if the step does not fit in memory.
    """
    run = open_run(config, workdir)
    first_step, recorded = run.saved or (0, None)
    if workdir is not None and recorded is not None:  # A run without checkpoints would be replaced.
        run_dir.check_same_config(config, workdir, recorded)
    state = run.initial_state()
    lines = _run_lines(run, state)
    try:
        cost = measure(make_step(config, run.model, run.tx), state, make_batches(config, run.pairs, first_step))
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        raise ValueError(
            f"the training step does not fit in device memory ({str(error).splitlines()[0]}); lower"
            " config.batch.labeled, config.batch.unlabeled or config.data.image_size, or use more devices"
        ) from error
    lines |= cost_lines(cost, images=images_per_step(config), first_step=first_step, steps=config.steps)
    return "\n".join(["dry run: no run was written", *(f"{name:<10}  {line}" for name, line in lines.items())])


def measure(run_step: jax.stages.Wrapped, state: TrainState, batches: Iterator[Batch]) -> StepCost:
    """Compiles and times a step from `loop.make_step`; raises FloatingPointError like `check_finite`."""
    state, batch = distributed.replicate(state), distributed.shard(next(batches))
    if distributed.is_process_zero():
        print("compiling the training step", file=sys.stderr, flush=True)
    began = time.monotonic()
    compiled = run_step.lower(state, batch).compile()  # The calls below reuse it.
    compile_seconds = time.monotonic() - began
    times, before = [], None
    for _ in range(_FIRST_STEPS + _TIMED_STEPS + 1):
        state, metrics = run_step(state, batch)
        # Like the training loop, wait for the previous step once this one has been dispatched.
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
    """Describes a cost as {name: line}, for a run at `first_step` of `steps`, with `images` images per global batch."""
    memory = cost.memory
    arguments, outputs = memory.argument_size_in_bytes, memory.output_size_in_bytes
    in_place, temporaries = memory.alias_size_in_bytes, memory.temp_size_in_bytes
    seconds = float(np.median(cost.step_seconds))
    limit = "the device does not report its memory" if cost.limit_bytes is None else f"of {mib(cost.limit_bytes)}"
    flops = "not counted by the compiler"
    if cost.flops is not None:
        rate = cost.flops / seconds / 1e9
        flops = f"{cost.flops / 1e9:.3g} GFLOP per step on each device, {rate:.3g} GFLOP/s"
    least, most, left = min(cost.step_seconds), max(cost.step_seconds), max(0, steps - first_step)
    return {
        "memory": f"{mib(arguments + outputs - in_place + temporaries)} on each device ({limit}): arguments"
        f" {mib(arguments)}, outputs {mib(outputs)} ({mib(in_place)} in place), temporaries"
        f" {mib(temporaries)}",
        "compiling": f"{cost.compile_seconds:.1f} s",
        "operations": flops,
        "step": f"{1000 * seconds:.4g} ms, median of {len(cost.step_seconds)} steps ({1000 * least:.4g} to"
        f" {1000 * most:.4g} ms); {images / seconds:.0f} images/s",
        "run": f"{left} of {steps} steps left, about {_duration(left * seconds)},"
        " plus time for validation, checkpoints and evaluation",
    }


def _run_lines(run: Run, state: TrainState) -> dict[str, str]:
    pairs, devices = run.pairs, jax.device_count()
    labeled, unlabeled = run.config.batch.labeled, run.config.batch.unlabeled if pairs.unlabeled else 0
    parts = network.partition(state.params, run.config.model.frozen_blocks)
    trained, frozen = (sum(leaf.size for leaf in jax.tree.leaves(part)) for part in parts)
    return {
        "devices": f"{devices} x {jax.devices()[0].device_kind}, {jax.process_count()} process(es)",
        "data": f"{len(pairs.labeled)} labeled, {len(pairs.unlabeled or ())} unlabeled and {len(pairs.validation)}"
        f" validation pairs; {len(pairs.labeled.faces.names)} faces in all",
        "batch": f"{labeled} labeled and {unlabeled} unlabeled pairs; {labeled // devices} and"
        f" {unlabeled // devices} on each device",
        "parameters": f"{trained:,} trained, {frozen:,} frozen",
    }


def _duration(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{seconds:.0f} s" if seconds < 120 else f"{hours} h {minutes} min" if hours else f"{minutes} min"
