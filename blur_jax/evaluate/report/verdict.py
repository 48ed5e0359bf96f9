"""The verdict on a run in plain words: its headline, how sure that is, and the next step.

The line between good and bad is this project's judgment, not science: see `_JUDGMENTS`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from blur_jax.evaluate.report.tables import MIN_INTERVAL
from blur_jax.metrics.labeled_pairs import LabeledPairs
from blur_jax.metrics.ranked_split import Evaluation
from blur_jax.runs.checkpoints import ENOUGH_PAIRS
from blur_jax.score.html_parts import percent

_WIDE = 0.1  # A metric with a 95% interval at least this wide is called uncertain.
# The least pairwise accuracy of each judgment, the judgment, and the next step.
_USE = "Choose a threshold (python -m blur_jax.threshold), and look at the pictures around it before discarding any."
_SORT = "Sort by it and discard only the most blurred; label more pairs like those shown under the mistakes."
_MISTRUST = "Do not discard by it. Check the mistakes for reversed labels, and label more pairs."
_JUDGMENTS = (
    (0.9, "It sorts well.", _USE),
    (
        0.75,
        "It sorts roughly: clearly different faces are in the right order, but near ties often are not.",
        _SORT,
    ),
    (0.0, "It sorts poorly.", _MISTRUST),
)
_CHANCE = "Its order cannot be told from chance, which is 50%."
_FEW_FACES = ("Too few faces to tell.", f"Rank more test faces, at least {MIN_INTERVAL}, before relying on it.")
_FEW_PAIRS = (
    "Too few pairs to tell.",
    f"Label a few hundred pairs: a part of them becomes validation, which needs at least {ENOUGH_PAIRS}.",
)


def sentences(evaluations: Sequence[Evaluation], pairs: LabeledPairs | None, headline: Sequence[str] = ()) -> list[str]:
    """Returns the verdict, plain texts: a judgment, its evidence and how sure that is, and the next step.

    Test splits in `headline` are judged, or all if it is empty; without any, the labeled validation pairs.
    """
    counted = [evaluation for evaluation in evaluations if evaluation.split in headline] or list(evaluations)
    judged = [evaluation for evaluation in counted if _accuracy(evaluation.metrics)["value"] is not None]
    if judged:
        return _of_splits(judged)
    if pairs is not None and pairs.metrics["pairs"]:
        return _of_pairs(pairs)
    return ["The run has nothing to judge by: neither test faces of different true blur nor labeled validation pairs."]


def _accuracy(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return metrics.get("size_matched", metrics)["pairwise_accuracy"]


def _of_splits(evaluations: Sequence[Evaluation]) -> list[str]:
    """Judges by the worst split that has enough faces; the evidence names the worst split first."""
    worst_first = sorted(evaluations, key=lambda evaluation: _accuracy(evaluation.metrics)["value"])
    parts = [
        f"{percent(_accuracy(evaluation.metrics)['value'])} of cases on {evaluation.split} ({_interval(evaluation)})"
        for evaluation in worst_first
    ]
    if len(parts) > 4:
        parts = [parts[0], f"more on {len(parts) - 2} other splits", parts[-1]]
    kind = "of similar size " if any("size_matched" in evaluation.metrics for evaluation in evaluations) else ""
    listed = " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))
    evidence = [f"Of two faces {kind}that differ in true blur, the scorer finds the blurrier one in {listed}."]
    groups = [
        (_accuracy(group)["value"], name, evaluation.split)
        for evaluation in evaluations
        for name, group in evaluation.metrics.get("groups", {}).items()
        if group["examples"] >= MIN_INTERVAL and _accuracy(group)["value"] is not None
    ]
    if len(groups) > 1:
        value, name, split = min(groups)
        evidence.append(f"It is weakest on {name} ({percent(value)}, of {split}).")
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
        "The data have no ranked test faces, so this verdict rests on the labeled validation pairs.",
        f"The scorer orders {percent(accuracy['value'])} of {count} of them as labeled ({_interval_text(accuracy)}).",
    )
    judgment, to_do = _FEW_PAIRS if count < ENOUGH_PAIRS else _judgment(accuracy)
    return [judgment, *evidence, to_do]


def _judgment(accuracy: Mapping[str, Any]) -> tuple[str, str]:
    if accuracy["low"] is not None and accuracy["low"] <= 0.5:
        return _CHANCE, _MISTRUST
    return next((judgment, to_do) for least, judgment, to_do in _JUDGMENTS if accuracy["value"] >= least)
