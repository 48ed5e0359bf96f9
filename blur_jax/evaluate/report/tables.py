"""The metrics tables: the headline, the breakdown of a split, and the effects of thresholds."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from blur_jax.evaluate.content import DRAWN, RATE, SHOWN
from blur_jax.metrics import calibration, ranked_split
from blur_jax.metrics.calibration import Calibration
from blur_jax.metrics.interval import Interval, bounds_text, interval_text, number
from blur_jax.metrics.ranked_split import Evaluation
from blur_jax.score.html_parts import escape, percent, row, table

_COLUMNS = {"auc": "AUC", "pairwise_accuracy": "Pairwise accuracy", "spearman": "Spearman", "kendall": "Kendall"}
_MAX_GROUP_ROWS = 30
MIN_INTERVAL = 10  # Faces; with fewer, a bootstrap interval is too narrow.

_MATCHED = """<p>Small faces tend to be blurrier, so face size alone puts many pairs in the right order. The metrics in
large type are therefore <b>size-matched</b>: each is computed within bins of face size and then averaged, weighted by
the number of blurred faces. The rows below show the same scores without matching, and a scorer that uses only face
size: its gain over chance is the part of the size effect that the bins do not remove. <b>AUC, matched size</b> is
stricter: it counts only pairs of faces whose sizes differ by at most a tenth.</p>"""


def summary_lines(
    splits: Mapping[str, Mapping[str, Any]],
    validation: Mapping[str, Any] | None = None,
    judged: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[str]:
    """Returns the headline metrics as lines of text, for each split and its groups, size-matched if sizes differ.

    `splits` maps splits to `bootstrap.rank_metrics` with "groups"; `validation` is `labeled_pairs.pair_metrics`;
    `judged` is `judged_agreement.measure` of the scorer "run".
    """
    lines = []
    for part, summary in (judged or {}).items():
        value = interval_text(summary["scorers"]["run"]["consensus"]) or number(None)
        lines.append(f"{part:<24}  agreement with judges {value}  ({summary['agreed']} pairs)")
    for split, split_metrics in splits.items():
        groups = {f"{split}, {name}": group for name, group in split_metrics["groups"].items()}
        for name, summary in {split: split_metrics, **groups}.items():
            shown = summary.get("size_matched", summary)
            keys = ("auc", "pairwise_accuracy", "spearman")
            values = "  ".join(f"{key.replace('_', ' ')} {number(shown[key]['value'])}" for key in keys)
            matched = "size-matched " if "size_matched" in summary else ""
            lines.append(f"{name:<24}  {matched}{values}  ({summary['examples']} faces)")
    if validation is not None:
        value = interval_text(validation["pairwise_accuracy"]) or number(None)
        lines.append(f"{'validation':<24}  pairwise accuracy {value}  ({validation['pairs']} pairs)")
    return lines


def judged(measured: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns a table of the agreement with judges, from `judged_agreement.measure` of the scorer "run"."""
    names = list(dict.fromkeys(judge for summary in measured.values() for judge in summary["judges"]))
    rows = []
    for part, summary in measured.items():
        own = summary["scorers"]["run"]
        cells = [interval_cell(own["consensus"]), f"{summary['agreed']} <small>of {summary['pairs']}</small>"]
        cells += [interval_cell(own["sure"]), summary["sure"], interval_cell(own["each_judge"])]
        cells += [interval_cell(summary["judges"][name]) for name in names]
        rows.append(row([escape(part), *cells], "split" if len(summary["splits"]) > 1 else ""))
    heads = ("Test split", "Consensus", "Pairs", "All sure", "Pairs", "Each judge")
    judges = (f"Judge {escape(name)}" for name in names)
    return f"""{table((*heads, *judges), rows, "Judged pairs")}
<p>Several judges compared pairs of faces without knowing labels or scores. Among the pairs that all judges agree on,
<b>Consensus</b> is the share that the scores put in the same order; 0.5 is chance. <b>All sure</b> is the same for
pairs that all judges are sure about. <b>Each judge</b> is the scorer's agreement with one judge on all pairs, averaged
over the judges. The last columns show each judge's agreement with the other judges; do not expect "Each judge" to be
higher. Brackets contain 95% bootstrap intervals over pairs.</p>"""


