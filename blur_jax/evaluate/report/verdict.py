"""The verdict on a run in plain words: what its headline says, how sure that is, and what to do next.

Where the line between good and bad lies is this project's judgment, not science: see `_JUDGMENTS`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from blur_jax.evaluate.report.html_parts import percent
from blur_jax.evaluate.report.tables import MIN_INTERVAL
from blur_jax.metrics.labeled_pairs import LabeledPairs
from blur_jax.metrics.ranked_split import Evaluation
from blur_jax.runs.checkpoints import ENOUGH_PAIRS

_WIDE = 0.1  # Width of a 95% interval from which a metric is called uncertain.
# From which pairwise accuracy on what to say, and what to do next.
_JUDGMENTS = (
    (
        0.9,
        "It sorts well.",
        "Choose a threshold (python -m blur_jax.threshold), and look at the pictures around it before discarding any.",
    ),
    (
        0.75,
        "It sorts roughly: faces of clearly different blur come out right, near ties often do not.",
        "Sort by it and discard only the most blurred; more labeled pairs, of the kind shown under the mistakes, help.",
    ),
    (
        0.0,
        "It sorts poorly.",
        "Do not discard by it. Look at the mistakes for labels that are the wrong way round, and label more pairs.",
    ),
)
_CHANCE = "This cannot be told from chance, which is 50%."


def sentences(evaluations: Sequence[Evaluation], pairs: LabeledPairs | None, headline: Sequence[str] = ()) -> list[str]:
    """Returns the verdict, plain texts: a judgment, what it rests on and how sure that is, and what to do next.

    Args:
        evaluations: of the test splits; without any, the labeled validation pairs are judged.
        pairs: the labeled validation pairs; None where there are none.
        headline: the splits that count; none counts all.
    """
    counted = [one for one in evaluations if one.split in headline] or list(evaluations)
    judged = {one.split: _accuracy(one.metrics) for one in counted}
    judged = {split: accuracy for split, accuracy in judged.items() if accuracy["value"] is not None}
    if judged:
        return _of_splits({one.split: one for one in counted}, judged)
    if pairs is not None and pairs.metrics["pairs"]:
        return _of_pairs(pairs)
    return ["There is nothing to judge by: neither test faces of different true blur nor labeled validation pairs."]


def _accuracy(metrics: Mapping[str, Any]) -> Mapping[str, float | None]:
    return metrics.get("size_matched", metrics)["pairwise_accuracy"]


def _of_splits(evaluations: Mapping[str, Evaluation], judged: Mapping[str, Mapping[str, float | None]]) -> list[str]:
    worst_first = sorted(judged.items(), key=lambda item: item[1]["value"])
    parts = [
        f"{percent(accuracy['value'])} of cases on {split} ({_interval(accuracy, evaluations[split])})"
        for split, accuracy in worst_first
    ]
    if len(parts) > 4:
        parts = [parts[0], f"more on {len(parts) - 2} other splits", parts[-1]]
    kind = "of similar size " if any("size_matched" in evaluations[split].metrics for split in judged) else ""
    said = [f"Of two faces {kind}that differ in true blur, the scorer finds the blurrier one in {_listed(parts)}."]
    groups = [
        (_accuracy(group)["value"], name, split)
        for split in judged
        for name, group in evaluations[split].metrics.get("groups", {}).items()
        if group["examples"] >= MIN_INTERVAL and _accuracy(group)["value"] is not None
    ]
    if len(groups) > 1:
        value, name, split = min(groups)
        said.append(f"It is weakest on {name} ({percent(value)}, of {split}).")
    if any(accuracy["low"] is not None and accuracy["high"] - accuracy["low"] > _WIDE for accuracy in judged.values()):
        said.append("An interval is wider than 10 percentage points: more ranked test faces would make this surer.")
    return _with_judgment(said, worst_first[0][1])


def _interval(accuracy: Mapping[str, float | None], evaluation: Evaluation) -> str:
    faces = f"{len(evaluation.scores)} faces"
    if accuracy["low"] is None or len(evaluation.scores) < MIN_INTERVAL:
        return f"{faces}, too few to say how sure"
    return f"95% interval {percent(accuracy['low'])} to {percent(accuracy['high'])}, {faces}"


def _of_pairs(pairs: LabeledPairs) -> list[str]:
    accuracy, count = pairs.metrics["pairwise_accuracy"], pairs.metrics["pairs"]
    interval = f"95% interval {percent(accuracy['low'])} to {percent(accuracy['high'])}"
    said = [
        "There are no ranked test faces, so the labeled validation pairs have to do.",
        f"The scorer orders {percent(accuracy['value'])} of {count} of them as labeled ({interval}).",
    ]
    few = f"{count} pairs are too few to go by: label some hundred, a part of which becomes validation."
    return _with_judgment(said + [few] * (count < ENOUGH_PAIRS), accuracy)


def _with_judgment(evidence: Sequence[str], accuracy: Mapping[str, float | None]) -> list[str]:
    value, low = accuracy["value"], accuracy["low"]
    judgment, to_do = next((judgment, to_do) for least, judgment, to_do in _JUDGMENTS if value >= least)
    if low is not None and low <= 0.5:
        judgment, to_do = _CHANCE, _JUDGMENTS[-1][2]
    return [judgment, *evidence, to_do]


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
