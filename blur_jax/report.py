"""One HTML page that shows what a run can do. It needs no network: figures are data URIs."""

import base64
import html
import os
import pathlib

from blur_jax import figures

_COLUMNS = {"auc": "AUC", "pairwise_accuracy": "Pairwise accuracy", "spearman": "Spearman", "kendall": "Kendall"}
_MAX_GROUP_ROWS = 30  # groups in the table
_MIN_INTERVAL = 10  # pictures; a bootstrap of fewer looks surer than it is

_MATCHED = """<p>Small faces tend to be blurrier, so the size of a face alone orders many pairs. The large figures are
therefore <b>size-matched</b>: each is computed within bins of face size and averaged, weighted by the number of
blurred faces. The rows below them show the same scores without the match, and what a scorer reaches that knows
nothing but face size: what it has above chance is what the bins fail to match. <b>AUC, like size</b> is stricter: it
counts only pairs of faces whose sizes differ by at most a tenth.</p>"""

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


# heading, figure, whether it holds photographs, caption
_PICTURES = (
    (
        "Pictures sorted by score",
        figures.sorted_faces,
        True,
        "Read line by line: the picture scored sharpest comes first, the most blurred last, with"
        " score and true blur below. The bar shows true blur, dark = sharp, light = blurred, and"
        " should brighten evenly.",
    ),
    (
        "Score against true blur",
        figures.score_against_rank,
        False,
        "Each dot is a picture; a good scorer makes a rising band, and a group that leaves the gray"
        " band of all the others is scored on another scale.",
    ),
    (
        "Scores",
        figures.score_histogram,
        False,
        "How many pictures get each score; where the colors overlap, no threshold can tell them apart.",
    ),
    (
        "Worst mistakes",
        figures.worst_mistakes,
        True,
        "The pairs in the wrong order that lie furthest apart in true blur; the left one is truly"
        " the sharper, yet scored the more blurred. Each picture is shown once at most.",
    ),
)


