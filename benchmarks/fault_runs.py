"""Starts small launch.py runs, disturbs them, and reads the results."""

import dataclasses
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import portpicker
from PIL import Image
from scipy import ndimage

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIMIT = 120.0  # Maximum seconds for a process to end.
DONE, FAILED, STOPPED = 0, 1, 75
PICTURES, STEPS = 40, 40
FLAGS = {
    "steps": STEPS,
    "checkpoint_every": 2,
    "log_every": 3,
    "data.name": "folder_face_blur",
    "data.image_size": 32,
    "batch.labeled": 4,
    "batch.unlabeled": 4,
    "ema_decay": 0.9,
    "evaluation.resamples": 50,
    "evaluation.batch_size": 16,
}


def make_pictures(folder: pathlib.Path) -> None:
    """Generates pictures with known blur; most of them are used in pairs, and the rest are ranked."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    sigmas = rng.permutation(np.linspace(0, 3, PICTURES))
    for index, sigma in enumerate(sigmas):
        texture = ndimage.gaussian_filter(rng.uniform(0, 255, (48, 48, 3)), (1 + sigma, 1 + sigma, 0))
        scaled = 128 + 40 * (texture - texture.mean()) / texture.std()
        Image.fromarray(np.clip(scaled, 0, 255).astype(np.uint8)).save(folder / f"{index}.png")
    learned = PICTURES - 8
    pairs = [(a, (a + jump) % learned) for jump in (1, 5) for a in range(learned)]
    lines = [f"{a}.png,{b}.png,{1 if sigmas[b] > sigmas[a] else -1}" for a, b in pairs]
    (folder / "pairs.csv").write_text("\n".join(["left,right,order", *lines]) + "\n")
    ranked = [f"{index}.png,{sigmas[index]:.3f}" for index in range(learned, PICTURES)]
    (folder / "ranked.csv").write_text("\n".join(["name,rank", *ranked]) + "\n")


@dataclasses.dataclass
class Ended:
    """How a launch ended."""

    codes: list[int]  # Exit status of each process; negative if it was ended by a signal.
    output: str
    seconds: float  # From the launch or the last signal until the last process ended.
    hung: bool  # Whether a process was killed after `LIMIT`.


class Launch:
    """Launches the run in `folder`/run with data in `folder`/data; `fields` override config fields."""

    def __init__(self, folder: pathlib.Path, processes: int = 1, pictures: str = "", **fields: Any) -> None:
        self._log = folder / f"output-{time.monotonic_ns()}"
        self._log.parent.mkdir(parents=True, exist_ok=True)
        values = FLAGS | {name.replace("__", "."): value for name, value in fields.items()}
        values |= {"data.dir": folder / "data", "data.manual_dir": pictures or folder.parent / "PHOTOS"}
        command = [sys.executable, "launch.py", f"--workdir={folder / 'run'}"]
        command += [f"--config.{name}={value}" for name, value in values.items()]
        if processes > 1:
            port = portpicker.pick_unused_port()
            command += ["--distributed", f"--coordinator=localhost:{port}", f"--processes={processes}"]
        commands = [[*command, f"--process={index}"] if processes > 1 else command for index in range(processes)]
        cache = {"JAX_COMPILATION_CACHE_DIR": str(folder.parent / "compiled"), "PYTHONPATH": str(ROOT)}
        env = os.environ | cache | {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
        self._began = time.monotonic()
        with open(self._log, "wb") as log:
            streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
            self.processes = [subprocess.Popen(command, cwd=ROOT, env=env, **streams) for command in commands]

    def running(self) -> bool:
        return all(process.poll() is None for process in self.processes)

    def wait_for(self, happened: Callable[[], bool]) -> bool:
        """Waits until `happened()` is true; returns False if a process ends first."""
        while self.running():
            if happened():
                return True
            time.sleep(0.002)
        return False

    def send(self, number: int, index: int = 0) -> None:
        """Sends a signal to one of the processes and restarts the clock."""
        self.processes[index].send_signal(number)
        self._began = time.monotonic()

    def end(self) -> Ended:
        """Waits up to `LIMIT` seconds for all processes, then kills those that are still running."""
        hung = False
        for process in self.processes:
            try:
                process.wait(max(0.1, self._began + LIMIT - time.monotonic()))
            except subprocess.TimeoutExpired:
                hung = True
                process.kill()
                process.wait()
        seconds = time.monotonic() - self._began
        return Ended([p.returncode for p in self.processes], self._log.read_text(errors="replace"), seconds, hung)


def run(folder: pathlib.Path, processes: int = 1, **options: Any) -> Ended:
    return Launch(folder, processes, **options).end()


def outcome(folder: pathlib.Path) -> dict[str, object]:
    """Returns all values that must match in two bit-identical runs."""
    run_folder = folder / "run"
    record = json.loads((newest(folder) / "meta" / "metadata").read_text())
    metrics = json.loads((run_folder / "metrics.json").read_text())
    history = {name: (run_folder / name).read_text() for name in ("metrics.jsonl", "validation.jsonl", "scores.csv")}
    best = metrics["step"], metrics["splits"]
    return {"step": record["step"], "arrays": record["checksums"], "best": best} | history


def newest(folder: pathlib.Path) -> pathlib.Path:
    """Returns the newest checkpoint of a run."""
    steps = [path for path in (folder / "run" / "checkpoints").iterdir() if path.name.isdigit()]
    return max(steps, key=lambda path: int(path.name))


def leftovers(folder: pathlib.Path) -> list[str]:
    """Returns temporary files, temporary folders and empty files in a finished run, which should not have any.

    TensorBoard files are ignored, because a launch that is killed early leaves an empty one.
    """
    paths = [*(folder / "run").rglob("*"), *(folder / "data").rglob("*")]
    paths = [path for path in paths if path.parent.name != "tensorboard" and path.name != ".lock"]
    unfinished = re.compile(r"\.tmp$|orbax-checkpoint-tmp|incomplete\.")
    empty = {path for path in paths if path.is_file() and path.stat().st_size == 0}
    return [str(path.relative_to(folder)) for path in paths if unfinished.search(path.name) or path in empty]


def files_of_newest(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns the files in the newest checkpoint."""
    return sorted(path for path in newest(folder).rglob("*") if path.is_file())


