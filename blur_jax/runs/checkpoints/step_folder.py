"""One folder `checkpoints/<step>`: its record and its arrays, read and compared with their checksums."""

import contextlib
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from etils import epath

from blur_jax.data.untrusted import reason
from blur_jax.runs import run_dir

FOLDER = "checkpoints"
METRIC = "validation_accuracy"
_OWN_CHECKSUM = "checksum"
_ECHOES = 0.5  # Seconds that threads of TensorStore may go on for after a failed read.


class CheckpointError(ValueError):
    """A checkpoint that is missing, damaged or of another kind; the message says what to do."""


def folders(workdir: str | os.PathLike) -> list[epath.Path]:
    """Returns the folders of the steps that a run has saved, also of damaged ones, the newest first."""
    return steps_in(run_dir.resolve(workdir) / FOLDER)


def steps_in(folder: epath.Path) -> list[epath.Path]:
    """Returns the folders of steps in a folder `checkpoints`, the newest first."""
    found = [path for path in (folder.iterdir() if folder.is_dir() else ()) if path.name.isdigit()]
    # In a bucket, what a killed save left behind has its final name already.
    found = [path for path in found if is_step(path) and ocp.utils.is_checkpoint_finalized(path)]
    return sorted(found, key=lambda path: -int(path.name))


def is_step(folder: epath.Path) -> bool:
    """Whether Orbax wrote a folder, however much of it is left."""
    return (folder / "meta").is_dir() or (folder / "_CHECKPOINT_METADATA").exists()


def latest_step(workdir: str | os.PathLike) -> int | None:
    """Returns the newest step that a run has saved; None where there is none. Changes nothing."""
    return next((int(path.name) for path in folders(workdir)), None)


def seal(record: dict[str, Any], arrays: dict[str, Any]) -> dict[str, Any]:
    """Returns a record with the checksums of the arrays beside it, {name: pytree}, and of itself."""
    record = record | {"checksums": {name: fingerprint(tree) for name, tree in arrays.items()}}
    return record | {_OWN_CHECKSUM: _of_record(record)}


def read_record(folder: epath.Path) -> dict[str, Any]:
    """Reads the record of a step.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    with _checkpointer(ocp.JsonCheckpointHandler) as checkpointer:
        record = _guarded(folder / "meta", lambda: checkpointer.restore(folder / "meta"))
    if not isinstance(record, dict) or record.get(_OWN_CHECKSUM) != _of_record(record):
        raise CheckpointError(f"{folder / 'meta'}: damaged: it is not the record that was saved")
    return record


def check_metrics(folder: epath.Path) -> None:
    """Raises CheckpointError where Orbax could not read its own metrics of a step: it then opens no step of the run."""
    path = folder / "metrics" / "metrics"
    if not path.parent.exists():  # As where no validation was due.
        return
    found = _guarded(path, lambda: json.loads(path.read_text()))
    if not isinstance(found, dict) or not isinstance(found.get(METRIC), (int, float)):
        raise CheckpointError(f"{path}: damaged: it does not hold the {METRIC}")


def read_arrays(folder: epath.Path, checksums: dict[str, str], template: dict[str, Any]) -> dict[str, Any]:
    """Reads arrays of a step as this process alone, whatever others do.

    Args:
        folder: of the step.
        checksums: of the record, {name: fingerprint}.
        template: {name: pytree of arrays of the wanted structure, shapes and dtypes}.

    Raises:
        CheckpointError: they are missing or damaged, or do not fit the template.
    """
    found = {}
    for name, wanted in template.items():
        path = folder / name
        with _checkpointer(ocp.StandardCheckpointHandler) as checkpointer:
            restore = ocp.args.StandardRestore(wanted)
            found[name] = _guarded(path, lambda: checkpointer.restore(path, args=restore))  # noqa: B023
        _check_shapes(path, wanted, found[name])
        if checksums.get(name) != fingerprint(found[name]):
            raise CheckpointError(f"{path}: damaged: these are not the arrays that were saved")
    return found


def fingerprint(params: Any) -> str:
    """Returns 16 hex digits of the SHA-256 of parameters, a pytree of arrays: of their names, shapes and bytes."""
    digest = hashlib.sha256()
    for name, leaf in jax.tree_util.tree_leaves_with_path(params):
        array, text = np.asarray(leaf), jax.tree_util.keystr(name, simple=True, separator="/")
        digest.update(f"{text} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]


def _of_record(record: dict[str, Any]) -> str:
    rest = {name: value for name, value in record.items() if name != _OWN_CHECKSUM}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()[:16]


def _checkpointer(handler: type[ocp.CheckpointHandler]) -> ocp.Checkpointer:
    """Reads without waiting for other processes, so that one can look at a checkpoint alone."""
    here = jax.process_index()
    alone = ocp.options.MultiprocessingOptions(
        primary_host=here, active_processes={here}, barrier_sync_key_prefix=f"process_{here}"
    )
    return ocp.Checkpointer(handler(multiprocessing_options=alone), multiprocessing_options=alone)


def _guarded(path: str | os.PathLike, read: Callable[[], Any]) -> Any:
    """Orbax and TensorStore raise many types for a damaged or foreign folder; all mean the same to the user."""
    try:
        with without_echoes():
            return read()
    except Exception as error:
        raise CheckpointError(
            f"{path}: cannot be read as a checkpoint ({type(error).__name__}: {reason(error)});"
            " it is damaged or from another network"
        ) from error


@contextlib.contextmanager
def without_echoes() -> Iterator[None]:
    """Keeps quiet about what follows a failed read or save.

    The reads or writes of other arrays then end in an event loop that Orbax has closed, each with a traceback.
    """
    before = sys.unraisablehook

    def hook(dropped: "sys.UnraisableHookArgs") -> None:
        if str(dropped.exc_value) != "Event loop is closed":
            before(dropped)

    sys.unraisablehook = hook
    try:
        yield
    except Exception:
        time.sleep(_ECHOES)
        raise
    finally:
        sys.unraisablehook = before


def _check_shapes(path: str | os.PathLike, template: Any, restored: Any) -> None:
    wanted, found = (jax.tree.map(lambda x: (np.shape(x), np.dtype(x.dtype)), tree) for tree in (template, restored))
    if wanted != found:
        raise CheckpointError(
            f"{path}: its arrays do not fit the network that its config describes; it is damaged or edited"
        )
