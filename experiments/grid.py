"""Trains what has not been trained, each run in a process of its own, and reads a row of each."""

import concurrent.futures
import contextlib
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import ml_collections
from tqdm import tqdm

from blur_jax.runs import distributed, program_cache, run_dir
from blur_jax.train import config_check
from blur_jax.train.loop import train

ROW_FILE = "row.json"


class Run(NamedTuple):
    """One run of an experiment.

    Attributes:
        config: of the run.
        read: from the config and the run directory, once trained, to a row: JSON-serializable, by name. It is sent to
            another process, so it is a function of a module, or a `functools.partial` of one.
    """

    config: ml_collections.ConfigDict
    read: Callable[[ml_collections.ConfigDict, str], dict[str, Any]]


def rows(runs: Mapping[str, Run], *, workdir: str, workers: int = 1) -> dict[str, dict[str, Any]]:
    """Makes the runs that have not been made.

    Args:
        runs: {name of the run directory: run}, made in this order.
        workdir: folder of the run directories.
        workers: runs at a time.

    Returns:
        {name: row}; beside what `Run.read` gave, a row has "seconds", the time it took to train and read.

    Raises:
        ValueError: a run directory holds the run of another config.
        SystemExit: a run was stopped by SIGTERM; the same command resumes it.
        OSError, FloatingPointError: as `train`.
    """
    folders = {name: os.path.join(workdir, name) for name in runs}
    todo = {name: run for name, run in runs.items() if not _is_made(run.config, folders[name])}
    # Programs compiled for a CPU are never unmapped, and after some tens of runs one process is out of mappings.
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(
        workers, mp_context=spawn, initializer=program_cache.keep_programs, max_tasks_per_child=1
    ) as pool:
        futures = [pool.submit(_make, *run, folders[name]) for name, run in todo.items()]
        try:
            for future in tqdm(futures, unit="run", disable=None, leave=False):
                if not future.result():
                    sys.exit("stopped; rerun the same command to resume")
        finally:
            pool.shutdown(cancel_futures=True)
    return {name: _read(folder) for name, folder in folders.items()}


def _make(config: ml_collections.ConfigDict, read: Callable, folder: str) -> bool:
    """Makes one run and leaves its row; returns whether it came to its end."""
    begin = time.monotonic()
    distributed.divide_cpu(*config_check.divisible(config))
    # Standard output belongs to the tables.
    with contextlib.redirect_stdout(sys.stderr):
        config_check.check_config(config, folder)
        if not train(config, folder):
            return False
        row = read(config, folder)
    row = {"seconds": time.monotonic() - begin} | row
    run_dir.write_atomically(os.path.join(folder, ROW_FILE), json.dumps(row) + "\n")
    return True


def _is_made(config: ml_collections.ConfigDict, folder: str) -> bool:
    if not os.path.exists(os.path.join(folder, ROW_FILE)):
        return False
    with open(os.path.join(folder, run_dir.CONFIG_FILE), encoding="utf-8") as file:
        different = run_dir.differences(json.load(file), json.loads(config.to_json()))
    if different:
        raise ValueError(f"{folder} holds the run of another config ({different}); give another --workdir")
    return True


def _read(folder: str) -> dict[str, Any]:
    with open(os.path.join(folder, ROW_FILE), encoding="utf-8") as file:
        return json.load(file)
