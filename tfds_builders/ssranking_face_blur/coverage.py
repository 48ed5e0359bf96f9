"""How much of the lists could be had: counts per list, for the user and for the metadata."""

import collections
from collections.abc import Iterable, Mapping

from tfds_builders.ssranking_face_blur.lists import LISTS, Release

# Kind of problem with a picture -> its column in the coverage report.
_COLUMNS = {
    "missing image": "missing",
    "unreadable image": "unreadable",
    "box outside": "outside",
}


def coverage(release: Release, kind: str, failures: Mapping[str, str]) -> dict[str, dict]:
    """Counts, per list of a part and per crop list it uses, how much of it could be had.

    Args:
        release: the parsed lists.
        kind: the part; "faces" counts all lists.
        failures: name of a face that cannot be had -> kind of its problem.

    Returns:
        {"lists": {file: counts}, "faces": {crop list: counts}}, JSON-serializable. `counts` has "lines" (of a crop
        list those that the part's lists use), "resolved" (every face of the line is usable), "missing", "unreadable",
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


def _outcome(names: Iterable[str], failures: Mapping[str, str]) -> str:
    kinds = [_COLUMNS[failures[name]] for name in names if name in failures]
    return kinds[0] if kinds else "resolved"


def _count(outcomes: list[str]) -> dict[str, int]:
    counts = collections.Counter(outcomes)
    columns = ("resolved", *_COLUMNS.values(), "faulty")
    return {"lines": len(outcomes), **{column: counts[column] for column in columns}}


def coverage_table(report: dict[str, dict]) -> str:
    """Returns the report of `coverage`, also as read back from a data set's metadata, as a table in text."""
    columns = ("lines", "resolved", *_COLUMNS.values(), "faulty")
    text = []
    for title, part in (("list", report["lists"]), ("faces used of", report["faces"])):
        text.append(f"{title:<44}" + "".join(f"{column:>12}" for column in columns))
        for file, counts in part.items():
            text.append(f"{file:<44}" + "".join(f"{counts[column]:>12}" for column in columns))
    return "\n".join(text)
