"""A run directory: the config it belongs to, the history of its metrics, and files that are whole or not there.

Paths go through etils.epath, so a run may live in a bucket (`gs://`) as well as on a disk.
"""

import contextlib
import functools
import json
import os
from typing import Any

import fsspec
import ml_collections
from etils import epath
from flax import traverse_util

from blur_jax.data import files
from blur_jax.data.untrusted import excerpt, read_json, reason

CONFIG_FILE = "config.json"
HISTORY_FILE = "metrics.jsonl"
VALIDATION_FILE = "validation.jsonl"
LOCK_FILE = ".lock"
_BUCKET_SECONDS = 20

# What the state after a step does not depend on: a run may resume with other values of these.
_FREE_FIELDS = ("data.dir", "data.manual_dir", "data.allow_missing", "data.cache_mb", "log_every", "keep")
_FREE_GROUPS = ("evaluation.",)


def resolve(workdir: str | os.PathLike) -> epath.Path:
    """Returns the absolute path, or the bucket's address, of a run directory.

    Raises:
        ValueError: no run can be at this kind of address, what reads it is not installed, or the bucket is missing or
            closed to us.
    """
    text = os.fspath(workdir)
    if "://" not in text:
        return epath.Path(os.path.abspath(os.path.expanduser(text)))
    scheme, _, place = text.partition("://")
    if scheme != "gs":  # Orbax writes arrays to disks and gs:// only; to s3:// it raises, or writes to a disk.
        raise ValueError(f"{text}: {scheme}:// is not supported; use a local path, a mounted disk's too, or gs://")
    _check_bucket(place.partition("/")[0])
    return epath.Path(text)


@functools.cache
def _check_bucket(name: str) -> None:
    """Opens a bucket, once in a process, and with a bound on the time that those who use it later do not have."""
    try:
        import gcsfs
        from google.cloud import storage  # What Orbax asks with.
    except ImportError as error:
        raise ValueError(f"gs://{name}: reading gs:// needs a package: pip install gcsfs") from error
    for protocol in gcsfs.GCSFileSystem.protocol:  # What other processes save must be seen.
        fsspec.config.conf.setdefault(protocol, {})["use_listings_cache"] = False
    try:
        storage.Client().get_bucket(name, timeout=_BUCKET_SECONDS, retry=None)
    except Exception as error:  # Of the credentials, the network or the server, each of which has types of its own.
        raise ValueError(
            f"gs://{name}: cannot be opened ({type(error).__name__}: {reason(error)}); create the bucket, log in with"
            " `gcloud auth application-default login`, or see docs/pods.md for the permissions that a run needs"
        ) from error


def run_of(path: str | os.PathLike) -> epath.Path:
    """Returns the run directory of a path that is one, or one of its folders checkpoints/<step>, or checkpoints."""
    path = resolve(path)
    path = path.parent if (path / "meta").is_dir() else path  # Orbax's folder is not ours to write in.
    return path.parent if path.name == "checkpoints" else path


def is_local(path: epath.Path) -> bool:
    """Whether a path is on a file system, where files can be appended to, rather than in a bucket."""
    return "://" not in os.fspath(path)


def write_atomically(path: str | os.PathLike, text: str) -> None:
    """Writes a text file that is either whole or not there; creates its folder where needed.

    A name that no encoding can hold (a lone surrogate in a file name) is written with replacement characters.
    """
    path, data = epath.Path(path), text.encode("utf-8", "replace")
    if not is_local(path):  # An object of a bucket is whole or not there anyway.
        path.write_bytes(data)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(path) as temporary:
        epath.Path(temporary).write_bytes(data)


