"""A run directory: its config, its metrics history, and files that are written atomically.

Paths are etils.epath paths, so a run may be in a bucket (`gs://`) or on disk.
"""

import contextlib
import functools
import json
import os
from typing import Any

import fsspec.config
import ml_collections
from etils import epath
from flax import traverse_util

from blur_jax.data import files
from blur_jax.data.untrusted import excerpt, read_json, reason
from blur_jax.data.user_cache import expand

CONFIG_FILE = "config.json"
HISTORY_FILE = "metrics.jsonl"
VALIDATION_FILE = "validation.jsonl"
_BUCKET_SECONDS = 20

# Hosts may keep the data in different places.
_OWN_FIELDS = ("data.dir", "data.manual_dir", "data.cache_mb")
# The training state does not depend on these, so a run may resume with different values.
_FREE_FIELDS = ("data.dir", "data.manual_dir", "data.allow_missing", "data.cache_mb", "log_every", "keep")
_FREE_GROUPS = ("evaluation.",)


def resolve(workdir: str | os.PathLike) -> epath.Path:
    """Returns a run directory's absolute path or bucket address; raises ValueError if the address cannot be used."""
    text = os.fspath(workdir)
    if "://" not in text:
        return epath.Path(os.path.abspath(expand(text)))
    scheme, _, place = text.partition("://")
    if scheme != "gs":  # Orbax writes arrays only to disk and gs://; for s3:// it raises an error or writes to disk.
        raise ValueError(f"{text}: {scheme}:// is not supported; use a local path (a mounted disk works too) or gs://")
    _check_bucket(place.partition("/")[0])
    return epath.Path(text)


@functools.cache
def _check_bucket(name: str) -> None:
    """Checks once per process, with a time limit, that a bucket can be opened."""
    try:
        import gcsfs
        from google.cloud import storage  # Orbax uses it.
    except ImportError as error:
        raise ValueError(f"gs://{name}: reading gs:// requires gcsfs; run: pip install gcsfs") from error
    for protocol in gcsfs.GCSFileSystem.protocol:  # Listings must include what other processes have just saved.
        fsspec.config.conf.setdefault(protocol, {})["use_listings_cache"] = False
    try:
        storage.Client().get_bucket(name, timeout=_BUCKET_SECONDS, retry=None)
    except Exception as error:  # Credentials, network and server errors have different types.
        raise ValueError(
            f"gs://{name}: cannot be opened ({type(error).__name__}: {reason(error)}); create the bucket, log in with"
            " `gcloud auth application-default login`, or see docs/pods.md for the permissions that a run needs"
        ) from error


def run_of(path: str | os.PathLike) -> epath.Path:
    """Returns the run directory, given that directory, its `checkpoints` folder or a checkpoints/<step> folder."""
    path = resolve(path)
    path = path.parent if (path / "meta").is_dir() else path  # Only Orbax writes to a step folder.
    return path.parent if path.name == "checkpoints" else path


def is_local(path: epath.Path) -> bool:
    """Returns whether a path is on a file system, where files can be appended to, rather than in a bucket."""
    return "://" not in os.fspath(path)


def write_atomically(path: str | os.PathLike, text: str) -> None:
    """Writes a text file atomically; creates its folder if needed and writes "?" for lone surrogates."""
    path, data = epath.Path(path), text.encode("utf-8", "replace")
    if not is_local(path):  # Buckets write objects atomically.
        path.write_bytes(data)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(path) as temporary:
        epath.Path(temporary).write_bytes(data)


def claim(
    config: ml_collections.ConfigDict, workdir: str | os.PathLike, recorded: dict[str, Any] | None = None
) -> contextlib.AbstractContextManager:
    """Makes `workdir` the run directory of `config`, or checks that it already is.

    `recorded` is the config in its newest checkpoint; without a checkpoint, a run with a different config is replaced.
    The returned context manager keeps other processes from claiming the directory, except in a bucket, which has no
    locks. Raises ValueError if the directory has a different config or is in use, and OSError if it cannot be written.
    """
    folder = resolve(workdir)
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        if is_local(folder):
            file = stack.enter_context(open(folder / ".lock", "w"))
            files.lock(
                file,
                f"{folder}: another process is training in it; wait for it to finish, or pass a different --workdir",
            )
        if recorded is None:
            recorded = json.loads(config.to_json())
        else:
            check_same_config(config, workdir, recorded)
        # This file is only for people; the program reads the record in each checkpoint.
        write_atomically(folder / CONFIG_FILE, json.dumps(recorded, indent=2) + "\n")
        return stack.pop_all()


