"""The verdict on a run in plain words: its headline result, the uncertainty, and the next step.

The cutoffs between good and bad, in `_JUDGMENTS`, are this project's choice, not science.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from blur_jax.evaluate.report.tables import MIN_INTERVAL
from blur_jax.metrics.labeled_pairs import LabeledPairs
from blur_jax.metrics.ranked_split import Evaluation
from blur_jax.runs.checkpoints import ENOUGH_PAIRS
from blur_jax.score.html_parts import percent

_WIDE = 0.1  # A 95% interval wider than this is pointed out.
# The lowest pairwise accuracy for each judgment, the judgment, and the next step.
_USE = "Choose a threshold (python -m blur_jax.threshold), and look at the pictures around it before discarding any."
_SORT = "Sort by the score and discard only the most blurred pictures. Label more pairs like the mistakes shown below."
_MISTRUST = "Do not discard pictures based on this score. Check the mistakes for reversed labels, and label more pairs."
_JUDGMENTS = (
    (0.9, "The scorer sorts well.", _USE),
    (
        0.75,
        "The scorer sorts roughly: it orders clearly different faces correctly, but often misorders similar ones.",
        _SORT,
    ),
    (0.0, "The scorer sorts poorly.", _MISTRUST),
)
_CHANCE = "Its order cannot be distinguished from chance (50%)."
_FEW_FACES = ("Too few faces to tell.", f"Rank at least {MIN_INTERVAL} test faces before relying on it.")
_FEW_PAIRS = (
    "Too few pairs to tell.",
    f"Label a few hundred pairs: some become validation pairs, and at least {ENOUGH_PAIRS} of those are needed.",
)


def sentences(evaluations: Sequence[Evaluation], pairs: LabeledPairs | None, headline: Sequence[str] = ()) -> list[str]:
    """Returns the verdict as plain text: a judgment, its evidence and uncertainty, and the next step.

    It judges the test splits in `headline`, or all test splits if that is empty, or the labeled validation pairs if
    there are no test splits.
    """
    counted = [evaluation for evaluation in evaluations if evaluation.split in headline] or list(evaluations)
    judged = [evaluation for evaluation in counted if _accuracy(evaluation.metrics)["value"] is not None]
    if judged:
        return _of_splits(judged)
    if pairs is not None and pairs.metrics["pairs"]:
        return _of_pairs(pairs)
    return ["This run cannot be judged: it has no test faces that differ in true blur and no labeled validation pairs."]


def _accuracy(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return metrics.get("size_matched", metrics)["pairwise_accuracy"]


def _of_splits(evaluations: Sequence[Evaluation]) -> list[str]:
    """Bases the judgment on the worst split with enough faces; the evidence lists the worst split first."""
    worst_first = sorted(evaluations, key=lambda evaluation: _accuracy(evaluation.metrics)["value"])
    parts = [
        f"{percent(_accuracy(evaluation.metrics)['value'])} of cases on {evaluation.split} ({_interval(evaluation)})"
        for evaluation in worst_first
    ]
    if len(parts) > 4:
        parts = [parts[0], f"more on {len(parts) - 2} other splits", parts[-1]]
    kind = "of similar size " if any("size_matched" in evaluation.metrics for evaluation in evaluations) else ""
    listed = " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))
    evidence = [f"Given two faces {kind}that differ in true blur, the scorer picks the blurrier one in {listed}."]
    groups = [
        (_accuracy(group)["value"], name, evaluation.split)
        for evaluation in evaluations
        for name, group in evaluation.metrics.get("groups", {}).items()
        if group["examples"] >= MIN_INTERVAL and _accuracy(group)["value"] is not None
    ]
    if len(groups) > 1:
        value, name, split = min(groups)
        evidence.append(f"It is weakest on {name} ({percent(value)}, in {split}).")
    enough = [_accuracy(evaluation.metrics) for evaluation in worst_first if len(evaluation.scores) >= MIN_INTERVAL]
    if any(accuracy["low"] is not None and accuracy["high"] - accuracy["low"] > _WIDE for accuracy in enough):
        evidence.append("An interval is wider than 10 percentage points: more ranked test faces would narrow it.")
    judgment, to_do = _judgment(enough[0]) if enough else _FEW_FACES
    return [judgment, *evidence, to_do]


def _interval(evaluation: Evaluation) -> str:
    accuracy, faces = _accuracy(evaluation.metrics), len(evaluation.scores)
    if accuracy["low"] is None or faces < MIN_INTERVAL:
        return f"{faces} faces, too few for an interval"
    return f"{_interval_text(accuracy)}, {faces} faces"


def _interval_text(accuracy: Mapping[str, Any]) -> str:
    return f"95% interval {percent(accuracy['low'])} to {percent(accuracy['high'])}"


def _of_pairs(pairs: LabeledPairs) -> list[str]:
    accuracy, count = pairs.metrics["pairwise_accuracy"], pairs.metrics["pairs"]
    evidence = (
        "The data have no ranked test faces, so this verdict is based on the labeled validation pairs.",
        f"The scorer orders {percent(accuracy['value'])} of {count} of them as labeled ({_interval_text(accuracy)}).",
    )
    judgment, to_do = _FEW_PAIRS if count < ENOUGH_PAIRS else _judgment(accuracy)
    return [judgment, *evidence, to_do]


def _judgment(accuracy: Mapping[str, Any]) -> tuple[str, str]:
    if accuracy["low"] is not None and accuracy["low"] <= 0.5:
        return _CHANCE, _MISTRUST
    return next((judgment, to_do) for least, judgment, to_do in _JUDGMENTS if accuracy["value"] >= least)
