"""The report page: the verdict, the headline, links to the sections, and the sections."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from blur_jax.evaluate import figures
from blur_jax.evaluate.report import sections, tables, verdict
from blur_jax.metrics.calibration import Calibration
from blur_jax.metrics.labeled_pairs import LabeledPairs
from blur_jax.metrics.ranked_split import Evaluation
from blur_jax.runs import run_dir
from blur_jax.runs.threshold import Threshold
from blur_jax.score.html_parts import escape, page

_TRAINING = (
    "Each loss term, before weighting. The weighted total is not drawn because it changes with the weights of the"
    " consistency terms, which ramp up early in training. Pale lines are the logged values, and dark lines are their"
    " moving averages. Validation accuracy is the share of held-out labeled pairs that the model orders as labeled"
    " (0.5 = chance)."
)
_FITTED = "<p>This run took no training steps: its head was fitted to features of the network.</p>"
_STYLE = """
.verdict { border-left: 4px solid #2563a8; padding: 2px 0 2px 16px; margin: 18px 0; }
.verdict p { color: #22262b; margin: 4px 0; }
nav { margin: 18px 0 22px; } nav a { display: inline-block; padding: 5px 20px 5px 0; color: #2563a8; }
.split td { font-size: 21px; font-weight: 650; padding-top: 14px; }
.group td:first-child { padding-left: 20px; }
.total td { font-weight: 650; border-top: 2px solid #c9ced6; }
.chosen td { font-weight: 650; background: #eef4fb; }
.tables { display: flex; flex-wrap: wrap; gap: 0 56px; } .tables > div { max-width: 100%; }
@media (max-width: 600px) { .split td { font-size: 18px; } }
"""


def write_report(
    path: str | os.PathLike,
    *,
    title: str,
    history: Sequence[Mapping[str, float]],
    evaluations: Sequence[Evaluation],
    facts: Mapping[str, Any],
    judged: Mapping[str, Any] | None = None,
    pairs: LabeledPairs | None = None,
    calibration: Calibration | None = None,
    threshold: Threshold | None = None,
    data: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    starts: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Writes the page atomically.

    Args:
        path: file to write; its folder is created if missing. After an OSError, the old file is unchanged.
        title: page title.
        history: rows of `run_dir.read_history`; may be empty.
        evaluations: one for each test split; may be empty.
        facts: {name: value} pairs that identify the run: checkpoint, data set, command, ...
        judged: from `judged_agreement.measure` of the scorer "run".
        pairs: the labeled validation pairs.
        calibration: the checkpoint's calibration.
        threshold: this checkpoint's threshold.
        data: from `summary.describe_data`.
        config: the run's config, JSON-serializable.
        starts: from `provenance.read_starts`.
    """
    headline = (data or {}).get("headline_splits", ())
    keep_below = None if threshold is None else threshold.keep_below
    fitted = bool(history) and not any(row["step"] for row in history)
    training = _FITTED if fitted else sections.figure(figures.training_curves(history), _TRAINING)
    contents = [("Training", training + sections.starts(starts))]
    for evaluation in evaluations:
        content = tables.thresholds(evaluation, calibration, keep_below) + sections.split(evaluation)
        contents.append((f"Split: {escape(evaluation.split)}", content))
        if "content" in evaluation.metrics:
            measured = tables.content(evaluation.metrics["content"])
            contents.append((f"Content: {escape(evaluation.split)}", measured))
    if pairs is not None:
        contents.append(("Validation pairs", sections.validation(pairs, show_faces=not evaluations)))
    if calibration is not None:
        contents.append(("Calibration", sections.calibration(calibration, keep_below, pairs)))
    if data is not None:
        contents.append(("Data", sections.data(data)))
    contents.append(("Facts", sections.run(facts, config)))
    links = "".join(f"<a href=#s{k}>{heading}</a>" for k, (heading, _) in enumerate(contents))
    content = "".join(f"<h2 id=s{k}>{heading}</h2>{text}" for k, (heading, text) in enumerate(contents))
    body = f"""<p>A score is the predicted blur of one face: 0 = sharp, 1 = blurred.</p>
<div class=verdict>{_verdict(verdict.sentences(evaluations, pairs, headline), threshold)}</div>
<nav>{links}</nav>
{tables.judged(judged) if judged else ""}
{tables.headline(evaluations) if evaluations else ""}
{content}"""
    run_dir.write_atomically(path, page(title, body, _STYLE))


def _verdict(sentences: Sequence[str], threshold: Threshold | None) -> str:
    judgment, *evidence = map(escape, sentences)
    text = f"<p><b>{judgment}</b> {' '.join(evidence)}</p>"
    if threshold is None:
        return text
    rule = f"keep pictures with blur &lt; {threshold.keep_below:.4g} ({escape(threshold.source)})"
    return f"{text}<p>This run's threshold: {rule}.</p>"
