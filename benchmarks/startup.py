"""How long launch.py takes from its start to the end of its first step, and what it spends that on.

    python -m benchmarks.startup --runs=5 -- --config=configs/default.py

Starts launch.py, with the flags behind the two dashes, in new processes: with no compiled programs (cold), and with
those that the start before has kept (warm). Each ends after its first step. Prints medians, with the range, of seconds
and of CPU seconds of all threads; the data must be prepared. Linux only.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

from absl import app, flags

from benchmarks import timing

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_WHOLE = "start to first step"


def start(arguments: Sequence[str], folder: str) -> dict[str, Any]:
    """Starts launch.py until its first step is done.

    Args:
        arguments: of launch.py, without --workdir.
        folder: where compiled programs are kept.

    Returns:
        {"phases": {name: [seconds, CPU seconds]}, "programs": {"loaded": n, "compiled": m}}.

    Raises:
        RuntimeError: launch.py failed; says how.
    """
    with tempfile.TemporaryDirectory() as run:
        command = [sys.executable, "-m", "benchmarks.startup_child", *arguments, f"--workdir={run}/run"]
        # As by default, but in this folder.
        settings = {"JAX_COMPILATION_CACHE_DIR": folder, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
        environment = os.environ | settings | {"PYTHONPATH": _ROOT}
        process = subprocess.run(command, cwd=_ROOT, env=environment, capture_output=True, text=True)
    if process.returncode:
        raise RuntimeError(f"launch.py failed: {process.stderr}")
    found = json.loads(process.stdout.splitlines()[-1])
    found["phases"][_WHOLE] = [sum(spent) for spent in zip(*found["phases"].values())]
    return found


def run(arguments: Sequence[str], *, runs: int) -> None:
    """Prints a table for cold starts and one for warm ones.

    Args:
        arguments: of launch.py.
        runs: starts of each kind.
    """
    found = {"cold": [], "warm": []}
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            for kind in found:
                found[kind].append(start(arguments, folder))
    head = "".join(f"{title:>8}{'(range)':>16}" for title in ("seconds", "CPU s"))
    for kind, starts in found.items():
        programs = ", ".join(f"{count} programs {what}" for what, count in starts[-1]["programs"].items())
        print(f"{kind}: {programs}; medians of {runs}\n{'':<28}{head}")
        for phase in starts[-1]["phases"]:
            columns = zip(*(start["phases"][phase] for start in starts))
            print(f"{phase:<28}" + "".join(map(_spread, columns)))


def _spread(seconds: Sequence[float]) -> str:
    extent = f"({min(seconds):.2f}-{max(seconds):.2f})"
    return f"{statistics.median(seconds):>8.2f}{extent:>16}"


def main(argv: list[str]) -> None:
    """Runs the benchmark; what follows `--` is for launch.py."""
    print(timing.machine())
    run(argv[1:], runs=flags.FLAGS.runs)


if __name__ == "__main__":
    flags.DEFINE_integer("runs", 5, "Starts of each kind.", lower_bound=1)
    app.run(main)
