"""Starts small runs of launch.py, disturbs them, and reads what they leave behind."""

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

import numpy as np
import portpicker
from PIL import Image
from scipy import ndimage

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIMIT = 120.0  # Seconds after which a process that should have ended counts as hanging.
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
    """Draws pictures of known blur, pairs of most of them and ranks of the rest."""
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
    """How the processes of a launch ended.

    Attributes:
        codes: exit status of each process, negative if a signal ended it.
        output: everything that the processes printed.
        seconds: from the launch, or from the last signal, to the end of the last process.
        hung: whether one had to be killed after `LIMIT`.
    """

    codes: list[int]
    output: str
    seconds: float
    hung: bool


class Launch:
    """One launch of a run, in one process or several."""

    def __init__(self, folder: pathlib.Path, processes: int = 1, pictures: str = "", **fields: object) -> None:
        """Starts it: the run is in `folder`/run, its data in `folder`/data; `fields` change the config."""
        self._log = folder / f"output-{time.monotonic_ns()}"
        self._log.parent.mkdir(parents=True, exist_ok=True)
        values = FLAGS | {name.replace("__", "."): value for name, value in fields.items()}
        values |= {"data.dir": folder / "data", "data.manual_dir": pictures or folder.parent / "PHOTOS"}
        command = [sys.executable, "launch.py", f"--workdir={folder / 'run'}"]
        command += [f"--config.{name}={value}" for name, value in values.items()]
        if processes > 1:
            port = portpicker.pick_unused_port()
            command += ["--distributed", f"--coordinator=localhost:{port}", f"--processes={processes}"]
        cache = {"JAX_COMPILATION_CACHE_DIR": str(folder.parent / "compiled"), "PYTHONPATH": str(ROOT)}
        cache |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
        self._began = time.monotonic()
        with open(self._log, "wb") as log:
            self.processes = [
                subprocess.Popen(
                    [*command, f"--process={index}"] if processes > 1 else command,
                    cwd=ROOT,
                    env=os.environ | cache,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
                for index in range(processes)
            ]

    def running(self) -> bool:
        """Returns whether every process is still running."""
        return all(process.poll() is None for process in self.processes)

    def wait_for(self, happened: Callable[[], bool]) -> bool:
        """Waits until `happened()`; returns False if a process ends first."""
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
        """Waits for all processes, at most `LIMIT` seconds, then kills them."""
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


def run(folder: pathlib.Path, processes: int = 1, **options: object) -> Ended:
    """Launches a run and waits for its end."""
    return Launch(folder, processes, **options).end()


def outcome(folder: pathlib.Path) -> dict[str, object]:
    """Returns all that two runs must have in common to be equal bit for bit."""
    run_folder = folder / "run"
    newest = max((path for path in (run_folder / "checkpoints").iterdir() if path.name.isdigit()), key=_step)
    record = json.loads((newest / "meta" / "metadata").read_text())
    history = {name: (run_folder / name).read_text() for name in ("metrics.jsonl", "validation.jsonl", "scores.csv")}
    return {"step": record["step"], "arrays": record["checksums"], "best": _best(run_folder)} | history


def _step(path: pathlib.Path) -> int:
    return int(path.name)


def _best(run_folder: pathlib.Path) -> tuple[int, dict]:
    metrics = json.loads((run_folder / "metrics.json").read_text())
    return metrics["step"], metrics["splits"]


def leftovers(folder: pathlib.Path) -> list[str]:
    """Returns what a finished run must not leave behind: temporary files and folders, and empty files.

    TensorBoard's files are left out: each launch writes its own, which is empty if the launch is killed early.
    """
    paths = [*(folder / "run").rglob("*"), *(folder / "data").rglob("*")]
    paths = [path for path in paths if path.parent.name != "tensorboard" and path.name != ".lock"]
    unfinished = re.compile(r"\.tmp$|orbax-checkpoint-tmp|incomplete\.")
    empty = {path for path in paths if path.is_file() and path.stat().st_size == 0}
    return [str(path.relative_to(folder)) for path in paths if unfinished.search(path.name) or path in empty]


def files_of_newest(folder: pathlib.Path) -> list[pathlib.Path]:
    """Returns the files of the newest checkpoint."""
    steps = [path for path in (folder / "run" / "checkpoints").iterdir() if path.name.isdigit()]
    return sorted(path for path in max(steps, key=_step).rglob("*") if path.is_file())


def damage(path: pathlib.Path, how: str, rng: random.Random) -> None:
    """Cuts a file short, flips one bit of it, empties or removes it."""
    data = bytearray(path.read_bytes())
    if how == "removed":
        path.unlink()
        return
    if how == "bit flipped" and data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes({"cut short": data[: len(data) // 2], "bit flipped": data, "emptied": b""}[how])


def stop_in_training(folder: pathlib.Path, row: int, **options: object) -> Ended:
    """Launches a run and stops it by SIGTERM once it has logged `row` rows."""
    launch = Launch(folder, **options)
    history = folder / "run" / "metrics.jsonl"
    launch.wait_for(lambda: history.exists() and history.read_text().count("\n") >= row)
    launch.send(signal.SIGTERM)
    return launch.end()


def problem_with(ended: Ended, pattern: str, codes: Sequence[int]) -> str:
    """Returns what is wrong with how a launch ended, "" if it ended as promised.

    Args:
        ended: the launch.
        pattern: regular expression that its output must contain.
        codes: the exit statuses allowed.
    """
    problems = ["hung"] * ended.hung
    problems += [f"exit status {ended.codes}"] * any(code not in codes for code in ended.codes)
    problems += ["a traceback"] * ("Traceback (most recent call last)" in ended.output)
    problems += [f"nothing like {pattern!r} in its output"] * (re.search(pattern, ended.output, re.DOTALL) is None)
    return "; ".join(problems)
