"""Injects disk and data faults into stopped runs, and checks that each has the promised outcome."""

import contextlib
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from benchmarks import fault_runs as runs
from benchmarks.fault_runs import DONE, FAILED, Ended

# (run folder, rng) -> (a problem or "", the last launch, whether the run must match an undisturbed run)
Injection = Callable[[pathlib.Path, random.Random], tuple[str, Ended, bool]]


def kinds(root: pathlib.Path) -> dict[str, Injection]:
    """Returns {name: fault} for all faults, using the pictures in `root`."""
    cuts = ("cut short", "bit flipped", "emptied")
    injections: dict[str, Injection] = {
        **{
            f"a file in the newest checkpoint {how}": _after(partial(_checkpoint, how=how))
            for how in (*cuts, "removed")
        },
        "all checkpoints cut short": _after(_no_checkpoint, r"none of its \d+ checkpoint\(s\) can be used"),
        "config.json removed": _after(lambda folder, _: (folder / "run" / "config.json").unlink()),
        "config.json damaged": _after(lambda folder, _: (folder / "run" / "config.json").write_text("{")),
        "a different config": partial(_refused, fields={"seed": 5}, pattern="config.seed is 0 there, 5 here"),
        "a different network": partial(
            _refused, fields={"model__backbone": "resnet18"}, pattern="config.model.backbone is"
        ),
        "two runs in one workdir": _two_at_once,
        **{f"a prepared file {how}": partial(_prepared, how=how) for how in cuts},
        "prepared description edited": _after(_description, r"contains \d+ records but should contain 3.*delete"),
        "data changed since the run began": _after(_other_data, "differ from the data this run started with"),
        "a picture damaged": partial(_picture, root=root),
    }
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        injections |= {"disk full": _disk_full, "disk read-only": _read_only}
    return injections


def _after(change: Callable[[pathlib.Path, random.Random], object], pattern: str = "") -> Injection:
    """Changes a stopped run; the next launch must recover or, if there is a pattern, fail and print a match for it."""

    def inject(folder: pathlib.Path, rng: random.Random) -> tuple[str, Ended, bool]:
        before = _stopped(folder, rng)
        change(folder, rng)
        problem, ended = _launched(folder, pattern)
        for aside in (folder / "run" / "checkpoints").glob("*.damaged"):
            shutil.rmtree(aside)  # Runs keep these on purpose.
        return before or problem, ended, not pattern

    return inject


def _stopped(folder: pathlib.Path, rng: random.Random) -> str:
    """Copies one of several runs that were stopped midway; returns a problem, or ""."""
    rows = rng.choice((3, 5, 7))
    made = folder.parent / f"stopped-{rows}"
    if not made.exists():
        ended = runs.stop_in_training(made, rows)
        if problem := runs.problem_with(ended, "stopped by SIGTERM and saved", [runs.STOPPED]):
            return problem
    shutil.copytree(made, folder, dirs_exist_ok=True)
    return ""


def _launched(folder: pathlib.Path, pattern: str = "") -> tuple[str, Ended]:
    """Launches a run that must finish or, if there is a pattern, fail with it; returns problems and how it ended."""
    ended = runs.run(folder)
    return runs.problem_with(ended, pattern or "report ", [FAILED if pattern else DONE]), ended


def _checkpoint(folder: pathlib.Path, rng: random.Random, how: str) -> None:
    # Large files are chosen more often, because they are more likely to suffer bit flips.
    files = [path for path in runs.files_of_newest(folder) if path.stat().st_size]
    (path,) = rng.choices(files, [path.stat().st_size ** 0.5 for path in files])
    runs.damage(path, how, rng)


def _no_checkpoint(folder: pathlib.Path, rng: random.Random) -> None:
    for path in (folder / "run" / "checkpoints").rglob("*"):
        if path.is_file():
            runs.damage(path, "cut short", rng)


def _refused(folder: pathlib.Path, rng: random.Random, fields: dict[str, Any], pattern: str) -> tuple[str, Ended, bool]:
    """Makes a launch that must be refused; after that, the run must continue."""
    problem = _stopped(folder, rng) or runs.problem_with(runs.run(folder, **fields), pattern, [FAILED])
    again, ended = _launched(folder)
    return problem or again, ended, True


