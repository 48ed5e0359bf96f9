"""One HTML page that shows what a run can do. It needs no network: figures are data URIs."""

import base64
import html
import os
import pathlib

from blur_jax import figures

_COLUMNS = {"spearman": "Spearman", "kendall": "Kendall", "pairwise_accuracy": "Pairwise accuracy"}
_MAX_GROUP_ROWS = 30  # groups in the table
_MIN_INTERVAL = 10  # pictures; a bootstrap of fewer looks surer than it is

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
small { color: #7a828d; font-size: 13px; font-weight: 400; white-space: nowrap; }
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
        "Each dot is a picture; a good scorer makes a rising band, and a group that leaves the grey"
        " band of all the others is scored on another scale.",
    ),
    (
        "Scores",
        figures.score_histogram,
        False,
        "How many pictures get each score; where the colours overlap, no threshold can tell them apart.",
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
        " held-out labelled pairs that it orders as labelled (0.5 = chance).",
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


def _headline(evaluations):
    rows = []
    for evaluation in evaluations:
        rows.append(_metrics_row("split", evaluation.split, evaluation.metrics))
        groups = evaluation.metrics.get("groups", {})
        listed = [group for group in figures.ordered_groups(evaluation) if group in groups]
        shown = listed[:_MAX_GROUP_ROWS]
        rows += [_metrics_row("group", group, groups[group]) for group in shown]
        if len(listed) > len(shown):
            rows.append(f"<tr class=group><td colspan=5>… {len(listed) - len(shown)} more, smaller")
    heads = "".join(f"<th>{name}" for name in ("Test split", *_COLUMNS.values(), "Pictures"))
    return f"""<table>{heads}{"".join(rows)}</table>
<p>How well the order of the scores agrees with the order of the true blur. Spearman and Kendall
correlations: 1 = the same order, 0 = chance. Pairwise accuracy: the share of pairs of pictures put
in the right order, 0.5 = chance. In brackets, 95% bootstrap intervals over pictures, from
{_MIN_INTERVAL} pictures up.</p>"""


def _metrics_row(kind, name, summary):
    cells = [html.escape(name)]
    for figure in _COLUMNS:
        value, low, high = (summary[figure][key] for key in ("value", "low", "high"))
        trusted = low is not None and summary["examples"] >= _MIN_INTERVAL
        interval = f" <small>[{low:.3f}, {high:.3f}]</small>" if trusted else ""
        cells.append(figures.number(value) + interval)
    return f"<tr class={kind}><td class=name>{'<td>'.join(cells)}<td>{summary['examples']}"


def _split_section(evaluation):
    pictures = "".join(
        f"<h3>{heading}</h3>{_figure(draw(evaluation), caption, photographs)}"
        for heading, draw, photographs, caption in _PICTURES
    )
    true = figures.rank_texts(evaluation.ranks)
    rows = "".join(
        f"<tr><td>{k}<td>{side}<td class=name>{html.escape(evaluation.names[i])}"
        f"<td>{html.escape(evaluation.groups[i])}<td>{evaluation.scores[i]:.4f}<td>{true[i]}"
        for k, pair in enumerate(figures.mistaken_pairs(evaluation.scores, evaluation.ranks, 8), start=1)
        for side, i in zip(("sharper", "blurrier"), pair)
    )
    heads = "".join(f"<th>{h}" for h in ("Pair", "Truly", "Name", "Group", "Score", "True blur"))
    listing = f"<details><summary>Names in full</summary><table>{heads}{rows}</table></details>"
    return f"<h2>Split: {html.escape(evaluation.split)}</h2>{pictures}{listing if rows else ''}"


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