def check_same_config(config: ml_collections.ConfigDict, workdir: str | os.PathLike, recorded: dict[str, Any]) -> None:
    """Raises ValueError if `recorded`, from a checkpoint in `workdir`, differs in fields that affect the run."""
    different = differences(recorded, json.loads(config.to_json()))
    if different:
        longer = f"; to continue training from it, pass a different --workdir and --config.start_from={workdir}"
        changed = "; its pictures or labels have changed, so they need a run of their own"
        raise ValueError(
            f"{workdir} contains a run with a different config ({different}); pass the same config or a different"
            f" --workdir{longer * ('config.steps is' in different)}{changed * ('config.data.sources is' in different)}"
        )


def differences(there: dict[str, Any], here: dict[str, Any]) -> str:
    """Lists how a recorded and a requested config differ in fields that affect a run's state; "" if they do not."""
    there, here = (traverse_util.flatten_dict(config, sep=".") for config in (there, here))
    fields = [name for name in sorted(there.keys() | here.keys()) if there.get(name) != here.get(name)]
    fields = [name for name in fields if name not in _FREE_FIELDS and not name.startswith(_FREE_GROUPS)]
    lines = [f"config.{name} is {excerpt(there.get(name))} there but {excerpt(here.get(name))} here" for name in fields]
    return "; ".join(lines[:8] + [f"and {len(lines) - 8} more"] * (len(lines) > 8))


def shared_fields(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """Returns the fields that must match across all processes in a run, as {"config.steps": 600, ...}."""
    fields = traverse_util.flatten_dict(json.loads(config.to_json()), sep=".")
    return {f"config.{name}": value for name, value in fields.items() if name not in _OWN_FIELDS}


def read_history(workdir: str | os.PathLike) -> list[dict[str, float]]:
    """Returns a run's metrics rows ordered by step; for the same step, training comes before validation."""
    folder = resolve(workdir)
    rows = [row for name in (HISTORY_FILE, VALIDATION_FILE) for row in _read_rows(folder / name)]
    return sorted(rows, key=lambda row: row["step"])


def _read_rows(path: epath.Path) -> list[dict[str, float]]:
    """Returns a file's rows, or [] if it is missing.

    Damaged lines, such as one cut off when a process was killed, are skipped.
    """
    rows = []
    for line in path.read_bytes().splitlines() if path.exists() else []:
        with contextlib.suppress(ValueError):
            row = read_json(line)
            rows += [row] if isinstance(row, dict) and isinstance(row.get("step"), int) else []
    return rows


class History:
    """A file with a run's metrics, one JSON line per row; `write` saves its row to disk immediately."""

    def __init__(self, workdir: str | os.PathLike, name: str, *, first_step: int) -> None:
        """Opens the file and drops rows after `first_step`, which a resumed run will write again."""
        self._path = resolve(workdir) / name
        self._lines = [json.dumps(row) + "\n" for row in _read_rows(self._path) if row["step"] <= first_step]
        write_atomically(self._path, "".join(self._lines))
        self._file = open(self._path, "a", encoding="utf-8") if is_local(self._path) else None

    def write(self, row: dict[str, float]) -> None:
        line = json.dumps(row) + "\n"
        if self._file:
            with files.naming(self._path):
                self._file.write(line)
                self._file.flush()
        else:  # Buckets do not support appending.
            self._lines.append(line)
            write_atomically(self._path, "".join(self._lines))

    def close(self) -> None:
        if self._file:
            with files.naming(self._path):  # Closing retries a failed write.
                self._file.close()