def write_report(path, *, title, history, evaluations, facts):
    """Writes the page, atomically: a reader finds the old page or the new one, whole.

    Args:
      path: file to write; its folder is made if missing.
      title: headline of the page.
      history: rows of metrics.jsonl, see `training_curves`; may be empty.
      evaluations: an `Evaluation` for each test split.
      facts: {name: value}, what a reader needs to place the run: config, step, data set, ...
    """
    text = _page(title, history, evaluations, facts).encode("utf-8", "replace")
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(text)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _page(title, history, evaluations, facts):
    title, sections = html.escape(title), "".join(map(_split_section, evaluations))
    curves = _figure(
        figures.training_curves(history),
        "Losses fall as the model learns to order pairs; validation accuracy is the share of"
        " held-out labeled pairs that it orders as labeled (0.5 = chance).",
    )
    rows = (f"<tr><th>{html.escape(k)}<td class=name>{html.escape(str(v))}" for k, v in facts.items())
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>{_CSS}</style></head><body><main>
<h1>{title}</h1>
<p>A score is the predicted blur of one picture: 0 = sharp, 1 = blurred.</p>
{_headline(evaluations)}
<h2>Training</h2>{curves}
{sections}
<h2>Facts</h2><table>{"".join(rows)}</table>
</main></body></html>
"""


def summary_lines(splits):
    """The headline figures as lines of text: of each split and its groups, size-matched where sizes differ.

    splits: {split: what `bootstrap.summarize` returns, with "groups"}.
    """
    lines = []
    for split, figures_of_split in splits.items():
        groups = {f"{split}, {name}": group for name, group in figures_of_split["groups"].items()}
        for name, summary in {split: figures_of_split, **groups}.items():
            shown = summary.get("size_matched", summary)
            values = "  ".join(
                f"{key.replace('_', ' ')} {figures.number(shown[key]['value'])}"
                for key in ("auc", "pairwise_accuracy", "spearman")
            )
            matched = "size-matched " if "size_matched" in summary else ""
            lines.append(f"{name:<24}  {matched}{values}  ({summary['examples']} faces)")
    return lines


def _headline(evaluations):
    columns, rows = dict(_COLUMNS), []
    matched = any("size_matched" in evaluation.metrics for evaluation in evaluations)
    if matched:
        columns["auc_like_size"] = "AUC, like size"
    for evaluation in evaluations:
        summary = evaluation.metrics
        count = summary["examples"]
        rows.append(_row("split", evaluation.split, summary.get("size_matched", summary), columns, count))
        if "size_matched" in summary:
            rows.append(_row("group", "all sizes together", summary, columns, count))
            rows.append(_row("group", "face size alone", summary["size_alone"], columns, count))
        groups = summary.get("groups", {})
        listed = [group for group in figures.ordered_groups(evaluation) if group in groups]
        for group in listed[:_MAX_GROUP_ROWS]:
            part = groups[group]
            rows.append(_row("group", group, part.get("size_matched", part), columns, part["examples"]))
        if len(listed) > _MAX_GROUP_ROWS:
            more = len(listed) - _MAX_GROUP_ROWS
            rows.append(f"<tr class=group><td colspan={len(columns) + 2}>… {more} more, smaller")
    heads = "".join(f"<th>{name}" for name in ("Test split", *columns.values(), "Pictures"))
    return f"""<table>{heads}{"".join(rows)}</table>
{_MATCHED if matched else ""}
<p>How well the order of the scores agrees with the order of the true blur. AUC: the share of pairs of a clear
picture (lowest true blur) and a blurrier one in the right order; pairwise accuracy: the same of all pairs that differ
in true blur; 0.5 = chance. Spearman and Kendall correlations: 1 = the same order, 0 = chance. In brackets, 95%
bootstrap intervals over pictures, from {_MIN_INTERVAL} pictures up.</p>"""


def _row(kind, name, summary, columns, *counts):
    """A row of figures between its name and its counts, the last of which says how many pictures there are."""
    matched = "<small>size-matched</small>" if kind == "split" and "auc_like_size" in summary else ""
    cells = [html.escape(name) + matched] + [_value(summary.get(column), counts[-1]) for column in columns]
    return f"<tr class={kind}><td class=name>{'<td>'.join(cells + [str(count) for count in counts])}"


def _value(found, pictures):
    if found is None:
        return ""
    value, low, high = (found[key] for key in ("value", "low", "high"))
    trusted = low is not None and pictures >= _MIN_INTERVAL
    return figures.number(value) + (f" <small>[{low:.3f}, {high:.3f}]</small>" if trusted else "")


def _breakdown(summary):
    """Tables of a split: by face size where sizes differ; by gap in true blur and between its levels where few."""
    tables, count = [], summary["examples"]
    if "by_size" in summary:
        rows = [
            _row("bin", f"{size} px", part, _COLUMNS, part["blurred"], part["examples"])
            for size, part in summary["by_size"].items()
        ]
        blurred = sum(part["blurred"] for part in summary["by_size"].values())
        rows.append(_row("total", "size-matched", summary["size_matched"], _COLUMNS, blurred, count))
        tables.append(_table("By face size", ("Shorter side", *_COLUMNS.values(), "Blurred", "Pictures"), rows))
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


def _table(heading, heads, rows):
    heads = "".join(f"<th>{head}" for head in heads)
    return f"<div><h3>{heading}</h3><table>{heads}{''.join(rows)}</table></div>"


def _split_section(evaluation):
    pictures = "".join(
        f"<h3>{heading}</h3>{_figure(draw(evaluation), caption, photographs)}"
        for heading, draw, photographs, caption in _PICTURES
    )
    breakdown = _breakdown(evaluation.metrics)
    true = figures.rank_texts(evaluation.ranks)
    rows = "".join(
        f"<tr><td>{k}<td>{side}<td class=name>{html.escape(evaluation.names[i])}"
        f"<td>{html.escape(evaluation.groups[i])}<td>{evaluation.scores[i]:.4f}<td>{true[i]}"
        for k, pair in enumerate(figures.mistaken_pairs(evaluation.scores, evaluation.ranks, 8), start=1)
        for side, i in zip(("sharper", "blurrier"), pair)
    )
    heads = "".join(f"<th>{h}" for h in ("Pair", "Truly", "Name", "Group", "Score", "True blur"))
    listing = f"<details><summary>Names in full</summary><table>{heads}{rows}</table></details>"
    return f"<h2>Split: {html.escape(evaluation.split)}</h2>{breakdown}{pictures}{listing if rows else ''}"


def _figure(figure, caption, photographs=False):
    """The figure as an HTML image."""
    # Lossless would take a megabyte for each sheet of photographs.
    options = {"quality": 90} if photographs else {"lossless": True}
    data = figures.to_webp(figure, **options)
    width = round(96 * figure.get_figwidth())
    source = f"data:image/webp;base64,{base64.b64encode(data).decode()}"
    alt = html.escape(caption)
    image = f'<img width={width} alt="{alt}" src="{source}">'
    return f"<figure><figcaption>{caption}</figcaption>{image}</figure>"
