"""One HTML page that shows what a run can do. It needs no network: its figures are data URIs."""

import base64
import html
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from blur_jax import figures, ranking, run_dir
from blur_jax.ranking import Evaluation

_COLUMNS = {"auc": "AUC", "pairwise_accuracy": "Pairwise accuracy", "spearman": "Spearman", "kendall": "Kendall"}
_MAX_GROUP_ROWS = 30  # groups in the table
_MIN_INTERVAL = 10  # faces; a bootstrap of fewer looks surer than it is

_MATCHED = """<p>Small faces tend to be blurrier, so face size alone puts many pairs in the right order. The metrics in
large type are therefore <b>size-matched</b>: each is computed within bins of face size and then averaged, weighted by
the number of blurred faces. The rows below show the same scores without matching, and a scorer that knows nothing but
face size: what it gains over chance is what the bins fail to match. <b>AUC, matched size</b> is stricter: it counts
only pairs of faces whose sizes differ by at most a tenth.</p>"""

_CSS = """
body { font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif;
  color: #22262b; background: #f5f6f8; margin: 0; }
main { max-width: 960px; margin: 0 auto; padding: 32px 40px 56px; background: #fff; }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 6px; letter-spacing: -0.01em; }
h2 { font-size: 21px; margin: 48px 0 4px; padding-top: 18px; border-top: 1px solid #e3e6ea; }
h3 { font-size: 16px; margin: 28px 0 0; }
p, figcaption { color: #4d545e; max-width: 84ch; margin: 4px 0 12px; }
figure { margin: 0; } img { max-width: 100%; height: auto; display: block; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 14px 0; }
th { text-align: left; font-weight: 600; color: #4d545e; font-size: 14px; }
th, td { padding: 5px 28px 5px 0; border-bottom: 1px solid #e9ecf0; vertical-align: baseline; }
.name { overflow-wrap: anywhere; }
.split td { font-size: 21px; font-weight: 650; padding-top: 14px; }
.group td:first-child { padding-left: 20px; }
small { color: #7a828d; font-size: 12.5px; font-weight: 400; white-space: nowrap; display: block; }
.total td { font-weight: 650; border-top: 2px solid #c9ced6; }
.tables { display: flex; flex-wrap: wrap; gap: 0 56px; }
details { font-size: 14px; margin-top: 8px; } details td, details th { padding-right: 16px; }
summary { color: #4d545e; cursor: pointer; }
"""


# heading, what draws the figure, whether it shows faces, caption
_FIGURES: tuple[tuple[str, Callable[[Evaluation], figures.Figure], bool, str], ...] = (
    (
        "Faces sorted by score",
        figures.sorted_faces,
        True,
        "Read row by row: the face scored sharpest comes first, the most blurred last; its score and true blur are"
        " below. The bar shows true blur (dark = sharp, light = blurred) and should brighten evenly.",
    ),
    (
        "Score against true blur",
        figures.score_against_rank,
        False,
        "Each dot is a face. A good scorer gives a rising band; a group outside the gray band of all the others is"
        " scored on a different scale.",
    ),
    (
        "Scores",
        figures.score_histogram,
        False,
        "How many faces get each score. Where the colors overlap, no threshold can separate them.",
    ),
    (
        "Worst mistakes",
        figures.worst_mistakes,
        True,
        "The wrongly ordered pairs that lie furthest apart in true blur: the left face is truly sharper, but scored"
        " more blurred. Each face is shown at most once.",
    ),
)


def write_report(
    path: str | os.PathLike,
    *,
    title: str,
    history: Sequence[Mapping[str, float]],
    evaluations: Sequence[Evaluation],
    facts: Mapping[str, Any],
) -> None:
    """Writes the page atomically: a reader finds either the old page or the new one, whole.

    Args:
        path: file to write; its folder is created if missing.
        title: headline of the page.
        history: rows of metrics.jsonl, see `figures.training_curves`; may be empty.
        evaluations: one for each test split.
        facts: {name: value}, what a reader needs to identify the run: config, step, data set, ...

    Raises:
        OSError: the file cannot be written; the old one, if any, is left as it was.
    """
    run_dir.write_atomically(path, _page(title, history, evaluations, facts))


def _page(
    title: str,
    history: Sequence[Mapping[str, float]],
    evaluations: Sequence[Evaluation],
    facts: Mapping[str, Any],
) -> str:
    title, sections = html.escape(title), "".join(map(_split_section, evaluations))
    curves = _figure(
        figures.training_curves(history),
        "The losses fall as the model learns to order pairs. Validation accuracy is the share of held-out labeled"
        " pairs that the model orders as labeled (0.5 = chance).",
    )
    rows = (f"<tr><th>{html.escape(k)}<td class=name>{html.escape(str(v))}" for k, v in facts.items())
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>{_CSS}</style></head><body><main>
<h1>{title}</h1>
<p>A score is the predicted blur of one face: 0 = sharp, 1 = blurred.</p>
{_headline(evaluations)}
<h2>Training</h2>{curves}
{sections}
<h2>Facts</h2><table>{"".join(rows)}</table>
</main></body></html>
"""


def summary_lines(splits: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Returns the headline metrics as lines of text: of each split and its groups, size-matched where sizes differ.

    Args:
        splits: {split: what `bootstrap.summarize` returns, with "groups"}.
    """
    lines = []
    for split, of_split in splits.items():
        groups = {f"{split}, {name}": group for name, group in of_split["groups"].items()}
        for name, summary in {split: of_split, **groups}.items():
            shown = summary.get("size_matched", summary)
            values = "  ".join(
                f"{key.replace('_', ' ')} {figures.number(shown[key]['value'])}"
                for key in ("auc", "pairwise_accuracy", "spearman")
            )
            matched = "size-matched " if "size_matched" in summary else ""
            lines.append(f"{name:<24}  {matched}{values}  ({summary['examples']} faces)")
    return lines


