"""Measures scorers on a table of judged pairs, in each split and in groups of splits."""

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

Scores = Mapping[str, float]  # {normalized name of a picture: predicted blur}
MEASURES = {"consensus": "consensus", "sure": "where all are sure", "each_judge": "each judge"}


def read_scores(texts: Iterable[str]) -> dict[str, dict[str, float]]:
    """Reads the scorers of NAME=TABLE texts, in order; several tables of the same NAME are one scorer.

    A table is a CSV file with the columns `name` and `blur`, such as the `scores.csv` of an evaluation or the output of
    `blur_jax.score`. Pictures without a score are left out.

    Raises:
        ValueError: a text has another form, a table is invalid, or two tables score a picture differently.
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
                f"{path}: {excerpt(different[0])} has another score in another table of --scores={name}; give one of"
                " them another name"
            )
        scorer |= scores
    return scorers


def parse_groups(texts: Iterable[str], table: JudgedTable) -> dict[str, list[str]]:
    """Parses GROUP=SPLIT,SPLIT texts; raises ValueError for a wrong form, a repeated name or an unknown split."""
    groups: dict[str, list[str]] = {}
    for text in texts:
        name, _, members = text.partition("=")
        splits = list(dict.fromkeys(split.strip() for split in members.split(",")))
        if not (name and all(splits)) or name in {*groups, *table.splits}:
            raise ValueError(f"--group={text} must be GROUP=SPLIT,SPLIT, with a name that no other group or split has")
        if unknown := set(splits) - set(table.splits):
            raise ValueError(
                f"--group={text}: there are no judged pairs of {excerpt(min(unknown))}; choose from"
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
    """Measures how well scorers agree with the judges in each group and then in each split of a table.

    A scorer is measured where it has scored all pictures of a group or split. The differences are from the scorer
    `first`, if given. A split is left out if a group consists of it, and so is a group or split that no scorer has
    scored.

    Returns:
        {group or split: {"splits": its splits, **`judged_pairs.summarize`}}.

    Raises:
        ValueError: a scorer has scored only some pictures of a split, or no picture of any split.
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
    """Returns the splits whose pictures `scorer` has scored; raises ValueError as `measure` does."""
    pictures: dict[str, set[str]] = {}
    for split, pair in zip(table.splits, table.names):
        pictures.setdefault(split, set()).update(pair)
    missing = {split: sorted(known - scores.keys()) for split, known in pictures.items()}
    scored = {split for split, absent in missing.items() if len(absent) < len(pictures[split])}
    for split, absent in missing.items():
        if absent and (split in scored or len(scored) == 0):
            count = f"{len(absent)} of {len(pictures[split])} judged pictures of {split}"
            hint = names.Known(set(scores)).hint(absent[0])
            raise ValueError(f"{scorer}: no score for {excerpt(absent[0])} ({count}); score them too{hint}")
    return scored


def heading(part: str, summary: Mapping[str, Any]) -> str:
    """Returns what was measured, such as "near (test1, test2): the judges agree on 143 of 150 pairs, ..."."""
    members = "" if summary["splits"] == [part] else f" ({', '.join(summary['splits'])})"
    counts = f"the judges agree on {summary['agreed']} of {summary['pairs']} pairs"
    return f"{part}{members}: {counts}, and all are sure of {summary['sure']} of these"


def lines(measured: Mapping[str, Mapping[str, Any]], first: str) -> list[str]:
    """Returns the result of `measure` as lines of text; `first` is the first scorer."""
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
    """Returns one measure of a scorer with its interval, such as "0.811 [0.745, 0.874]", or "" if it has none."""
    signed = "+" if measure == "first_minus_this" else ""
    return interval_text(values[measure], signed) if measure in values else ""


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  " + "  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip() for row in rows]
