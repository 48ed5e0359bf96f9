"""Makes Markdown tables of the agreement with judges."""

from collections.abc import Mapping
from typing import Any

from blur_jax.evaluate import judged_agreement
from blur_jax.metrics.interval import interval_text
from experiments import tables


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