def headline(evaluations: Sequence[Evaluation]) -> str:
    columns, rows = dict(_COLUMNS), []
    matched = any("size_matched" in evaluation.metrics for evaluation in evaluations)
    if matched:
        columns["auc_matched_size"] = "AUC, matched size"
    for evaluation in evaluations:
        summary = evaluation.metrics
        count = summary["examples"]
        rows.append(_row("split", evaluation.split, summary.get("size_matched", summary), columns, count))
        if "size_matched" in summary:
            rows.append(_row("group", "all sizes together", summary, columns, count))
            rows.append(_row("group", "face size alone", summary["size_alone"], columns, count))
        groups = summary.get("groups", {})
        listed = [group for group in ranked_split.ordered_groups(evaluation) if group in groups]
        for group in listed[:_MAX_GROUP_ROWS]:
            part = groups[group]
            rows.append(_row("group", group, part.get("size_matched", part), columns, part["examples"]))
        if more := len(listed[_MAX_GROUP_ROWS:]):
            rows.append(f"<tr class=group><td colspan={len(columns) + 2}>… {more} smaller groups")
    return f"""{table(("Test split", *columns.values(), "Faces"), rows)}
{_MATCHED if matched else ""}
<p>The table shows how well the order of the scores agrees with the order of true blur. AUC is the share of pairs in the
right order, among pairs of a clear face (lowest true blur) and a blurrier one. Pairwise accuracy is the same share
among all pairs that differ in true blur. For both, 0.5 is chance. A Spearman or Kendall correlation of 1 means the same
order, and 0 is chance. A dash means that all faces have the same rank, or that no face has the lowest rank. Brackets
contain 95% bootstrap intervals over faces; they are shown for at least {MIN_INTERVAL} faces.</p>"""


def _row(kind: str, name: str, summary: Mapping[str, Any], columns: Iterable[str], *counts: int) -> str:
    matched = "<small>size-matched</small>" if kind == "split" and "auc_matched_size" in summary else ""
    values = [_cell(summary.get(column), counts[-1]) for column in columns]  # The last count is the number of faces.
    return row([escape(name) + matched, *values, *counts], kind)


def _cell(interval: Interval | None, faces: int) -> str:
    if interval is None:
        return ""
    return interval_cell(interval) if faces >= MIN_INTERVAL else number(interval["value"])


def interval_cell(interval: Interval) -> str:
    """Returns the HTML of a metric with its interval below it."""
    bounds = bounds_text(interval)
    return number(interval["value"]) + (f" <small>{bounds}</small>" if bounds else "")


def breakdown(summary: Mapping[str, Any]) -> str:
    """Returns a split's tables: by face size (if sizes differ), by gap in true blur, and between levels."""
    tables, count = [], summary["examples"]
    if "by_size" in summary:
        bins = {f"{size} px": part for size, part in summary["by_size"].items()}
        rows = [_row("bin", size, part, _COLUMNS, part["blurred"], part["examples"]) for size, part in bins.items()]
        blurred = sum(part["blurred"] for part in bins.values())
        rows.append(_row("total", "size-matched", summary["size_matched"], _COLUMNS, blurred, count))
        tables.append(table(("Shorter side", *_COLUMNS.values(), "Blurred", "Faces"), rows, "By face size"))
    gaps, levels = summary["pairwise_accuracy_by_gap"], summary["auc_between"]
    small, suffix = [], ", all sizes together" if tables else ""
    if len(gaps) > 1:
        rows = (row((gap, _cell(part, count), part["pairs"])) for gap, part in gaps.items())
        small.append(table(("Gap", "Pairwise accuracy", "Pairs"), rows, f"By gap in true blur{suffix}"))
    if len(levels) > 1:
        rows = (row((pair, _cell(part, count))) for pair, part in levels.items())
        small.append(table(("True blur", "AUC"), rows, f"Between two levels{suffix}"))
    return "".join(tables) + f"<div class=tables>{''.join(small)}</div>"


