"""Compares the scoring command with plain decoding and a plain forward pass; 1% of the files are corrupted.

    python -m benchmarks.scoring --checkpoint=RUN --pictures=10000

Creates JPEGs. Measures the time per picture for the command and, before and after it, for decoding alone and the
network alone. All of them use all cores, so the command cannot be faster than decoding and the network together.
Prints their sum as a share of the command's time, in wall time and in CPU time (which is less affected by other
programs), the command's memory, and the reasons for failures. Stops if an intact file fails or a corrupted file does
not. With --kills=N, kills the command N times (SIGKILL) and compares its table with that of an uninterrupted run.
With --faces, every picture shows a face, which the command must find.

Root can read every file, so when run as root, the command drops that privilege (with setpriv from util-linux).
"""

import collections
import csv
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from absl import flags

from benchmarks import corrupted, timing
from blur_jax.score import journal, pipeline, scorer

_SAMPLE = 1024  # Number of pictures for timing decoding alone and the network alone.
_BATCH = 64


class Cost(NamedTuple):
    """Seconds per picture: wall time, and CPU time summed over all processors."""

    clock: float
    processor: float


def _timed(function: Callable[[], Any], count: int) -> tuple[Any, Cost]:
    clock, processor = time.perf_counter(), time.process_time()
    result = function()
    return result, Cost((time.perf_counter() - clock) / count, (time.process_time() - processor) / count)


def _alone(loaded: scorer.Scorer, files: list[str]) -> tuple[Cost, Cost]:
    """Measures the costs of decoding alone and of the network alone."""
    files = files[:_SAMPLE]
    with ThreadPoolExecutor(pipeline.available_cores()) as pool:
        images, decode = _timed(lambda: np.stack(list(pool.map(loaded.prepare, files))), len(files))
    loaded.score_images(images[:_BATCH], batch_size=_BATCH)  # Compiles.
    _, forward = _timed(lambda: loaded.score_images(images, batch_size=_BATCH), len(images))
    return decode, forward


class Sample(NamedTuple):
    """The state of a command: wall seconds, CPU seconds, rows written, memory in megabytes."""

    clock: float
    processor: float
    rows: int
    memory: int


class _Command:
    """The scoring command in its own process."""

    def __init__(self, folder: str, output: str) -> None:
        arguments = [f"--checkpoint={flags.FLAGS.checkpoint}", "pictures", f"--output={output}"]
        arguments += ["--faces"] * flags.FLAGS.faces
        self._journal = journal.path_of(os.path.join(folder, output))
        prefix = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
        env = os.environ | {"PYTHONPATH": os.path.dirname(os.path.dirname(os.path.abspath(__file__)))}
        command = [*prefix, sys.executable, "-m", "blur_jax.score", *arguments]
        self.process = subprocess.Popen(command, cwd=folder, env=env)

    def rows(self) -> int:
        """Returns the number of rows in the journal."""
        try:
            with open(self._journal, "rb") as file:
                return max(0, sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b"")) - 1)
        except FileNotFoundError:
            return 0

    def watch(self) -> Iterator[Sample]:
        """Yields four samples per second until the command ends."""
        while self.process.poll() is None:
            with open(f"/proc/{self.process.pid}/stat") as file:
                fields = file.read().rpartition(")")[2].split()  # See proc(5); these start at the third field.
            processor = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            memory = int(fields[21]) * os.sysconf("SC_PAGE_SIZE") // 2**20
            yield Sample(time.perf_counter(), processor, self.rows(), memory)
            time.sleep(0.25)


def _run(folder: str) -> Cost:
    """Runs the command, prints its memory use, and returns its cost from the first batch to the last."""
    start = time.perf_counter()
    command = _Command(folder, "scores.csv")
    samples = [sample for sample in command.watch() if sample.rows]
    if command.process.wait() not in (0, 1) or len(samples) < 2:
        raise ValueError(f"the command ended with status {command.process.returncode} after {len(samples)} samples")
    points = {f"{share}%": samples[int(share / 100 * (len(samples) - 1))].memory for share in (5, 25, 50, 75, 100)}
    seconds = time.perf_counter() - start
    print(f"command: {seconds:.1f} s with startup and compilation; memory in MB over time: {points}", flush=True)
    first, last = samples[0], samples[-1]
    rows = last.rows - first.rows
    return Cost((last.clock - first.clock) / rows, (last.processor - first.processor) / rows)


