"""Times functions in turn, so that a busy machine slows all of them equally."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from absl import app, flags, logging

from blur_jax.runs import distributed
from blur_jax.train import config_check


def rounds(calls: Mapping[str, Callable[[], Any]], *, repeats: int, cpu: bool = False) -> dict[str, list[float]]:
    """Times functions without arguments, round after round; the first round compiles and does not count.

    Args:
        calls: {name: function}; the clock stops once the arrays that a function returns are ready.
        repeats: rounds that count.
        cpu: counts the CPU seconds of all threads of this process, which other programs disturb less.

    Returns:
        {name: seconds of each round}.
    """
    clock = time.process_time if cpu else time.perf_counter
    times = {name: [] for name in calls}
    for counted in (False, *[True] * repeats):
        for name, call in calls.items():
            start = clock()
            jax.block_until_ready(call())
            if counted:
                times[name].append(clock() - start)
    return times


def seconds(calls: Mapping[str, Callable[[], Any]], *, repeats: int, cpu: bool = False) -> dict[str, float]:
    """Returns {name: median seconds} of `rounds`."""
    times = rounds(calls, repeats=repeats, cpu=cpu)
    return {name: statistics.median(values) for name, values in times.items()}


def spread(values: Sequence[float], decimals: int = 2) -> str:
    """Returns the median and the quartiles of values, as "2.00 [1.50, 3.00]"."""
    low, middle, high = (f"{value:.{decimals}f}" for value in np.quantile(values, [0.25, 0.5, 0.75]))
    return f"{middle} [{low}, {high}]"


def machine() -> str:
    """Returns the devices, the machine, its load and the versions, on one line."""
    devices = f"{jax.device_count()} x {jax.devices()[0].device_kind}, {os.cpu_count()} cores ({platform.machine()})"
    load = f"load {os.getloadavg()[0]:.1f}"
    return f"{devices}, {load}; jax {jax.__version__}, Python {platform.python_version()}"


def main(benchmark: Callable[[], None]) -> None:
    """Parses the flags, prints the machine and runs a benchmark, on as many devices as launch.py would."""

    def call(argv: list[str]) -> None:
        if len(argv) > 1:
            raise app.UsageError(f"unknown argument {argv[1]!r}; see --help")
        if not flags.FLAGS["verbosity"].present:
            logging.set_verbosity(logging.WARNING)  # TensorFlow Datasets logs each folder that it reads.
        if "config" in flags.FLAGS:
            distributed.divide_cpu(*config_check.divisible(flags.FLAGS.config))
        print(machine())
        benchmark()

    app.run(call)


def define_cpu() -> None:
    """Defines --cpu."""
    flags.DEFINE_bool("cpu", False, "Count CPU seconds of all threads, for a busy machine.")


def define_repeats(default: int) -> None:
    """Defines --repeats."""
    flags.DEFINE_integer("repeats", default, "Rounds; the median counts.", lower_bound=1)
