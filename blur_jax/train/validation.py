"""Measures the accuracy of scores and pseudo-labels on labeled validation pairs, and calibrates the scores."""

import hashlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import ml_collections
import numpy as np

from blur_jax.data.splits import Split, used_faces
from blur_jax.metrics import calibration_fit, rank_statistics
from blur_jax.metrics.calibration import Calibration
from blur_jax.runs import checkpoints, distributed, inference

_COLLAPSED = 0.01  # Scores with a smaller standard deviation hardly depend on the image.
_FEW_FACES = 100  # With fewer validation faces, percentiles are computed from faces in all splits.
_MOST_FACES = 500  # The largest number of faces used in that case.


def make_validate(
    config: ml_collections.ConfigDict, model: nn.Module, split: Split, others: Sequence[Split] = ()
) -> Callable[[Any], tuple[dict[str, float], Calibration]]:
    """Returns a function from parameters to (`pair_metrics` of the labeled pairs in `split`, a fitted calibration).

    Percentiles refer to the faces in `split` and, if there are too few, in `others`. Raises ValueError if no pair has
    an order.
    """
    rows, pairs = used_faces(split)
    if split.labels is None or not split.labels.any():
        raise ValueError("the validation split has only ties; choose data with ordered validation pairs in config.data")
    ordered, order = split.labels != 0, split.labels.astype(np.int64)
    reference, more = _reference(config.data, split, others)
    images = split.faces.stack(np.concatenate([rows, more]))
    score = inference.make_score(model)

    def validate(params: Any) -> tuple[dict[str, float], Calibration]:
        scores = score(params, images, batch_size=config.evaluation.batch_size)
        threshold = config.consistency.confidence_threshold
        metrics = pair_metrics(*scores[pairs[ordered]].T, order[ordered], confidence_threshold=threshold)
        reference_scores = scores[len(rows) :] if len(more) else scores
        return metrics, calibration_fit.fit(reference, reference_scores, scores, pairs, order)

    return validate


def _reference(config: ml_collections.ConfigDict, split: Split, others: Sequence[Split]) -> tuple[str, np.ndarray]:
    """Returns (name of the reference set, its face rows); no rows if the set is exactly the faces in `split`."""
    data = f"{config.name} ({config.sources})" if config.sources else config.name
    rows = np.unique(split.rows)
    if len(rows) >= _FEW_FACES:
        return f"{len(rows)} validation faces of {data}", np.zeros(0, rows.dtype)
    rows = np.unique(np.concatenate([part.rows.ravel() for part in (split, *others)]))
    # A hash of the name keeps the choice stable when pairs are added.
    rows = sorted(rows.tolist(), key=lambda row: hashlib.sha256(split.faces.names[row].encode()).digest())[:_MOST_FACES]
    return f"{len(rows)} faces of {data}", np.array(rows)


def count_ordered(split: Split) -> int:
    return int(np.sum(split.labels != 0))


def warn_of_few_pairs(split: Split, labeled: Split, *, steps: int) -> None:
    """Prints the tasks that the validation split `split` is too small for, and how many more labels they need.

    `labeled`, the training pairs, determines what share of new labels goes to validation. A run of 0 `steps` has only
    one checkpoint.
    """
    pairs = count_ordered(split)
    share = len(split) / (len(split) + len(labeled))
    tasks = [(calibration_fit.LEAST_PAIRS, "to estimate how likely people are to call a picture blurrier")]
    if steps:
        tasks.append((checkpoints.ENOUGH_PAIRS, "to choose a checkpoint, so the last one will be used"))
    for enough, task in tasks:
        if pairs < enough:
            distributed.say(
                f"validation has only {pairs} ordered pair(s), too few {task} ({enough} are needed; label"
                f" about {math.ceil((enough - pairs) / share)} more pairs)"
            )


def pair_metrics(
    left: np.ndarray, right: np.ndarray, order: np.ndarray, *, confidence_threshold: float
) -> dict[str, float]:
    """Returns the metrics of m pairs, given the scores [m] of both sides and the labeled order [m], +1 or -1.

    "validation_accuracy" is the share of pairs in the labeled order. The pairs are also treated as if they were
    unlabeled: "pseudo_label_share" is the share that passes the confidence threshold, and "pseudo_label_accuracy" is
    the share of those in the labeled order (absent if no pair passes). "score_spread" is the standard deviation of the
    scores; a value near 0 means that they have collapsed.
    """
    in_order = rank_statistics.in_order(left, right, order)
    confident = np.abs(right - left) >= confidence_threshold
    metrics = {
        "validation_accuracy": float(np.mean(in_order)),
        "pseudo_label_share": float(np.mean(confident)),
        "score_spread": float(np.std([left, right])),
    }
    if confident.any():
        metrics["pseudo_label_accuracy"] = float(np.mean(in_order[confident]))
    return metrics


def warn_of_collapse(step: int, spread: float) -> None:
    """Warns if the scores of all images are nearly the same; `spread` is "score_spread"."""
    if spread < _COLLAPSED:
        distributed.say(
            f"step {step}: the scores have collapsed: their standard deviation over the validation images is"
            f" {spread:.1g}. Lower the weights in config.consistency, or raise config.ranking.margin"
        )
