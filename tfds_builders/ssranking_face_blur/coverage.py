"""Counts how much of each list is available, for reporting to the user and storing in the metadata."""

import collections
from collections.abc import Iterable, Mapping

from tfds_builders.ssranking_face_blur.lists import LISTS, Release

# {picture problem kind: its column in the coverage report}.
_COLUMNS = {"missing image": "missing", "unreadable image": "unreadable", "box outside": "outside"}
_COUNTS = ("lines", "resolved", *_COLUMNS.values(), "faulty")


def coverage(release: Release, kind: str, failures: Mapping[str, str]) -> dict[str, dict]:
    """Counts the available lines in each list of a part and in each crop list that the part uses.

    For the part "faces", all lists are counted; `failures` is {face name: problem kind}.

    Returns:
        {"lists": {file: counts}, "faces": {crop list: counts}}, JSON-serializable. `counts` has "lines" (for a crop
        list, only lines that the part uses), "resolved" (every face on the line is usable), "missing", "unreadable",
        "outside" (according to the first face on the line with a problem) and "faulty" (the line itself is wrong).
    """
    counted, names, sources = {}, {}, {}
    for file in LISTS[kind]:
        if file in release.entries:
            entries = release.entries[file]
            names.update((name, None) for entry in entries for name in entry.names)
            outcomes = [_outcome(entry.names, failures) for entry in entries]
            outcomes += ["faulty"] * (release.lines[file] - len(entries))
            counted[file] = _count(outcomes)
    for name in names:
        sources.setdefault(release.crop(name).file, []).append(_outcome([name], failures))
    return {"lists": counted, "faces": {file: _count(outcomes) for file, outcomes in sorted(sources.items())}}


def _outcome(names: Iterable[str], failures: Mapping[str, str]) -> str:
    return next((_COLUMNS[failures[name]] for name in names if name in failures), "resolved")


def _count(outcomes: list[str]) -> dict[str, int]:
    counts = collections.Counter(outcomes) | collections.Counter(lines=len(outcomes))
    return {column: counts[column] for column in _COUNTS}


def coverage_table(report: dict[str, dict]) -> str:
    text = []
    for title, part in (("list", report["lists"]), ("faces used of", report["faces"])):
        text.append(f"{title:<44}" + "".join(f"{column:>12}" for column in _COUNTS))
        for file, counts in part.items():
            text.append(f"{file:<44}" + "".join(f"{counts[column]:>12}" for column in _COUNTS))
    return "\n".join(text)
