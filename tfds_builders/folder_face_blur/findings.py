"""Checks a folder before anything is written, and draws the splits."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from blur_jax.data import likeness
from tfds_builders.folder_face_blur import splits
from tfds_builders.folder_face_blur.sources import Look, Sources
from tfds_builders.folder_face_blur.tables import BOXES, PAIRS, RANKED
from tfds_builders.folder_face_blur.votes import Pair
from tfds_builders.pictures import Failure
from tfds_builders.problems import FORGIVABLE, Problem


class Findings(NamedTuple):
    """The results of all checks; problems stop a build, and `partial` is whether any lines are skipped."""

    problems: list[Problem]
    warnings: list[Problem]
    partial: bool
    train: list[Pair]
    validation: list[Pair]
    unlabeled: list[tuple[str, str]]
    ranked: dict[str, float]


def examine(sources: Sources, looks: Mapping[str, Look | Failure], *, allow_missing: bool) -> Findings:
    """Runs all checks and draws the splits, given the look of each picture in `sources.wanted`."""
    tables, combined = sources.tables, sources.combined
    seen = {name: look for name, look in looks.items() if isinstance(look, Look)}
    ranked = {name: line.rank for name, line in (tables.ranks or {}).items() if name in seen}
    pairs = [pair for pair in combined.pairs if all(name in seen for name in pair.names)]
    compared = {name for pair in pairs for name in pair.names}
    unranked = [name for name in seen if name not in ranked]

    problems = [*sources.layout.problems, *tables.problems, *combined.problems, *_unusable(sources, looks)]
    warnings = [*sources.layout.warnings, *tables.warnings, *combined.warnings, *_unused(sources, looks)]
    problems += _leaks_by_name(sources)
    copies, leaks = _copies_of_tests(sources, seen, list(ranked), unranked, compared)
    problems += leaks
    pool = [name for name in unranked if name not in copies]
    warnings += copies.values()
    trained = sorted(compared.union(pool))
    same = likeness.groups(trained, [seen[name].hash for name in trained])
    same_tests = likeness.groups(list(ranked), [seen[name].hash for name in ranked])
    warnings += [*_same_pictures(sources, same), *_same_pictures(sources, same_tests)]

    serious = [problem for problem in problems if not (allow_missing and problem.kind in FORGIVABLE)]
    partial = len(serious) < len(problems)
    ordered = sum(pair.order != 0 for pair in pairs)
    if tables.votes is not None and ordered < 2 and not serious:
        serious.append(Problem("too few pairs", PAIRS, 0, f"{ordered} pair(s) with an order"))
    train, validation = splits.split_pairs(pairs, same) if pairs and not serious else ([], [])
    return Findings(serious, warnings, partial, train, validation, splits.unlabeled_pairs(pool), ranked)


def _unusable(sources: Sources, looks: Mapping[str, Look | Failure]) -> Iterator[Problem]:
    """Yields problems with pictures that are listed in a table."""
    boxes = sources.tables.boxes
    for name, (file, line) in sources.uses.items():
        look = looks.get(name)
        if look is None and boxes is not None and name not in boxes:
            yield Problem("missing box", file, line, f"{name!r} is not in {BOXES}")
        elif isinstance(look, Failure):
            text = f"{name!r}: {look.details}"
            if look.kind == "box outside" and boxes is not None:
                text, file, line = f"{text} (used in {file}:{line})", BOXES, boxes[name].line
            yield Problem(look.kind, file, line, text)


def _unused(sources: Sources, looks: Mapping[str, Look | Failure]) -> Iterator[Problem]:
    """Yields warnings about unlabeled pictures that cannot be used."""
    layout, boxes = sources.layout, sources.tables.boxes
    for name, look in looks.items():
        if isinstance(look, Failure) and name not in sources.uses:
            path = layout.paths[name].relative_to(layout.root).as_posix()
            if boxes and look.kind == "box outside":
                yield Problem("left out", BOXES, boxes[name].line, f"{path}: {look.details}")
            else:
                yield Problem("left out", path, 0, look.details)
    if unread := sum(name not in looks and name not in sources.uses for name in layout.paths):
        why = f"exceed the limit of {splits.MOST_PICTURES}" if boxes is None else "have no box"
        yield Problem("left out", "." if boxes is None else BOXES, 0, f"{unread} unlabeled pictures {why}")


def _leaks_by_name(sources: Sources) -> Iterator[Problem]:
    for name, ranked in (sources.tables.ranks or {}).items():
        file, line = sources.uses[name]
        if file == PAIRS:
            yield Problem("train and test", RANKED, ranked.line, f"{name!r} is in {file}:{line}")


def _copies_of_tests(
    sources: Sources, seen: Mapping[str, Look], tests: list[str], others: list[str], compared: set[str]
) -> tuple[dict[str, Problem], list[Problem]]:
    """Returns {unlabeled picture that looks like a test picture: warning}, and problems with compared pictures."""
    copies, leaks, ranks = {}, [], sources.tables.ranks or {}
    hashes = [[seen[name].hash for name in names] for names in (tests, others)]
    for i, j, differing in likeness.matches(*hashes) if tests else ():
        test, other = tests[i], others[j]
        line = ranks[test].line
        difference = f"(their hashes differ in {differing} of {likeness.SIDE**2} bits)"
        if other in compared:
            text = f"{test!r} looks the same as {other!r} in {':'.join(map(str, sources.uses[other]))} {difference}"
            leaks.append(Problem("train and test, by content", RANKED, line, text))
        else:
            text = f"{test!r} looks the same as the unlabeled {other!r} {difference}"
            copies.setdefault(other, Problem("test and unlabeled", RANKED, line, text))
    return copies, leaks


def _same_pictures(sources: Sources, same: Mapping[str, str]) -> Iterator[Problem]:
    """Yields a warning for each group of pictures that look the same."""
    groups = {}
    for name, group in same.items():
        groups.setdefault(group, []).append(name)
    for names in groups.values():
        if len(names) > 1:
            uses = [sources.uses[name] for name in names if name in sources.uses]
            yield Problem("same picture", *(min(uses) if uses else (names[0], 0)), ", ".join(map(repr, names)))
