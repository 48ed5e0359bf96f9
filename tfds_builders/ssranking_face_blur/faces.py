"""The faces that the lists ask for: each picture decoded once, its faces cropped, resized and encoded once."""

import collections
import os
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm import tqdm

from blur_jax.preprocessing import Preprocessing, crop_and_resize, read_image
from tfds_builders.base import encode_png
from tfds_builders.ssranking_face_blur.lists import LISTS, Release
from tfds_builders.ssranking_face_blur.problems import Problem

# Kind of problem with a picture -> its column in the coverage report.
_COLUMNS = {
    "missing image": "missing",
    "unreadable image": "unreadable",
    "box outside": "outside",
}


def read_faces(
    release: Release, kind: str, preprocessing: Preprocessing
) -> tuple[dict[str, bytes], dict[str, Problem]]:
    """Reads every face of a config's lists.

    Args:
        release: the parsed lists.
        kind: the config.
        preprocessing: the crop and resize protocol.

    Returns:
        name -> PNG of the face, and name -> problem for the faces that cannot be had.
    """
    wanted = {}  # picture -> names of its faces; a photograph of a crowd is decoded once
    used_by = {}
    for file in LISTS[kind]:
        for entry in release.entries.get(file, []):
            for name in entry.names:
                if name not in used_by:
                    used_by[name] = f"{file}:{entry.line}"
                    wanted.setdefault(release.picture(name), []).append(name)

    def read(picture: str) -> list[tuple[str, bytes | Problem]]:
        return list(_crop_faces(release, picture, wanted[picture], used_by, preprocessing))

    faces, failures = {}, {}
    bar = tqdm(total=len(used_by), desc="Reading faces", unit=" faces", disable=None)
    # Threads, since Pillow decodes outside of the interpreter lock.
    with bar, ThreadPoolExecutor(os.cpu_count()) as pool:
        for results in pool.map(read, wanted):
            bar.update(len(results))
            for name, result in results:
                (failures if isinstance(result, Problem) else faces)[name] = result
    return faces, failures


def _crop_faces(release, picture, names, used_by, preprocessing):
    """Yields (name, PNG or Problem) for the faces of one picture."""
    image = None
    try:
        image = read_image(_locate(release.root, picture))
    except FileNotFoundError:
        kind, found = "missing image", f"there is no {release.root / picture}"
    except ValueError as error:
        kind, found = "unreadable image", str(error)
    for name in names:
        crop = release.crop(name)
        if image:
            try:
                yield name, encode_png(crop_and_resize(image, crop.box, preprocessing))
                continue
            except ValueError as error:
                kind, found = "box outside", f"{picture}: {error}"
        yield name, Problem(kind, crop.file, crop.line, f"{found} (used by {used_by[name]})")


def _locate(root: Path, picture: str) -> Path:
    """The path of a picture, also where LFW lies as it is distributed: one folder per person."""
    path = root / picture
    person = re.sub(r"_\d+$", "", path.stem)
    nested = path.parent / person / path.name
    return nested if nested.is_file() and not path.exists() else path


def coverage(release: Release, kind: str, failures: dict[str, Problem]) -> dict:
    """Counts, per list of a config and per crop list it uses, how much of it could be had.

    Returns:
        {"lists": {file: counts}, "faces": {crop list: counts}}, JSON-serialisable. `counts` has "lines" (of a crop
        list those that the config's lists use), "resolved" (every face of the line is usable), "missing", "unreadable",
        "outside" (by the line's first face with a problem) and "faulty" (lines that are wrong in themselves).
    """
    report = {"lists": {}, "faces": {}}
    names = {}
    for file in LISTS[kind]:
        if file in release.entries:
            entries = release.entries[file]
            names.update((name, None) for entry in entries for name in entry.names)
            outcomes = [_outcome(entry.names, failures) for entry in entries]
            outcomes += ["faulty"] * (release.lines[file] - len(entries))
            report["lists"][file] = _count(outcomes)
    sources = {}
    for name in names:
        sources.setdefault(release.crop(name).file, []).append(_outcome([name], failures))
    report["faces"] = {file: _count(outcomes) for file, outcomes in sorted(sources.items())}
    return report


def _outcome(names: Iterable[str], failures: dict[str, Problem]) -> str:
    kinds = [_COLUMNS[failures[name].kind] for name in names if name in failures]
    return kinds[0] if kinds else "resolved"


def _count(outcomes: list[str]) -> dict[str, int]:
    counts = collections.Counter(outcomes)
    columns = ("resolved", *_COLUMNS.values(), "faulty")
    return {"lines": len(outcomes), **{column: counts[column] for column in columns}}


def coverage_table(report: dict) -> str:
    """The report of `coverage`, also as read back from a data set's metadata, as a table in text."""
    columns = ("lines", "resolved", *_COLUMNS.values(), "faulty")
    text = []
    for title, part in (("list", report["lists"]), ("faces used of", report["faces"])):
        text.append(f"{title:<44}" + "".join(f"{column:>12}" for column in columns))
        for file, counts in part.items():
            text.append(f"{file:<44}" + "".join(f"{counts[column]:>12}" for column in columns))
    return "\n".join(text)
