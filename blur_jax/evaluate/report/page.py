"""The page as a whole: the verdict and the headline, links to the sections, and these."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from blur_jax.evaluate import figures
from blur_jax.evaluate.report import sections, tables, verdict
from blur_jax.evaluate.report.html_parts import CSS, escape, figure
from blur_jax.metrics.calibration import Calibration
from blur_jax.metrics.labeled_pairs import LabeledPairs
from blur_jax.metrics.ranked_split import Evaluation
from blur_jax.runs import run_dir
from blur_jax.runs.threshold import Threshold

_TRAINING = (
    "Each term of the loss, before its weight. The weighted total is not drawn: it changes with the weights of the"
    " consistency terms, which ramp up early in training. Pale lines are the logged values, dark lines their moving"
    " average. Validation accuracy is the share of held-out labeled pairs that the model orders as labeled (0.5 ="
    " chance)."
)


def write_report(
    path: str | os.PathLike,
    *,
    title: str,
    history: Sequence[Mapping[str, float]],
    evaluations: Sequence[Evaluation],
    facts: Mapping[str, Any],
    pairs: LabeledPairs | None = None,
    calibration: Calibration | None = None,
    threshold: Threshold | None = None,
    data: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    starts: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Writes the page atomically: a reader finds either the old page or the new one, whole.

    Args:
        path: file to write; its folder is created if missing.
        title: headline of the page.
        history: rows of `run_dir.read_history`, see `figures.training_curves`; may be empty.
        evaluations: one for each test split; may be empty.
        facts: {name: value}, what a reader needs to identify the run: checkpoint, data set, command, ...
        pairs: the labeled validation pairs; None where there are none.
        calibration: of the checkpoint; None where it has none.
        threshold: of this checkpoint; None where it has none.
        data: what `summary.summarize` returns; None says nothing of the data.
        config: of the run, JSON-serializable; None leaves it out.
        starts: what `provenance.read_starts` returns of the run; may be empty.

    Raises:
        OSError: the file cannot be written; the old one, if any, is left as it was.
    """
    headline = (data or {}).get("headline_splits", ())
    judgment, *evidence = map(escape, verdict.sentences(evaluations, pairs, headline))
    said = f"<p><b>{judgment}</b> {' '.join(evidence)}</p>"
    keep_below = None if threshold is None else threshold.keep_below
    if threshold is not None:
        said += f"<p>The threshold of this run: keep where blur &lt; {keep_below:.4g} ({escape(threshold.source)}).</p>"
    found = [("Training", figure(figures.training_curves(history), _TRAINING) + sections.starts(starts))]
    for evaluation in evaluations:
        content = tables.thresholds(evaluation, calibration, keep_below) + sections.split(evaluation)
        found.append((f"Split: {escape(evaluation.split)}", content))
    if pairs is not None:
        found.append(("Validation pairs", sections.validation(pairs, show_faces=not evaluations)))
    if calibration is not None:
        found.append(("Calibration", sections.calibration(calibration, keep_below, pairs)))
    if data is not None:
        found.append(("Data", sections.data(data)))
    found.append(("Facts", sections.run(facts, config)))
    table = tables.headline(evaluations) if evaluations else ""
    run_dir.write_atomically(path, _page(escape(title), said, table, found))


def _page(title: str, said: str, headline: str, found: Sequence[tuple[str, str]]) -> str:
    """Returns the page from HTML: its sections are (heading, content)."""
    links = "".join(f"<a href=#s{k}>{heading}</a>" for k, (heading, _) in enumerate(found))
    content = "".join(f"<h2 id=s{k}>{heading}</h2>{text}" for k, (heading, text) in enumerate(found))
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>{CSS}</style></head><body><main>
<h1>{title}</h1>
<p>A score is the predicted blur of one face: 0 = sharp, 1 = blurred.</p>
<div class=verdict>{said}</div>
<nav>{links}</nav>
{headline}
{content}
</main></body></html>
"""