def _check(folder: str, bad: dict[str, str]) -> None:
    """Prints the reasons for failures; raises ValueError unless exactly the unreadable files in `bad` failed."""
    with open(os.path.join(folder, "scores.csv"), newline="") as file:
        failed = {row["name"]: row["reason"] for row in csv.DictReader(file) if row["status"] != "ok"}
    for kind, reason in sorted({(bad.get(name, "good"), reason) for name, reason in failed.items()}):
        print(f"  {kind:14} {reason[:100]}")
    expected = {name for name, kind in bad.items() if kind not in corrupted.READABLE}
    if failed.keys() != expected:
        raise ValueError(
            f"files that should not fail: {failed.keys() - expected}; that should: {expected - failed.keys()}"
        )
    print(f"failed: {dict(collections.Counter(bad[name] for name in failed))}, and no other files")


def _kill(folder: str, count: int, kills: int) -> None:
    """Kills the command `kills` times and compares its table with that of the uninterrupted run."""
    for index in range(kills):
        command, wanted = _Command(folder, "killed.csv"), (index + 1) * count // (kills + 2)
        while command.rows() < wanted and command.process.poll() is None:
            time.sleep(0.005 * np.random.default_rng(index).random())
        command.process.send_signal(signal.SIGKILL)
        if command.process.wait() != -signal.SIGKILL:
            raise ValueError("the command ended before it could be killed; increase --pictures")
    _Command(folder, "killed.csv").process.wait()
    tables = [open(os.path.join(folder, name), "rb").read() for name in ("scores.csv", "killed.csv")]
    if tables[0] != tables[1]:
        raise ValueError(f"after {kills} kills, scores.csv and killed.csv in {folder} differ")
    print(f"after {kills} kills (SIGKILL) and restarts, the table is identical: {len(tables[0]):,} bytes")


def run() -> None:
    """Runs the benchmark; prints rates, shares, memory and failures."""
    options = flags.FLAGS
    loaded = scorer.load_scorer(options.checkpoint)
    with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
        good, bad = corrupted.make(folder, options.pictures, options.side, faces=options.faces)
        print(f"{len(good)} JPEGs of {options.side} px and {len(bad)} corrupted files, in {folder}", flush=True)
        rounds = [_alone(loaded, good)]
        command = _run(folder)
        rounds.append(_alone(loaded, good))
        for unit in Cost._fields:
            decode, forward = (statistics.mean(getattr(part, unit) for part in parts) for parts in zip(*rounds))
            whole = getattr(command, unit)
            print(
                f"{unit}: decode {1e3 * decode:.2f} ms, forward {1e3 * forward:.2f} ms, command {1e3 * whole:.2f} ms"
                f" per picture ({1 / whole:.0f}/s); decode + forward take {100 * (decode + forward) / whole:.0f}% of it"
            )
        _check(folder, bad)
        if options.kills:
            _kill(folder, options.pictures, options.kills)


if __name__ == "__main__":
    flags.DEFINE_string("checkpoint", None, "The run directory.", required=True)
    flags.DEFINE_integer("pictures", 2000, "Number of files; 1% are corrupted.", lower_bound=1000)
    flags.DEFINE_integer("side", 256, "Picture side in pixels.", lower_bound=64)
    flags.DEFINE_bool("faces", False, "Whether the pictures show faces, which the command finds.")
    flags.DEFINE_integer("kills", 0, "Number of times to kill the command.", lower_bound=0)
    flags.DEFINE_string("scratch", None, "Folder for the pictures; default: the system's temporary folder.")
    timing.main(run)
