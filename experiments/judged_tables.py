"""Measures the agreement with judges by axis, and makes Markdown tables of it."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from blur_jax.data import judged_table, splits
from blur_jax.evaluate import judged_agreement
from blur_jax.metrics.interval import interval_text
from experiments import evaluated_runs, tables


def measure_axes(
    pairs: judged_table.JudgedTable,
    scores: Mapping[str, Mapping[str, Mapping[str, np.ndarray]]],
    tests: Mapping[str, Mapping[str, splits.Split]],
    *,
    first: str | None = None,
    resamples: int,
) -> dict[str, dict[str, Any]]:
    """Returns `judged_agreement.measure` with one group per axis: the judged splits whose faces it contains.

    `scores` is {axis: {scorer: {split: [n]}}}, and `tests` is {axis: {split: ranked split}}. Raises the same errors.
    """
    by_name: dict[str, dict[str, float]] = {}
    groups = {}
    for axis, scorers in scores.items():
        named = {scorer: evaluated_runs.by_name(values, tests[axis]) for scorer, values in scorers.items()}
        groups[axis] = sorted(judged_agreement.scored_splits(pairs, *next(iter(named.items()))))
        for scorer, found in named.items():
            by_name.setdefault(scorer, {}).update(found)
    return judged_agreement.measure(pairs, by_name, groups, first=first, resamples=resamples)


def tables_of(measured: Mapping[str, Mapping[str, Any]], first: str | None) -> dict[str, str]:
    """Formats the result of `judged_agreement.measure` as {title: table}; shows groups, or splits if there are none.

    `first` is the scorer from which the others are subtracted, or None. Scorers are sorted by their mean agreement with
    the consensus.
    """
    grouped = {part: summary for part, summary in measured.items() if summary["splits"] != [part]}
    shown = grouped or measured
    titles = {"consensus": "{}", "each_judge": "{}, each judge"}
    titles |= {} if first is None else {"first_minus_this": f"{{}}, {first} minus this"}
    columns = [(part, name) for part in shown for name in titles]
    scorers: dict[str, list[float]] = {}
    for summary in shown.values():
        for scorer, values in summary["scorers"].items():
            scorers.setdefault(scorer, []).append(values["consensus"]["value"] or 0.0)
    rows = []
    for scorer in sorted(scorers, key=lambda name: -sum(scorers[name]) / len(scorers[name])):
        values = {part: summary["scorers"].get(scorer, {}) for part, summary in shown.items()}
        rows.append([scorer, *(judged_agreement.cell(values[part], name) for part, name in columns)])
    judges = dict.fromkeys(judge for summary in measured.values() for judge in summary["judges"])
    judge_rows = [
        [judged_agreement.heading(part, summary), *(interval_text(summary["judges"][judge]) for judge in judges)]
        for part, summary in measured.items()
    ]
    header = ["scorer", *(titles[name].format(part) for part, name in columns)]
    return {
        "Agreement with the judges' consensus": tables.markdown(header, rows),
        "Agreement of each judge with the others": tables.markdown(["pairs", *judges], judge_rows),
    }
