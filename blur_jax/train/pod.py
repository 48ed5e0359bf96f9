"""Compiles a run's training step for chips that are not here: `launch.py --mode=dry_run --topology=v5e:4x8`.

It needs no accelerator, data or run directory. The compiler's word for memory is exact; times are its estimates.
"""

import re
import sys
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import ml_collections
import numpy as np

from blur_jax.data.batches import Batch
from blur_jax.runs.chips import CHIPS, Chip, Topology
from blur_jax.runs.config import uses_unlabeled
from blur_jax.runs.topology import open_topology
from blur_jax.train import program, start
from blur_jax.train.config_check import check_config
from blur_jax.train.loop import make_step
from blur_jax.train.program import mib
from blur_jax.train.run import images_per_step

_USABLE = 0.75  # Of a GPU's memory, by default in JAX; the TPU's compiler knows what it may use.
_TRIES = 4  # Compilations in search of a batch that fits.
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


class Cost(NamedTuple):
    """The cost of a compiled training step on one chip."""

    arguments: int  # Bytes of the state and the batch; the new state takes the place of the old one.
    temporaries: int  # Bytes.
    code: int  # Bytes of the program.
    all_reduced: int  # Bytes that are summed across all chips.
    # XLA's own counts and estimate, with the body of a loop once; None for GPUs, for which it makes none.
    flops: float | None
    accessed: float | None  # Bytes read and written, including padding and on-chip memory.
    cycles: int | None
    compile_seconds: float

    @property
    def total(self) -> int:
        return self.arguments + self.temporaries + self.code


class Estimate(NamedTuple):
    """How fast a step would be on one chip, by the compiler's counts and estimate."""

    flops: float
    accessed: float  # Bytes, as in `Cost`.
    seconds: float
    images: float  # Per second.
    share: float  # Of the chip's published peak, in (0, 1].
    binding: str  # The key of `at_peaks` that takes the longest.


class TooLargeError(ValueError):
    """A step that needs more memory than a chip has; `used` and `limit` are in bytes."""

    def __init__(self, used: float, limit: float) -> None:
        super().__init__(f"the training step needs {_gib(used)} of the {_gib(limit)} that a chip can use")
        self.used, self.limit = used, limit


def report(config: ml_collections.ConfigDict, topology: Topology) -> str:
    """Compiles the training step for a topology and returns a few lines of text about its cost on one chip.

    Call it before JAX is used. Raises ValueError if the config cannot run on that many chips, if the compiler is not
    installed, or if the step does not fit; it then names a batch that does.
    """
    devices = open_topology(topology)
    check_config(config, devices=len(devices))
    print(f"compiling the training step for {topology}", file=sys.stderr, flush=True)
    chip = CHIPS[topology.chip]
    try:
        cost = compile_step(config, devices, chip)
    except TooLargeError as error:
        raise ValueError(
            f"{config.model.backbone} on {config.data.image_size} px with config.batch.labeled={config.batch.labeled}"
            f" and config.batch.unlabeled={config.batch.unlabeled} does not fit on {topology}: {error};"
            f" {_remedy(config, devices, chip, error)}"
        ) from error
    lines = cost_lines(config, topology, cost)
    return "\n".join(["compiled for, not run on", *(f"{name:<12}  {line}" for name, line in lines.items())])


def compile_step(
    config: ml_collections.ConfigDict, devices: Sequence[jax.Device], chip: Chip, effort: float | None = None
) -> Cost:
    """Compiles the training step; raises TooLargeError. An `effort` of -1 compiles faster to a slower program."""
    model, tx = start.build(config)
    state, batch = start.state_shapes(config, model, tx), batch_shapes(config, len(devices))
    options: Any = None if effort is None else {"exec_time_optimization_effort": effort}
    began = time.monotonic()
    try:
        compiled = make_step(config, model, tx, devices).lower(state, batch).compile(compiler_options=options)
    except jax.errors.JaxRuntimeError as error:
        if (too_large := _too_large(str(error))) is None:
            raise
        raise too_large from error
    compile_seconds = time.monotonic() - began
    memory: Any = compiled.memory_analysis()
    counts, text = compiled.cost_analysis() or {}, compiled.as_text() or ""
    new = memory.output_size_in_bytes - memory.alias_size_in_bytes  # Metrics.
    cost = Cost(
        arguments=memory.argument_size_in_bytes,
        temporaries=memory.temp_size_in_bytes + new,
        code=memory.generated_code_size_in_bytes,
        all_reduced=program.all_reduce_bytes(text),
        flops=counts.get("flops"),
        accessed=counts.get("bytes accessed"),
        cycles=program.estimated_cycles(text),
        compile_seconds=compile_seconds,
    )
    if chip.platform == "cuda" and cost.total > _USABLE * chip.memory:
        raise TooLargeError(cost.total, _USABLE * chip.memory)
    return cost