def _two_at_once(folder: pathlib.Path, rng: random.Random) -> tuple[str, Ended, bool]:
    before = _stopped(folder, rng)
    launches = [runs.Launch(folder), runs.Launch(folder)]
    ended = [launch.end() for launch in launches]
    codes = sorted(end.codes[0] for end in ended)
    # If the first finishes before the second starts, the second has nothing to do.
    problem = "" if codes in ([DONE, FAILED], [DONE, DONE]) else f"exit status {codes}"
    texts = "".join(end.output for end in ended)
    if codes == [DONE, FAILED] and "another process is training in it" not in texts:
        problem = problem or "the second run does not explain why it ended"
    return before or problem, max(ended, key=lambda end: end.seconds), True


def _prepared(folder: pathlib.Path, rng: random.Random, how: str) -> tuple[str, Ended, bool]:
    """The launch must report the damaged folder; after it is deleted, the run must prepare the data and continue."""
    before = _stopped(folder, rng)
    path = rng.choice([path for path in (folder / "data").rglob("*") if path.is_file() and path.stat().st_size])
    runs.damage(path, how, rng)
    problem, ended = _launched(folder, "delete this folder")
    if ended.codes == [DONE]:  # The damage was harmless, for example in a citation.
        return before or runs.problem_with(ended, "report ", [DONE]), ended, True
    problem = before or problem
    shutil.rmtree(path.parent.parent)
    again, ended = _launched(folder)
    return problem or again, ended, True


def _description(folder: pathlib.Path, rng: random.Random) -> None:
    (path,) = (folder / "data").glob("folder_face_blur/labeled-*/*/dataset_info.json")
    described = json.loads(path.read_text())
    rng.choice(described["splits"])["shardLengths"] = ["3"]
    path.write_text(json.dumps(described))


def _other_data(folder: pathlib.Path, _: random.Random) -> None:
    """Replaces the prepared pairs with pairs that have the opposite order."""
    other = folder / "other"
    shutil.copytree(folder.parent / "PHOTOS", other / "PHOTOS")
    table = other / "PHOTOS" / "pairs.csv"
    header, *lines = table.read_text().splitlines()
    pairs = [line.rsplit(",", 1) for line in lines]
    table.write_text("\n".join([header, *(f"{names},{-int(order)}" for names, order in pairs)]) + "\n")
    command = [sys.executable, "-m", "tfds_builders.prepare", "--dataset=folder_face_blur", "--image_size=32"]
    command += [f"--manual_dir={other / 'PHOTOS'}", f"--data_dir={other / 'data'}"]
    subprocess.run(command, cwd=runs.ROOT, check=True, capture_output=True)
    labeled = "folder_face_blur/labeled-*/*/*.array_record*"
    for made, kept in zip(sorted((other / "data").glob(labeled)), sorted((folder / "data").glob(labeled)), strict=True):
        shutil.copyfile(made, kept)
    shutil.rmtree(other)


def _picture(folder: pathlib.Path, rng: random.Random, root: pathlib.Path) -> tuple[str, Ended, bool]:
    """Damages a picture that is in a pair before the data are prepared."""
    pictures = folder.parent / f"{folder.name}-PHOTOS"
    shutil.copytree(root / "PHOTOS", pictures)
    path = pictures / f"{rng.randrange(30)}.png"
    runs.damage(path, "cut short", rng)
    ended = runs.run(folder, pictures=str(pictures))
    shutil.rmtree(pictures)
    problem = runs.problem_with(ended, rf"{path.name}", [FAILED])
    return problem or "it left a run behind" * (folder / "run").exists(), ended, False


@contextlib.contextmanager
def _disk(folder: pathlib.Path, size: str) -> Iterator[Callable[[str], object]]:
    """Puts the run on its own disk, yields a function to remount it with an option, and copies it back at the end."""
    place, copy = folder / "run", folder / "copy"
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], check=True)
    try:
        yield lambda option: subprocess.run(["mount", "-o", f"remount,{option}", str(place)], check=True)
        shutil.copytree(place, copy)
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
    place.rmdir()
    copy.rename(place)


def _disk_full(folder: pathlib.Path, rng: random.Random) -> tuple[str, Ended, bool]:
    """Fills the disk; once there is more space, the run must continue."""
    with _disk(folder, f"{rng.randint(600, 2500)}k") as remount:
        problem, _ = _launched(folder, "[Nn]o space left")
        remount("size=100m")
        again, ended = _launched(folder)
    return problem or again, ended, True


def _read_only(folder: pathlib.Path, rng: random.Random) -> tuple[str, Ended, bool]:
    with _disk(folder, "100m") as remount:
        problem = _stopped(folder, rng)
        remount("ro")
        problem = problem or _launched(folder, "[Rr]ead-only")[0]
        remount("rw")
        again, ended = _launched(folder)
    return problem or again, ended, True
