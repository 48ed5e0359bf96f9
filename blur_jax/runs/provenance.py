"""The provenance of results: command, commit, date, devices and software."""

import contextlib
import datetime
import importlib.metadata
import json
import os
import platform
import shlex
import subprocess
import sys
from typing import Any

import jax

from blur_jax.data import timestamps
from blur_jax.runs import run_dir
from blur_jax.runs.version import version

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "scipy", "ml-collections")
# JAX settings, read from environment variables, that affect results.
_SETTINGS = ("jax_enable_x64", "jax_default_matmul_precision", "jax_default_prng_impl", "jax_threefry_partitionable")
STARTS_FILE = "starts.jsonl"
_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def describe() -> dict[str, str]:
    """Describes this process, for people: "Command", "Commit", "Date" (UTC), "Devices" and "Software"."""
    return {
        "Command": command(),
        "Commit": commit(),
        "Date": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC",
        "Devices": f"{jax.device_count()} x {jax.devices()[0].device_kind}",
        "Software": f"jax {jax.__version__}, Python {platform.python_version()}",
    }


def software() -> dict[str, Any]:
    """Returns a {name: JSON value} dict of the settings that must match across all processes in a run."""
    config: Any = jax.config
    return {
        "blur_jax": commit(),
        "Python": ".".join(platform.python_version_tuple()[:2]),
        **{package: importlib.metadata.version(package) for package in _PACKAGES},
        **{name: getattr(config, name) for name in _SETTINGS},
        "platform": jax.default_backend(),
        "number of local devices": jax.local_device_count(),
    }


def record_start(workdir: str | os.PathLike, step: int) -> None:
    """Records that this process, which has opened its data, trains a run starting at `step`.

    At step 0, deletes earlier records.
    """
    path = run_dir.resolve(workdir) / STARTS_FILE
    before = path.read_text() if step and path.exists() else ""
    row = {"Step": step, "Time": timestamps.now(), **describe()}
    run_dir.write_atomically(path, before + json.dumps(row) + "\n")


def read_starts(workdir: str | os.PathLike) -> list[dict[str, Any]]:
    """Returns the `describe` fields, "Step" (the first step) and "Time" for each process that trained a run."""
    path = run_dir.resolve(workdir) / STARTS_FILE
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def data_read_by(workdir: str | os.PathLike) -> str:
    """Returns a time, like `timestamps.now`, by which a run had opened its data; "" if there is no valid record of it.

    A run that resumes does so with the same data.
    """
    try:
        time = read_starts(workdir)[0]["Time"]
        datetime.datetime.fromisoformat(time)
    except (OSError, ValueError, LookupError, TypeError):
        return ""
    return time


def command() -> str:
    return shlex.join([os.path.basename(sys.orig_argv[0]), *sys.orig_argv[1:]] if sys.orig_argv else sys.argv)


def commit(root: str = _ROOT) -> str:
    """Returns `git describe` of a checkout, with "-dirty" if it was edited, or the package version."""
    # A package installed inside another checkout is not part of it.
    if os.path.exists(os.path.join(root, ".git")):
        git = ["git", "-C", root, "describe", "--always", "--dirty", "--abbrev=12"]
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            return subprocess.run(git, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    return f"version {version()}"
