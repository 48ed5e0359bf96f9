"""Times functions in alternation, so a busy machine slows all of them down equally."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
import numpy.typing as npt
from absl import app, flags, logging

from blur_jax.runs import distributed
from blur_jax.train import config_check


def rounds(calls: Mapping[Any, Callable[[], Any]], *, repeats: int, cpu: bool = False) -> dict[Any, list[float]]:
    """Times functions, {name: function}, in rounds; returns {name: seconds of each round}.

    The clock stops when the returned arrays are ready. The first round compiles and is not counted. With `cpu`,
    measures the CPU seconds of all threads in this process, which other programs affect less.
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


def seconds(calls: Mapping[Any, Callable[[], Any]], *, repeats: int, cpu: bool = False) -> dict[Any, float]:
    """Returns {name: median seconds} over `rounds`."""
    return {name: statistics.median(times) for name, times in rounds(calls, repeats=repeats, cpu=cpu).items()}


def spread(values: npt.ArrayLike, decimals: int = 2) -> str:
    """Formats the median and quartiles of values, such as "2.00 [1.50, 3.00]"."""
    low, middle, high = (f"{value:.{decimals}f}" for value in np.quantile(np.asarray(values), [0.25, 0.5, 0.75]))
    return f"{middle} [{low}, {high}]"


def machine() -> str:
    """Returns the devices, machine, load and versions on one line."""
    devices = f"{jax.device_count()} x {jax.devices()[0].device_kind}, {os.cpu_count()} cores ({platform.machine()})"
    versions = f"jax {jax.__version__}, Python {platform.python_version()}"
    return f"{devices}, load {os.getloadavg()[0]:.1f}; {versions}"


def main(benchmark: Callable[[], object]) -> None:
    """Parses the flags, prints the machine, and runs a benchmark on the same devices as launch.py."""

    def call(argv: list[str]) -> None:
        if len(argv) > 1:
            raise app.UsageError(f"unknown argument {argv[1]!r}; see --help")
        if not flags.FLAGS["verbosity"].present:
            logging.set_verbosity(logging.WARNING)  # Otherwise, TensorFlow Datasets logs each folder.
        if "config" in flags.FLAGS:
            distributed.divide_cpu(*config_check.divisible(flags.FLAGS.config))
        print(machine())
        benchmark()

    app.run(call)


def define_rounds(repeats: int) -> None:
    """Defines --repeats, with `repeats` as the default, and --cpu."""
    flags.DEFINE_integer("repeats", repeats, "Number of rounds; the median is reported.", lower_bound=1)
    flags.DEFINE_bool("cpu", False, "Measure the CPU seconds of all threads; use this on a busy machine.")
