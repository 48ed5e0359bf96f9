"""Measures how well scorers agree with judged pairs, for each split and for groups of splits."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from blur_jax.data import names
from blur_jax.data.judged_table import JudgedTable
from blur_jax.data.untrusted import excerpt
from blur_jax.evaluate import comparisons
from blur_jax.metrics import judged_pairs
from blur_jax.metrics.interval import Interval, interval_text

Scores = Mapping[str, float]  # {normalized picture name: predicted blur}
MEASURES = {"consensus": "consensus", "sure": "all judges sure", "each_judge": "each judge"}


def read_scores(texts: Iterable[str]) -> dict[str, dict[str, float]]:
    """Reads scores from NAME=TABLE strings, in order; tables with the same NAME are merged into one scorer.

    A table is a CSV file with the columns `name` and `blur`, such as an evaluation's `scores.csv` or the output of
    `blur_jax.score`. Pictures without a score are skipped.

    Raises:
        ValueError: a string or table is invalid, or two of a scorer's tables give a picture different scores.
        OSError: a table cannot be read.
    """
    scorers: dict[str, dict[str, float]] = {}
    for text in texts:
        name, _, path = text.partition("=")
        if not (name and path):
            raise ValueError(f"--scores={text} must be NAME=TABLE, such as --scores=ours=scores.csv")
        measure = comparisons.Measure("blur", larger_is_better=False)
        qualities = comparisons.read_qualities(path, [measure])
        scores = {picture: -float(quality) for picture, (quality,) in qualities.items() if math.isfinite(quality)}
        scorer = scorers.setdefault(name, {})
        different = sorted(picture for picture in scorer.keys() & scores.keys() if scorer[picture] != scores[picture])
        if different:
            raise ValueError(
                f"{path}: {excerpt(different[0])} has a different score in another --scores={name} table; give"
                " the tables different names"
            )
        scorer |= scores
    return scorers


def parse_groups(texts: Iterable[str], table: JudgedTable) -> dict[str, list[str]]:
    """Parses GROUP=SPLIT,SPLIT strings; raises ValueError for invalid strings, duplicate names and unknown splits."""
    groups: dict[str, list[str]] = {}
    for text in texts:
        name, _, members = text.partition("=")
        splits = list(dict.fromkeys(split.strip() for split in members.split(",")))
        if not (name and all(splits)) or name in {*groups, *table.splits}:
            raise ValueError(f"--group={text} must be GROUP=SPLIT,SPLIT, and no other group or split may use that name")
        if unknown := set(splits) - set(table.splits):
            raise ValueError(
                f"--group={text}: there are no judged pairs in split {excerpt(min(unknown))}; choose from"
                f" {', '.join(sorted(set(table.splits)))}"
            )
        groups[name] = splits
    return groups


def measure(
    table: JudgedTable,
    scorers: Mapping[str, Scores],
    groups: Mapping[str, Sequence[str]] | None = None,
    *,
    first: str | None = None,
    resamples: int = 1000,
) -> dict[str, dict[str, Any]]:
    """Measures how well scorers agree with the judges, for each group and then for each split in a table.

    A scorer is measured on the groups and splits whose pictures it has all scored. If `first` is given, all other
    scorers are compared with it. Splits that form a group by themselves are not measured twice. Groups and splits that
    no scorer has scored are skipped.

    Returns:
        {group or split: {"splits": its splits, **`judged_pairs.summarize`}}.

    Raises:
        ValueError: a scorer has scored only some of the pictures in a split, or no judged pictures at all.
    """
    scored = {scorer: scored_splits(table, scorer, scores) for scorer, scores in scorers.items()}
    parts, splits = {name: list(members) for name, members in (groups or {}).items()}, np.array(table.splits)
    parts |= {split: [split] for split in sorted(set(table.splits)) if [split] not in parts.values()}
    measured = {}
    for part, members in parts.items():
        chosen = np.flatnonzero(np.isin(splits, members))
        scores = {
            scorer: np.array([[scorers[scorer][name] for name in table.names[pair]] for pair in chosen])
            for scorer, found in scored.items()
            if found.issuperset(members)
        }
        if scores:
            summary = judged_pairs.summarize(
                table.orders[chosen],
                table.sure[chosen],
                table.judges,
                scores,
                first=first,
                resamples=resamples,
            )
            measured[part] = {"splits": members, **summary}
    return measured


def scored_splits(table: JudgedTable, scorer: str, scores: Scores) -> set[str]:
    """Returns the splits whose pictures `scorer` has scored; raises ValueError like `measure`."""
    pictures: dict[str, set[str]] = {}
    for split, pair in zip(table.splits, table.names):
        pictures.setdefault(split, set()).update(pair)
    missing = {split: sorted(known - scores.keys()) for split, known in pictures.items()}
    scored = {split for split, absent in missing.items() if len(absent) < len(pictures[split])}
    for split, absent in missing.items():
        if absent and (split in scored or len(scored) == 0):
            count = f"{len(absent)} of {len(pictures[split])} judged pictures in {split}"
            hint = names.Known(set(scores)).hint(absent[0])
            raise ValueError(
                f"{scorer}: missing scores for {count}, such as {excerpt(absent[0])}; score them too{hint}"
            )
    return scored


def heading(part: str, summary: Mapping[str, Any]) -> str:
    """Returns a heading, such as "near (test1, test2): the judges agree on 143 of 150 pairs, ..."."""
    members = "" if summary["splits"] == [part] else f" ({', '.join(summary['splits'])})"
    counts = f"the judges agree on {summary['agreed']} of {summary['pairs']} pairs"
    return f"{part}{members}: {counts}, and all of them are sure about {summary['sure']}"


def lines(measured: Mapping[str, Mapping[str, Any]], first: str) -> list[str]:
    """Formats the result of `measure` as lines of text; `first` is the first scorer."""
    text = []
    for part, summary in measured.items():
        text.append(heading(part, summary))
        if summary["judges"]:
            judges = [(judge, interval_text(share)) for judge, share in summary["judges"].items()]
            text += _aligned([("judge", "agreement with the other judges"), *judges])
        scorers = summary["scorers"]
        columns = dict(MEASURES)
        if any("first_minus_this" in values for values in scorers.values()):
            columns["first_minus_this"] = f"{first} minus this"
        rows = [("scorer", *columns.values())]
        for scorer in sorted(scorers, key=lambda name: -(scorers[name]["consensus"]["value"] or 0.0)):
            rows.append((scorer, *(cell(scorers[scorer], name) for name in columns)))
        text += [*_aligned(rows), ""]
    return text[:-1]


def cell(values: Mapping[str, Interval], measure: str) -> str:
    """Formats one of a scorer's measures with its interval, such as "0.811 [0.745, 0.874]"; "" if it is missing."""
    signed = "+" if measure == "first_minus_this" else ""
    return interval_text(values[measure], signed) if measure in values else ""


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  " + "  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip() for row in rows]