def thresholds(evaluation: Evaluation, meaning: Calibration | None, chosen: float | None) -> str:
    """Returns a table of threshold effects on a split; "" if it is tiny or all faces have the same rank.

    Threshold percentiles need `meaning`, the calibration. `chosen`, the run's own threshold, gets a row.
    """
    if len(evaluation.scores) < MIN_INTERVAL:
        return ""
    values = ranked_split.round_thresholds(evaluation.scores)
    values = sorted({*values, chosen} if chosen is not None else values)
    effects = ranked_split.at_thresholds(evaluation.scores, evaluation.ranks, values)
    if not effects:
        return ""
    clear, blurred = (int(members.sum()) for members in ranked_split.clear_and_blurred(evaluation.ranks))
    heads = ["Keep below", "Faces discarded", f"Blurred discarded (of {blurred})", f"Clear discarded (of {clear})"]
    cells_of = [(f"{effect.keep_below:.4g}", *map(percent, effect[1:])) for effect in effects]
    if meaning is not None:
        places = calibration.percentile(np.array(values), meaning.quantiles)
        cells_of = [(*cells, f"{place:.0f}") for cells, place in zip(cells_of, places)]
    rows = [row(cells, "chosen" * (value == chosen)) for cells, value in zip(cells_of, values)]
    levels = (
        "Clear faces have the lowest true blur; all other faces count as blurred, even if only slightly."
        if ranked_split.has_clear_level(evaluation.ranks)
        else "Nearly all faces differ in true blur, so the sharpest third is clear and the blurriest third is blurred."
    )
    percentiles = " The percentile is the threshold's position in the calibration's reference set."
    return f"""{table(heads + ["Percentile"] * (meaning is not None), rows, "What a threshold does")}
<p>A face is kept if its score is below the threshold. {levels}{percentiles * (meaning is not None)}</p>"""


def content(measured: Mapping[str, Any]) -> str:
    """Formats the result of `content.measure` as tables: the spread at equal blur, and groups of clear faces."""
    shares, drawn = measured["content_share"], f"{DRAWN[0]} to {DRAWN[1]} px"
    cells = [interval_cell(interval) for interval in (*shares.values(), measured["spearman_drawn"])]
    heads = ("", *(f"{side} px" for side in shares), "Spearman with size")
    spread = table(heads, [row(("Content share", *cells))], "Spread at equal blur")
    rows = []
    for name, group in measured["groups"].items():
        cells = [escape(name), group["clear"], interval_cell(group["auc"][SHOWN])]
        for discarded in (group["unchanged"], group["drawn"]):
            values = (discarded[part]["value"] for part in ("group", "others"))
            both = " / ".join("–" if value is None else percent(value) for value in values)
            cells += [both, interval_cell(discarded["ratio"])]
        rows.append(row(cells))
    heads = ("Discarded / others", "Ratio")
    heads = ("Attribute", "Clear faces", f"AUC at {SHOWN} px", *heads, *(f"{head}, random sizes" for head in heads))
    return f"""<p>A perfect blur scorer gives equally blurred faces equal scores. Any remaining spread comes from
content: who is shown, pose, light.</p>{spread}
<p>Every face was reduced to the same number of pixels and enlarged again. The <b>content share</b> is the standard
deviation of the scores' logits at this equal blur, divided by that of the unmodified faces. 0 is ideal; 1 means that
the scores of equally blurred faces vary as much as those of the unmodified faces. "Spearman with size" is the
correlation between scores and smallness when each face is reduced to random sizes from {drawn}; 1 is ideal.</p>
{table(heads, rows, "Scores by attribute")}
<p>All columns are for clear faces. AUC is how often a face with the attribute scores as blurrier than a face without
it at equal blur (0.5 is fair). A threshold discards {RATE:.0%} of all faces. The table shows the discarded shares
of the clear faces with the attribute and of the other clear faces, first for unmodified faces and then with every face
reduced to random sizes from the same distribution ({drawn}). A ratio of 1 is fair; for unmodified faces, it also
reflects true differences in blur.</p>"""
