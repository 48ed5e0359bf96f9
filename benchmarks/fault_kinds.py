"""Injects faults of disk and data into stopped runs, and checks what each run promises in that case."""

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

from benchmarks.fault_runs import (
    DONE,
    FAILED,
    ROOT,
    STOPPED,
    Ended,
    Launch,
    damage,
    files_of_newest,
    problem_with,
    run,
    stop_in_training,
)

# (folder of the run, random numbers) -> (what is wrong, the last launch, whether the run must equal an undisturbed one)
Injection = Callable[[pathlib.Path, random.Random], tuple[str, Ended, bool]]


def kinds(root: pathlib.Path) -> dict[str, Injection]:
    """Returns all faults by name; `root` holds the pictures."""
    injections: dict[str, Injection] = {
        f"a file of the newest checkpoint {how}": partial(_checkpoint, how=how)
        for how in ("cut short", "bit flipped", "emptied", "removed")
    }
    injections |= {
        "all checkpoints cut short": _no_checkpoint,
        "config.json removed": partial(_config_json, content=None),
        "config.json damaged": partial(_config_json, content="{"),
        "another config": partial(_refused, fields={"seed": 5}, pattern="config.seed is 0 there, 5 here"),
        "another network": partial(
            _refused, fields={"model__backbone": "resnet18"}, pattern="config.model.backbone is"
        ),
        "two runs in one workdir": _two_at_once,
    }
    injections |= {
        f"a prepared file {how}": partial(_prepared, how=how) for how in ("cut short", "bit flipped", "emptied")
    }
    injections |= {
        "prepared description edited": _description,
        "data changed since the run began": _other_data,
        "a picture damaged": partial(_picture, root=root),
    }
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        injections |= {"disk full": _disk_full, "disk read-only": _read_only}
    return injections


def _stopped(folder: pathlib.Path, rng: random.Random) -> str:
    """Copies a run that was stopped in the middle, one of a few; returns what is wrong with it."""
    rows = rng.choice((3, 5, 7))
    made = folder.parent / f"stopped-{rows}"
    if not made.exists():
        ended = stop_in_training(made, rows)
        if problem := problem_with(ended, "stopped by SIGTERM and saved", [STOPPED]):
            return problem
    shutil.copytree(made, folder, dirs_exist_ok=True)
    return ""


def _resumed(folder: pathlib.Path) -> tuple[str, Ended]:
    ended = run(folder)
    return problem_with(ended, "report ", [DONE]), ended


def _checkpoint(folder: pathlib.Path, rng: random.Random, how: str) -> tuple[str, Ended, bool]:
    before = _stopped(folder, rng)
    # Large files are chosen more often, as bits flip in proportion to size.
    files = [path for path in files_of_newest(folder) if path.stat().st_size]
    (path,) = rng.choices(files, [path.stat().st_size ** 0.5 for path in files])
    damage(path, how, rng)
    problem, ended = _resumed(folder)
    for aside in (folder / "run" / "checkpoints").glob("*.damaged"):
        shutil.rmtree(aside)  # It is kept on purpose.
    return before or problem, ended, True


def _no_checkpoint(folder: pathlib.Path, rng: random.Random) -> tuple[str, Ended, bool]:
    before = _stopped(folder, rng)
    for path in (folder / "run" / "checkpoints").rglob("*"):
        if path.is_file():
            damage(path, "cut short", rng)
    ended = run(folder)
    return before or problem_with(ended, r"none of its \d+ checkpoint\(s\) can be used", [FAILED]), ended, False


def _config_json(folder: pathlib.Path, rng: random.Random, content: str | None) -> tuple[str, Ended, bool]:
    before = _stopped(folder, rng)
    path = folder / "run" / "config.json"
    path.unlink()
    if content is not None:
        path.write_text(content)
    problem, ended = _resumed(folder)
    return before or problem, ended, True


def _refused(
    folder: pathlib.Path, rng: random.Random, fields: dict[str, object], pattern: str
) -> tuple[str, Ended, bool]:
    """A launch that is refused, after which the run continues as if nothing had happened."""
    problem = _stopped(folder, rng) or problem_with(run(folder, **fields), pattern, [FAILED])
    again, ended = _resumed(folder)
    return problem or again, ended, True