def batch_shapes(config: ml_collections.ConfigDict, devices: int) -> Batch:
    """Returns the shapes of a sharded batch, with a leading axis of all devices."""

    def pairs(count: int) -> Any:
        size = config.data.image_size
        return jax.ShapeDtypeStruct((devices, count // devices, 2, size, size, 3), np.uint8)

    labeled = config.batch.labeled
    order: Any = jax.ShapeDtypeStruct((devices, labeled // devices), np.int8)
    return Batch(pairs(labeled), order, pairs(config.batch.unlabeled) if uses_unlabeled(config) else None)


def cost_lines(config: ml_collections.ConfigDict, topology: Topology, cost: Cost) -> dict[str, str]:
    """Describes a cost as {name: line}."""
    chip, chips = CHIPS[topology.chip], topology.chips
    unlabeled = config.batch.unlabeled if uses_unlabeled(config) else 0
    lines = {
        "chips": f"{chips} x {topology.chip} ({topology})",
        "batch": f"{config.batch.labeled // chips} labeled and {unlabeled // chips} unlabeled pairs on each chip",
        "memory": f"{mib(cost.total)} of {chip.memory / 1e9:.0f} GB on each chip: arguments {mib(cost.arguments)},"
        f" temporaries {mib(cost.temporaries)}, program {mib(cost.code)}; it fits",
        "all-reduce": f"{cost.all_reduced:,} bytes per step",
        "compiling": f"{cost.compile_seconds:.0f} s",
    }
    peaks, speed = at_peaks(cost, chip, chips), estimate(config, topology, cost)
    if speed is None:
        sending = f"{1e3 * peaks['interconnect']:.3g} ms at the published peak"
        return lines | {"step": f"not estimated by the compiler for {topology.chip}; interconnect {sending}"}
    milliseconds = ", ".join(f"{name} {1e3 * peak:.3g} ms" for name, peak in peaks.items())
    return lines | {
        "operations": f"{speed.flops / 1e9:.3g} GFLOP and {speed.accessed / 1e9:.3g} GB accessed per step on each chip",
        "step": f"{1e3 * speed.seconds:.3g} ms by the compiler's estimate ({cost.cycles:,} cycles);"
        f" {speed.images:,.0f} images/s on each chip, {100 * speed.share:.2g}% of its peak",
        "binds": f"{speed.binding}; at published peaks: {milliseconds}",
    }


def estimate(config: ml_collections.ConfigDict, topology: Topology, cost: Cost) -> Estimate | None:
    """Returns how fast a step would be by the compiler's own estimate; None if it makes none, as for GPUs."""
    chip, chips = CHIPS[topology.chip], topology.chips
    if cost.flops is None or cost.accessed is None or cost.cycles is None or chip.hertz is None:
        return None
    seconds, peaks = cost.cycles / chip.hertz, at_peaks(cost, chip, chips)
    return Estimate(
        flops=cost.flops,
        accessed=cost.accessed,
        seconds=seconds,
        images=images_per_step(config) / seconds / chips,
        share=cost.flops / chip.operations / seconds,
        binding=max(peaks, key=lambda name: peaks[name]),
    )


def at_peaks(cost: Cost, chip: Chip, chips: int) -> dict[str, float]:
    """Returns the seconds that each part of a step would take alone, at the chip's published peak."""
    sent = 2 * (chips - 1) / chips * cost.all_reduced  # By each chip, in a ring.
    return {
        "matrix products": (cost.flops or 0) / chip.operations,
        "memory": (cost.accessed or 0) / chip.bandwidth,
        "interconnect": sent / chip.interconnect,
    }


def _remedy(config: ml_collections.ConfigDict, devices: Sequence[jax.Device], chip: Chip, error: TooLargeError) -> str:
    """Compiles smaller batches until one fits, and says which; memory grows in proportion to the batch."""
    model, tx = start.build(config)
    fixed = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(start.state_shapes(config, model, tx)))
    group, chips = config.consistency.pairs_per_degradation, len(devices)
    parts = {"labeled": chips, "unlabeled": chips * group} if uses_unlabeled(config) else {"labeled": chips}
    smaller, share = config.copy_and_resolve_references(), 1.0
    for _ in range(_TRIES):
        share *= max(0.0, error.limit - fixed) / (error.used - fixed)
        sizes = {name: max(unit, int(share * config.batch[name]) // unit * unit) for name, unit in parts.items()}
        smaller.batch.update(sizes)
        text = " ".join(f"--config.batch.{name}={size}" for name, size in sizes.items())
        print(f"trying {text}", file=sys.stderr, flush=True)
        try:
            compile_step(smaller, devices, chip)
        except TooLargeError as again:
            error = again
            if all(sizes[name] == unit for name, unit in parts.items()):
                return "not even the smallest batch fits; lower config.data.image_size or choose a smaller network"
        else:
            return f"the largest batch that fits, in these proportions, is about {text}"
    return "pass a much smaller batch"


def _too_large(message: str) -> TooLargeError | None:
    """Reads the TPU compiler's message; returns None if it says something else."""
    sizes = re.findall(r"\b([\d.]+)([KMGT]?)\b", message.partition("Ran out of memory")[2])
    numbers = [float(number) * _UNITS[unit] for number, unit in sizes[:2]]  # Used and available, in either wording.
    return TooLargeError(*numbers) if len(numbers) == 2 else None


def _gib(size: float) -> str:
    return f"{size / 2**30:,.2f} GiB"