def claim(
    config: ml_collections.ConfigDict, workdir: str | os.PathLike, recorded: dict[str, Any] | None = None
) -> contextlib.AbstractContextManager:
    """Makes `workdir` the run directory of `config`, or checks that it is.

    Args:
        config: of the run.
        workdir: the run directory, created where needed.
        recorded: the config in the newest checkpoint there. None: nothing has been saved, so that a run of another
            config, which failed or was stopped before its first checkpoint, gives way.

    Returns:
        a context manager that keeps other processes from claiming it while it is open. It does not in a bucket, where
        nothing can be locked.

    Raises:
        ValueError: it belongs to another config, or another process is training in it.
        OSError: it cannot be written.
    """
    folder = resolve(workdir)
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        if is_local(folder):
            file = stack.enter_context(open(folder / LOCK_FILE, "w"))
            files.lock(file, f"{folder}: another process is training in it; wait for it, or give another --workdir")
        wanted = json.loads(config.to_json())
        if recorded is not None:
            check_same_config(config, workdir, recorded)
        # For people: what counts is the record in each checkpoint.
        write_atomically(folder / CONFIG_FILE, json.dumps(wanted if recorded is None else recorded, indent=2) + "\n")
        return stack.pop_all()


def check_same_config(config: ml_collections.ConfigDict, workdir: str | os.PathLike, recorded: dict[str, Any]) -> None:
    """Raises ValueError where `recorded`, the config in a checkpoint of `workdir`, is another in what counts."""
    different = differences(recorded, json.loads(config.to_json()))
    if different:
        longer = f"; to train on from it, give another --workdir and --config.start_from={workdir}"
        raise ValueError(
            f"{workdir} holds the run of another config ({different}); give another --workdir or the same config"
            + longer * ("config.steps is" in different)
        )


def differences(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    """Says by field how two configs differ in what the state of a run depends on; "" where they do not.

    Args:
        found: the recorded config.
        wanted: the config asked for.
    """
    found, wanted = (traverse_util.flatten_dict(fields, sep=".") for fields in (found, wanted))
    fields = [name for name in sorted(found.keys() | wanted.keys()) if found.get(name) != wanted.get(name)]
    fields = [name for name in fields if name not in _FREE_FIELDS and not name.startswith(_FREE_GROUPS)]
    listed = [
        f"config.{name} is {excerpt(found.get(name))} there, {excerpt(wanted.get(name))} here" for name in fields[:8]
    ]
    return "; ".join(listed + [f"and {len(fields) - 8} more"] * (len(fields) > 8))


def read_history(workdir: str | os.PathLike) -> list[dict[str, float]]:
    """Returns the rows of a run's metrics, of training and of validation, by step; a step's training comes first."""
    folder = resolve(workdir)
    rows = [row for name in (HISTORY_FILE, VALIDATION_FILE) for row in _read_rows(folder / name)]
    return sorted(rows, key=lambda row: row["step"])


def _read_rows(path: epath.Path) -> list[dict[str, float]]:
    """Returns the rows of a file, none where it is missing; what is no row, cut short by a kill, is left out."""
    rows = []
    for line in path.read_bytes().splitlines() if path.exists() else []:
        try:
            row = read_json(line)
        except ValueError:
            continue
        rows += [row] if isinstance(row, dict) and isinstance(row.get("step"), int) else []
    return rows


class History:
    """A file of metrics of a run, a JSON line for each row, on disk as soon as they are written."""

    def __init__(self, workdir: str | os.PathLike, name: str, *, first_step: int) -> None:
        """Opens the file, without the rows past `first_step` of a run that was killed: they will come again."""
        self._path = resolve(workdir) / name
        self._lines = [json.dumps(row) + "\n" for row in _read_rows(self._path) if row["step"] <= first_step]
        write_atomically(self._path, "".join(self._lines))
        self._file = open(self._path, "a", encoding="utf-8") if is_local(self._path) else None

    def write(self, row: dict[str, float]) -> None:
        """Adds a row."""
        line = json.dumps(row) + "\n"
        if self._file:
            with files.naming(self._path):
                self._file.write(line)
                self._file.flush()
        else:  # A bucket cannot append.
            self._lines.append(line)
            write_atomically(self._path, "".join(self._lines))

    def close(self) -> None:
        """Closes the file."""
        if self._file:
            with files.naming(self._path):  # Which tries again what could not be written.
                self._file.close()
