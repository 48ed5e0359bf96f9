"""Tests a run directory with a small checkpoint before anything is compiled."""

import contextlib
import os
import secrets
from typing import Any

import numpy as np
import orbax.checkpoint as ocp
from etils import epath

from blur_jax.data.untrusted import reason
from blur_jax.runs import distributed, run_dir
from blur_jax.runs.checkpoints import steps


def try_folder(workdir: str | os.PathLike) -> None:
    """Saves a small checkpoint in a run directory, reads it back on every process and removes it.

    A path that Orbax cannot use, a full disk or a disk that the hosts do not share would otherwise make the run fail
    at its first checkpoint or at its end. All processes must call this together; it leaves nothing behind.

    Raises:
        CheckpointError: a process cannot read the checkpoint back.
        OSError: process 0 cannot write the checkpoint.
    """
    folder = run_dir.resolve(workdir)
    token = distributed.share(secrets.token_hex(8))
    trial, arrays = folder / f".trial-{token}", {"array": np.frombuffer(token.encode(), np.uint8)}
    new = [path for path in (folder, *folder.parents) if run_dir.is_local(folder) and not path.exists()]
    try:
        distributed.on_process_zero(_save, trial, arrays)
        distributed.everywhere(_read, trial, arrays)
    finally:
        if distributed.is_process_zero():
            with contextlib.suppress(OSError):
                trial.rmtree()
            with contextlib.suppress(OSError):  # Another process may be using the folder by now.
                for path in new:
                    os.rmdir(path)


def _save(trial: epath.Path, arrays: dict[str, Any]) -> None:
    try:
        trial.mkdir(parents=True)
        with steps.alone(ocp.StandardCheckpointHandler) as checkpointer, steps.without_echoes():
            for name, array in arrays.items():
                checkpointer.save(steps.plain(trial) / name, args=ocp.args.StandardSave({name: array}))
    except Exception as error:  # Orbax raises many types, and OSError without a path.
        raise OSError(f"{trial.parent}: checkpoints cannot be saved here ({reason(error)})") from error


def _read(trial: epath.Path, arrays: dict[str, Any]) -> None:
    if not trial.exists():
        raise steps.CheckpointError(
            f"{trial.parent}: this host cannot see the files that process 0 writes there; all hosts must share"
            " --workdir, so use a shared disk or gs://"
        )
    checksums = {name: steps.fingerprint({name: array}) for name, array in arrays.items()}
    template = {name: {name: np.zeros_like(array)} for name, array in arrays.items()}
    try:
        steps.read_arrays(trial, checksums, template)
    except steps.CheckpointError as error:
        raise steps.CheckpointError(
            f"{trial.parent}: a checkpoint saved here cannot be read back ({reason(error.__cause__ or error)});"
            " pass a different --workdir"
        ) from error
