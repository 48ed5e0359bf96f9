"""How well a run orders the labeled validation pairs, and what its own pseudo-labels would be worth there."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import ml_collections
import numpy as np

from blur_jax import data, distributed, inference, metrics

_COLLAPSED = 0.01  # Standard deviation of the scores below which they hardly depend on the image.


def make_validate(
    config: ml_collections.ConfigDict, model: nn.Module, split: data.Split
) -> Callable[[Any], dict[str, float]]:
    """Returns a function from parameters to metrics on the labeled pairs of `split`.

    The metrics are "validation_accuracy", the share of pairs in the labeled order; and, of the same pairs used as if
    they were unlabeled, "pseudo_label_share", the share of those that pass the confidence threshold, and
    "pseudo_label_accuracy", the share of these in the labeled order (absent where no pair passes); and "score_spread",
    the standard deviation of the scores, which shows a collapse.

    Raises:
        ValueError: no pair has an order.
    """
    rows, pairs = data.used_faces(split)
    ordered = split.labels != 0
    if not ordered.any():
        raise ValueError("the validation split has no pair with an order: all are ties")
    pairs, order = pairs[ordered], split.labels[ordered].astype(np.int64)
    images = split.faces.stack(rows)
    score = inference.make_score(model)

    def validate(params: Any) -> dict[str, float]:
        scores = score(params, images, batch_size=config.evaluation.batch_size)
        return summarize(*scores[pairs].T, order, confidence_threshold=config.consistency.confidence_threshold)

    return validate


def summarize(
    left: np.ndarray, right: np.ndarray, order: np.ndarray, *, confidence_threshold: float
) -> dict[str, float]:
    """Returns the metrics of `make_validate` from the scores [m] of both sides and the labeled order [m], +1 or -1."""
    in_order = metrics.in_order(left, right, order)
    confident = np.abs(right - left) >= confidence_threshold
    found = {
        "validation_accuracy": float(np.mean(in_order)),
        "pseudo_label_share": float(np.mean(confident)),
        "score_spread": float(np.std([left, right])),
    }
    if confident.any():
        found["pseudo_label_accuracy"] = float(np.mean(in_order[confident]))
    return found


def warn_of_collapse(step: int, spread: float) -> None:
    """Prints what to do when the scores of all images have become the same; `spread` is "score_spread"."""
    if spread < _COLLAPSED:
        distributed.say(
            f"step {step}: the scores have collapsed: their standard deviation over the validation images is"
            f" {spread:.1g}. Lower config.consistency's weights, or raise config.ranking.margin"
        )