def _two_at_once(folder: pathlib.Path, rng: random.Random) -> tuple[str, Ended, bool]:
    before = _stopped(folder, rng)
    launches = [Launch(folder), Launch(folder)]
    ended = [launch.end() for launch in launches]
    codes = sorted(end.codes[0] for end in ended)
    # If the first ends before the second begins, the second has nothing to do.
    problem = "" if codes in ([DONE, FAILED], [DONE, DONE]) else f"exit status {codes}"
    texts = "".join(end.output for end in ended)
    if codes == [DONE, FAILED] and "another process is training in it" not in texts:
        problem = problem or "the second does not say why it ended"
    return before or problem, max(ended, key=lambda end: end.seconds), True


def _prepared(folder: pathlib.Path, rng: random.Random, how: str) -> tuple[str, Ended, bool]:
    """The launch names the damaged folder; without this folder, the data are prepared again and the run continues."""
    before = _stopped(folder, rng)
    files = [path for path in (folder / "data").rglob("*") if path.is_file() and path.stat().st_size]
    path = rng.choice(files)
    damage(path, how, rng)
    ended = run(folder)
    if ended.codes == [DONE]:  # The damage is harmless, for instance in a citation.
        return before or problem_with(ended, "report ", [DONE]), ended, True
    part = path.parent.parent
    problem = before or problem_with(ended, "delete this folder", [FAILED])
    shutil.rmtree(part)
    again, ended = _resumed(folder)
    return problem or again, ended, True


def _description(folder: pathlib.Path, rng: random.Random) -> tuple[str, Ended, bool]:
    before = _stopped(folder, rng)
    (path,) = (folder / "data").glob("folder_face_blur/labeled-*/*/dataset_info.json")
    described = json.loads(path.read_text())
    described["splits"][rng.randrange(len(described["splits"]))]["shardLengths"] = ["3"]
    path.write_text(json.dumps(described))
    ended = run(folder)
    return before or problem_with(ended, r"holds \d+ records, and should 3.*delete this folder", [FAILED]), ended, False


def _other_data(folder: pathlib.Path, rng: random.Random) -> tuple[str, Ended, bool]:
    """The prepared pairs are replaced by pairs in which every order is reversed."""
    before = _stopped(folder, rng)
    other = folder / "other"
    shutil.copytree(folder.parent / "PHOTOS", other / "PHOTOS")
    table = other / "PHOTOS" / "pairs.csv"
    header, *lines = table.read_text().splitlines()
    pairs = [line.rsplit(",", 1) for line in lines]
    table.write_text("\n".join([header, *(f"{names},{-int(order)}" for names, order in pairs)]) + "\n")
    command = [sys.executable, "-m", "tfds_builders.prepare", "--dataset=folder_face_blur", "--image_size=32"]
    command += [f"--manual_dir={other / 'PHOTOS'}", f"--data_dir={other / 'data'}"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    labeled = "folder_face_blur/labeled-*/*/*.array_record*"
    for made, kept in zip(sorted((other / "data").glob(labeled)), sorted((folder / "data").glob(labeled)), strict=True):
        shutil.copyfile(made, kept)
    shutil.rmtree(other)
    ended = run(folder)
    return before or problem_with(ended, "not those that this run began with", [FAILED]), ended, False


def _picture(folder: pathlib.Path, rng: random.Random, root: pathlib.Path) -> tuple[str, Ended, bool]:
    """A picture in a pair is damaged before the data are prepared."""
    pictures = folder.parent / f"{folder.name}-PHOTOS"
    shutil.copytree(root / "PHOTOS", pictures)
    path = pictures / f"{rng.randrange(30)}.png"
    damage(path, "cut short", rng)
    ended = run(folder, pictures=str(pictures))
    shutil.rmtree(pictures)
    problem = problem_with(ended, rf"{path.name}", [FAILED])
    return problem or "a run was left" * (folder / "run").exists(), ended, False


@contextlib.contextmanager
def _disk(folder: pathlib.Path, size: str) -> Iterator[Callable[[str], None]]:
    """Puts the run on a disk of its own, and at the end copies it off, so that it can be compared.

    Yields:
        a function that mounts the disk again with another option.
    """
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
    """The disk is too small; with more space the run continues."""
    with _disk(folder, f"{rng.randint(600, 2500)}k") as remount:
        problem = problem_with(run(folder), "[Nn]o space left", [FAILED])
        remount("size=100m")
        again, ended = _resumed(folder)
    return problem or again, ended, True


def _read_only(folder: pathlib.Path, rng: random.Random) -> tuple[str, Ended, bool]:
    with _disk(folder, "100m") as remount:
        problem = _stopped(folder, rng)
        remount("ro")
        problem = problem or problem_with(run(folder), "[Rr]ead-only", [FAILED])
        remount("rw")
        again, ended = _resumed(folder)
    return problem or again, ended, True
