"""Trains the missing runs of an experiment, each in its own process, and reads one result row per run."""

import concurrent.futures
import contextlib
import json
import multiprocessing
import os
import pathlib
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

    After training, `read` takes the config and the run directory and returns a JSON-serializable row. It is sent to a
    different process, so it must be a module-level function or a `functools.partial` of one.
    """

    config: ml_collections.ConfigDict
    read: Callable[[ml_collections.ConfigDict, str], dict[str, Any]]


def rows(runs: Mapping[str, Run], *, workdir: str, workers: int = 1) -> dict[str, dict[str, Any]]:
    """Trains the missing runs in `workdir`, `workers` at a time.

    Returns {name: row} in the order of `runs`; a row contains the values from `Run.read` and the "seconds" that
    training and reading took.

    Raises:
        ValueError: a run directory contains a run with a different config.
        SystemExit: SIGTERM stopped a run; running the same command again resumes it.
        OSError, FloatingPointError: like `train`.
    """
    folders = {name: os.path.join(workdir, name) for name in runs}
    todo = {name: run for name, run in runs.items() if not _is_made(run.config, folders[name])}
    # Programs compiled for a CPU are never unmapped, so a process runs out of mappings after several dozen runs.
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
    return {name: json.loads(pathlib.Path(folder, ROW_FILE).read_text("utf-8")) for name, folder in folders.items()}


def _make(config: ml_collections.ConfigDict, read: Callable, folder: str) -> bool:
    """Trains one run and writes its row; returns whether it finished."""
    begin = time.monotonic()
    distributed.divide_cpu(*config_check.divisible(config))
    distributed.open_devices()
    with contextlib.redirect_stdout(sys.stderr):  # Standard output is reserved for the tables.
        config_check.check_config(config, folder)
        if not train(config, folder):
            return False
        values = read(config, folder)
    row = {"seconds": time.monotonic() - begin} | values
    run_dir.write_atomically(os.path.join(folder, ROW_FILE), json.dumps(row) + "\n")
    return True


def _is_made(config: ml_collections.ConfigDict, folder: str) -> bool:
    if not os.path.exists(os.path.join(folder, ROW_FILE)):
        return False
    recorded = json.loads(pathlib.Path(folder, run_dir.CONFIG_FILE).read_text("utf-8"))
    if different := run_dir.differences(recorded, json.loads(config.to_json())):
        raise ValueError(f"{folder} contains a run with a different config ({different}); use a different --workdir")
    return True