def damage(path: pathlib.Path, how: str, rng: random.Random) -> None:
    """Damages a file: "cut short", "bit flipped", "emptied" or "removed"."""
    data = bytearray(path.read_bytes())
    if how == "removed":
        path.unlink()
        return
    if how == "bit flipped" and data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes({"cut short": data[: len(data) // 2], "bit flipped": data, "emptied": b""}[how])


def stop_in_training(folder: pathlib.Path, row: int) -> Ended:
    """Launches a run and stops it with SIGTERM once it has logged `row` rows."""
    launch = Launch(folder)
    launch.wait_for(lambda: logged(folder) >= row)
    launch.send(signal.SIGTERM)
    return launch.end()


def logged(folder: pathlib.Path) -> int:
    """Returns the number of rows in a run's history."""
    history = folder / "run" / "metrics.jsonl"
    return history.read_text().count("\n") if history.exists() else 0


def problem_with(ended: Ended, pattern: str, codes: Sequence[int]) -> str:
    """Checks that a launch exited with one of `codes` and that its output matches a regex; returns any problems."""
    problems = ["hung"] * ended.hung
    problems += [f"exit status {ended.codes}"] * any(code not in codes for code in ended.codes)
    problems += ["a traceback"] * ("Traceback (most recent call last)" in ended.output)
    problems += [f"no match for {pattern!r} in its output"] * (re.search(pattern, ended.output, re.DOTALL) is None)
    return "; ".join(problems)
