"""Resuming: finds the newest whole step and puts damaged ones aside."""

import os
import sys
from collections.abc import Sequence
from typing import Any

from blur_jax.runs.checkpoints.step_folder import CheckpointError, check_metrics, folders, read_arrays, read_record


def newest_config(workdir: str | os.PathLike) -> dict[str, Any] | None:
    """Returns the config in a run's newest readable record, None without checkpoints; raises CheckpointError."""
    problems = []
    for folder in folders(workdir):
        try:
            return read_record(folder)["config"]
        except CheckpointError as error:
            problems.append(error)
    if problems:
        raise _none_left(workdir, problems)
    return None


def newest_whole(workdir: str | os.PathLike, template: dict[str, Any]) -> int | None:
    """Finds the newest step to resume from; None if nothing was saved. Only one process may call it.

    A damaged step is renamed to `<step>.damaged`, with a warning, so that the run can save it again. The arrays of
    steps older than the newest whole one are not read.

    Args:
        workdir: the run directory, claimed by this run.
        template: {name: pytree of NumPy arrays with the expected structure and shapes}.

    Raises:
        CheckpointError: the run has steps, but none is whole; nothing is renamed.
    """
    whole, damaged = None, {}
    for folder in folders(workdir):
        try:
            check_metrics(folder)
            record = read_record(folder)
            if record["step"] != int(folder.name):
                raise CheckpointError(f"{folder}: holds step {record['step']}, not the step in its name")
            if whole is None:
                read_arrays(folder, record["checksums"], template)
                whole = int(folder.name)
        except CheckpointError as error:
            damaged[folder] = error
    if whole is None and damaged:
        raise _none_left(workdir, [*damaged.values()])
    for folder, error in damaged.items():
        number, aside = 1, folder.parent / f"{folder.name}.damaged"
        while aside.exists():
            number += 1
            aside = folder.parent / f"{folder.name}.damaged-{number}"
        folder.rename(aside)
        print(f"WARNING: {error}; moved to {aside.name}, resuming from step {whole}", file=sys.stderr, flush=True)
    return whole


def restore(workdir: str | os.PathLike, step: int, template: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Reads a saved step; returns (its arrays, its record).

    `template` is as in `newest_whole`. Raises CheckpointError if the step is missing or damaged, or does not fit it.
    """
    for folder in folders(workdir):
        if folder.name == str(step):
            record = read_record(folder)
            return read_arrays(folder, record["checksums"], template), record
    raise CheckpointError(f"{workdir}: step {step} is missing; all hosts must share --workdir")


def _none_left(workdir: str | os.PathLike, problems: Sequence[CheckpointError]) -> CheckpointError:
    return CheckpointError(
        f"{workdir}: none of its {len(problems)} checkpoint(s) can be used: {problems[0]}; give another --workdir, or"
        " move this folder away to start over"
    )
