"""Reads a run's `checkpoints/<step>` folders, verifies their checksums and moves damaged folders aside."""

import atexit
import contextlib
import functools
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from etils import epath

from blur_jax.data.untrusted import reason
from blur_jax.runs import run_dir

FOLDER = "checkpoints"
_SPECIAL = set("[]*?\\")
METRIC = "validation_accuracy"
_OWN_CHECKSUM = "checksum"
_ECHO_SECONDS = 0.5  # TensorStore's threads may run this long after a failed read.


class CheckpointError(ValueError):
    """A checkpoint is missing, damaged or of the wrong kind; the message says what to do."""


def folders(workdir: str | os.PathLike) -> list[epath.Path]:
    """Returns the folders of a run's saved steps, including damaged ones, newest first."""
    return steps_in(run_dir.resolve(workdir) / FOLDER)


def steps_in(folder: epath.Path) -> list[epath.Path]:
    """Returns the step folders in a `checkpoints` folder, newest first."""
    steps = [path for path in (folder.iterdir() if folder.is_dir() else ()) if path.name.isdigit()]
    # In a bucket, an interrupted save already has the final name.
    steps = [path for path in steps if is_step(path) and ocp.utils.is_checkpoint_finalized(path)]
    return sorted(steps, key=lambda path: -int(path.name))


def is_step(folder: epath.Path) -> bool:
    """Returns whether Orbax wrote this folder, even if the folder is incomplete."""
    return (folder / "meta").is_dir() or (folder / "_CHECKPOINT_METADATA").exists()


def latest_step(workdir: str | os.PathLike) -> int | None:
    """Returns a run's newest saved step, or None if nothing has been saved."""
    return next((int(path.name) for path in folders(workdir)), None)


@functools.cache
def plain(folder: epath.Path) -> epath.Path:
    """Returns a path that Orbax can use for `folder`: `folder` itself, or a link to it in a temporary folder.

    Orbax treats some characters as glob patterns and loses the arrays under such a path; TensorStore rejects others.
    """
    text = os.fspath(folder)
    if not run_dir.is_local(folder) or not (_SPECIAL & set(text) or text != text.encode("utf-8", "replace").decode()):
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    home = tempfile.mkdtemp(prefix="blur_jax-")
    atexit.register(shutil.rmtree, home, ignore_errors=True)  # Removes the link, not the folder.
    link = os.path.join(home, "link")
    os.symlink(folder, link, target_is_directory=True)
    return epath.Path(link)