def _headline(evaluations: Sequence[Evaluation]) -> str:
    """Returns the table of the headline metrics: a row for each split and each of its groups."""
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
        listed = [group for group in ranking.ordered_groups(evaluation) if group in groups]
        for group in listed[:_MAX_GROUP_ROWS]:
            part = groups[group]
            rows.append(_row("group", group, part.get("size_matched", part), columns, part["examples"]))
        if len(listed) > _MAX_GROUP_ROWS:
            more = len(listed) - _MAX_GROUP_ROWS
            rows.append(f"<tr class=group><td colspan={len(columns) + 2}>… {more} more, smaller")
    heads = "".join(f"<th>{name}" for name in ("Test split", *columns.values(), "Faces"))
    return f"""<table>{heads}{"".join(rows)}</table>
{_MATCHED if matched else ""}
<p>The table shows how well the order of the scores agrees with the order of true blur. AUC is the share of pairs of a
clear face (lowest true blur) and a blurrier one that are in the right order; pairwise accuracy is the same over all
pairs that differ in true blur; 0.5 is chance. A Spearman or Kendall correlation of 1 is the same order, 0 is chance.
The brackets hold 95% bootstrap intervals over faces, given from {_MIN_INTERVAL} faces up.</p>"""


def _row(kind: str, name: str, summary: Mapping[str, Any], columns: Iterable[str], *counts: int) -> str:
    """Returns a row of metrics between its name and its counts, the last of which is the number of faces."""
    matched = "<small>size-matched</small>" if kind == "split" and "auc_matched_size" in summary else ""
    cells = [html.escape(name) + matched] + [_value(summary.get(column), counts[-1]) for column in columns]
    return f"<tr class={kind}><td class=name>{'<td>'.join(cells + [str(count) for count in counts])}"


def _value(interval: Mapping[str, float | None] | None, faces: int) -> str:
    if interval is None:
        return ""
    value, low, high = (interval[key] for key in ("value", "low", "high"))
    shown = low is not None and faces >= _MIN_INTERVAL
    return figures.number(value) + (f" <small>[{low:.3f}, {high:.3f}]</small>" if shown else "")


def _breakdown(summary: Mapping[str, Any]) -> str:
    """Returns the tables of a split: by face size where sizes differ; by gap in true blur and between levels."""
    tables, count = [], summary["examples"]
    if "by_size" in summary:
        rows = [
            _row("bin", f"{size} px", part, _COLUMNS, part["blurred"], part["examples"])
            for size, part in summary["by_size"].items()
        ]
        blurred = sum(part["blurred"] for part in summary["by_size"].values())
        rows.append(_row("total", "size-matched", summary["size_matched"], _COLUMNS, blurred, count))
        tables.append(_table("By face size", ("Shorter side", *_COLUMNS.values(), "Blurred", "Faces"), rows))
    gaps, levels = summary["pairwise_accuracy_by_gap"], summary["auc_between"]
    small, suffix = [], ", all sizes together" if tables else ""
    if len(gaps) > 1:
        rows = (f"<tr><td>{gap}<td>{_value(part, count)}<td>{part['pairs']}" for gap, part in gaps.items())
        heads = ("Gap", "Pairwise accuracy", "Pairs")
        small.append(_table(f"By gap in true blur{suffix}", heads, rows))
    if len(levels) > 1:
        rows = (f"<tr><td>{pair}<td>{_value(part, count)}" for pair, part in levels.items())
        small.append(_table(f"Between two levels{suffix}", ("True blur", "AUC"), rows))
    return "".join(tables) + f"<div class=tables>{''.join(small)}</div>"


def _table(heading: str, heads: Iterable[str], rows: Iterable[str]) -> str:
    heads = "".join(f"<th>{head}" for head in heads)
    return f"<div><h3>{heading}</h3><table>{heads}{''.join(rows)}</table></div>"


def _split_section(evaluation: Evaluation) -> str:
    drawn = "".join(
        f"<h3>{heading}</h3>{_figure(draw(evaluation), caption, shows_faces)}"
        for heading, draw, shows_faces, caption in _FIGURES
    )
    breakdown = _breakdown(evaluation.metrics)
    true = ranking.rank_texts(evaluation.ranks)
    rows = "".join(
        f"<tr><td>{k}<td>{side}<td class=name>{html.escape(evaluation.names[i])}"
        f"<td>{html.escape(evaluation.groups[i])}<td>{evaluation.scores[i]:.4f}<td>{true[i]}"
        for k, pair in enumerate(ranking.mistaken_pairs(evaluation.scores, evaluation.ranks, 8), start=1)
        for side, i in zip(("sharper", "blurrier"), pair)
    )
    heads = "".join(f"<th>{h}" for h in ("Pair", "Truly", "Name", "Group", "Score", "True blur"))
    listing = f"<details><summary>Names in full</summary><table>{heads}{rows}</table></details>"
    return f"<h2>Split: {html.escape(evaluation.split)}</h2>{breakdown}{drawn}{listing if rows else ''}"


def _figure(figure: figures.Figure, caption: str, shows_faces: bool = False) -> str:
    """Returns the figure as an HTML image with its caption."""
    # Lossless would take a megabyte for each sheet of faces.
    options = {"quality": 90} if shows_faces else {"lossless": True}
    data = figures.to_webp(figure, **options)
    width = round(96 * figure.get_figwidth())
    source = f"data:image/webp;base64,{base64.b64encode(data).decode()}"
    alt = html.escape(caption)
    image = f'<img width={width} alt="{alt}" src="{source}">'
    return f"<figure><figcaption>{caption}</figcaption>{image}</figure>"
