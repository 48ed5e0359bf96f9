"""Resuming: the newest step that is whole, damaged ones put aside."""

import os
import sys
from typing import Any

from etils import epath

from blur_jax.runs.checkpoints.step_folder import CheckpointError, check_metrics, folders, read_arrays, read_record


def newest_config(workdir: str | os.PathLike) -> dict[str, Any] | None:
    """Returns the config in the newest record of a run that can be read; None without checkpoints.

    Raises:
        CheckpointError: there are checkpoints, and none has a record that can be read.
    """
    problems = []
    for folder in folders(workdir):
        try:
            return read_record(folder)["config"]
        except CheckpointError as error:
            problems.append(error)
    if problems:
        raise CheckpointError(_none_left(workdir, problems))
    return None


def newest_whole(workdir: str | os.PathLike, template: dict[str, Any]) -> int | None:
    """Finds the newest step to resume from; None where nothing was saved. Only one process may call it.

    A damaged step is renamed to `<step>.damaged`, with a message, so that the run can make and save it again. Older
    steps are only looked at as far as the run needs them.

    Args:
        workdir: the run directory, claimed by this run.
        template: {name: pytree of NumPy arrays of the wanted structure and shapes}.

    Raises:
        CheckpointError: there are steps, but none is whole; nothing is renamed.
    """
    whole, damaged = None, {}
    for folder in folders(workdir):
        try:
            check_metrics(folder)
            record = read_record(folder)
            if record["step"] != int(folder.name):
                raise CheckpointError(f"{folder}: holds step {record['step']}, not that of its name")
            if whole is None:
                read_arrays(folder, record["checksums"], template)
                whole = int(folder.name)
        except CheckpointError as error:
            damaged[folder] = error
    if whole is None and damaged:
        raise CheckpointError(_none_left(workdir, list(damaged.values())))
    for folder, error in damaged.items():
        aside = _put_aside(folder)
        print(f"WARNING: {error}; moved to {aside.name}, going on from step {whole}", file=sys.stderr, flush=True)
    return whole


def restore(workdir: str | os.PathLike, step: int, template: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Restores a step that a run has saved; returns its arrays, in the form of the template, and its record.

    Args:
        workdir: the run directory.
        step: to restore.
        template: {name: pytree of NumPy arrays of the wanted structure and shapes}.

    Raises:
        CheckpointError: it is missing or damaged, or does not fit the template.
    """
    folder = next((folder for folder in folders(workdir) if folder.name == str(step)), None)
    if folder is None:
        raise CheckpointError(f"{workdir}: step {step} is not there; all hosts must share --workdir")
    record = read_record(folder)
    return read_arrays(folder, record["checksums"], template), record


def _put_aside(folder: epath.Path) -> epath.Path:
    number, aside = 1, folder.parent / f"{folder.name}.damaged"
    while aside.exists():
        number += 1
        aside = folder.parent / f"{folder.name}.damaged-{number}"
    return folder.rename(aside)


def _none_left(workdir: str | os.PathLike, problems: list[Exception]) -> str:
    return (
        f"{workdir}: none of its {len(problems)} checkpoint(s) can be used: {problems[0]}; give another --workdir, or"
        " move this folder away to start over"
    )