def seal(record: dict[str, Any], arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Adds checksums to a record: those of the arrays, {name: pytree}, and that of the record itself."""
    record = record | {"checksums": {name: fingerprint(tree) for name, tree in arrays.items()}}
    return record | {_OWN_CHECKSUM: _record_checksum(record)}


def read_record(folder: epath.Path) -> dict[str, Any]:
    """Reads a step's record; raises CheckpointError if it is missing or damaged."""
    path = folder / "meta"
    with alone(ocp.JsonCheckpointHandler) as checkpointer, _reading(path):
        record = checkpointer.restore(plain(folder) / path.name)
    if not isinstance(record, dict) or record.get(_OWN_CHECKSUM) != _record_checksum(record):
        raise CheckpointError(f"{path}: damaged; the record does not match its checksum")
    return record


def check_metrics(folder: epath.Path) -> None:
    """Raises CheckpointError if a step's Orbax metrics are damaged, because Orbax then cannot open any step."""
    path = folder / "metrics" / "metrics"
    if not path.parent.exists():  # No validation was due at this step.
        return
    with _reading(path):
        metrics = json.loads(path.read_text())
    if not isinstance(metrics, dict) or not isinstance(metrics.get(METRIC), (int, float)):
        raise CheckpointError(f"{path}: damaged; {METRIC} is missing")


def read_arrays(folder: epath.Path, checksums: dict[str, str], template: dict[str, Any]) -> dict[str, Any]:
    """Reads a step's arrays; raises CheckpointError if they are missing, damaged or do not match the template.

    `checksums`, from the record, is {name: fingerprint}; `template` is {name: pytree of arrays with the expected
    structure, shapes and dtypes}.
    """
    arrays = {}
    for name, expected in template.items():
        path = folder / name
        with alone(ocp.StandardCheckpointHandler) as checkpointer, _reading(path):
            tree = checkpointer.restore(plain(folder) / name, args=ocp.args.StandardRestore(expected))
        if _shapes(tree) != _shapes(expected):
            raise CheckpointError(
                f"{path}: the arrays do not match the network that the config describes; the checkpoint is damaged or"
                " was edited"
            )
        if checksums.get(name) != fingerprint(tree):
            raise CheckpointError(f"{path}: damaged; the arrays do not match their checksum")
        arrays[name] = tree
    return arrays


def newest_config(workdir: str | os.PathLike) -> dict[str, Any] | None:
    """Returns the config in a run's newest readable record, or None if it has no checkpoints.

    Raises CheckpointError if no record is readable.
    """
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
    """Returns the newest undamaged step to resume from, or None if nothing was saved. Only one process may call this.

    `template` is {name: pytree of NumPy arrays with the expected structure and shapes}. A damaged step is renamed to
    `<step>.damaged`, with a warning, so the run can save it again. If all saved steps are damaged, raises
    CheckpointError and renames nothing. The arrays of steps older than the returned step are not read.
    """
    whole, damaged = None, {}
    for folder in folders(workdir):
        try:
            check_metrics(folder)
            record = read_record(folder)
            if record["step"] != int(folder.name):
                raise CheckpointError(f"{folder}: contains step {record['step']}, not the step in the folder name")
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

    `template` has the same form as in `newest_whole`. Raises CheckpointError if the step is missing, damaged or does
    not match it.
    """
    for folder in folders(workdir):
        if folder.name == str(step):
            record = read_record(folder)
            return read_arrays(folder, record["checksums"], template), record
    raise CheckpointError(f"{workdir}: step {step} is missing; all hosts must share --workdir")


def fingerprint(params: Any) -> str:
    """Returns the first 16 hex digits of the SHA-256 of a pytree's array names, dtypes, shapes and bytes."""
    digest = hashlib.sha256()
    for name, leaf in jax.tree_util.tree_leaves_with_path(params):
        array, text = np.asarray(leaf), jax.tree_util.keystr(name, simple=True, separator="/")
        digest.update(f"{text} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]


def _none_left(workdir: str | os.PathLike, problems: Sequence[CheckpointError]) -> CheckpointError:
    return CheckpointError(
        f"{workdir}: none of its {len(problems)} checkpoint(s) can be used: {problems[0]}; pass a different --workdir,"
        " or move this folder away to start over"
    )


def _record_checksum(record: dict[str, Any]) -> str:
    rest = {name: value for name, value in record.items() if name != _OWN_CHECKSUM}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()[:16]


def _shapes(tree: Any) -> Any:
    return jax.tree.map(lambda x: (np.shape(x), np.dtype(x.dtype)), tree)


def alone(handler: Callable[..., ocp.CheckpointHandler]) -> ocp.Checkpointer:
    """Returns a checkpointer that does not wait for other processes, so one process can read a checkpoint by itself."""
    here = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(
        primary_host=here, active_processes={here}, barrier_sync_key_prefix=f"process_{here}"
    )
    return ocp.Checkpointer(handler(multiprocessing_options=alone), multiprocessing_options=alone)


@contextlib.contextmanager
def _reading(path: epath.Path) -> Iterator[None]:
    """Converts the many error types that Orbax and TensorStore raise for an invalid folder into CheckpointError."""
    try:
        with without_echoes():
            yield
    except Exception as error:
        raise CheckpointError(
            f"{path}: cannot be read as a checkpoint ({type(error).__name__}: {reason(error)});"
            " it is damaged or from a different network"
        ) from error


@contextlib.contextmanager
def without_echoes() -> Iterator[None]:
    """Hides tracebacks after a failed read or save; they concern other arrays, whose event loop Orbax has closed."""
    before = sys.unraisablehook

    def hook(dropped: "sys.UnraisableHookArgs") -> None:
        if str(dropped.exc_value) != "Event loop is closed":
            before(dropped)

    sys.unraisablehook = hook
    try:
        yield
    except Exception:
        time.sleep(_ECHO_SECONDS)
        raise
    finally:
        sys.unraisablehook = before
