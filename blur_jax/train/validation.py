"""Labeled validation pairs: how well a run orders them, what its scores mean, and what its pseudo-labels are worth."""

import hashlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import ml_collections
import numpy as np

from blur_jax.data import splits
from blur_jax.metrics import calibration_fit, rank_statistics
from blur_jax.metrics.calibration import Calibration
from blur_jax.runs import checkpoints, distributed, inference

_COLLAPSED = 0.01  # Standard deviation of the scores below which they hardly depend on the image.
_FEW_FACES = 100  # Validation faces below which percentiles come from faces of all splits.
_MOST_FACES = 500  # Of them.


def make_validate(
    config: ml_collections.ConfigDict, model: nn.Module, split: splits.Split, others: Sequence[splits.Split] = ()
) -> Callable[[Any], tuple[dict[str, float], Calibration]]:
    """Returns a function from parameters to metrics on the labeled pairs of `split`, and a calibration fitted to them.

    The metrics are "validation_accuracy", the share of pairs in the labeled order; and, of the same pairs used as if
    they were unlabeled, "pseudo_label_share", the share of those that pass the confidence threshold, and
    "pseudo_label_accuracy", the share of these in the labeled order (absent where no pair passes); and "score_spread",
    the standard deviation of the scores, which shows a collapse.

    Percentiles are among the faces of `split`; where these are few, among faces of `others`, too.

    Raises:
        ValueError: no pair has an order.
    """
    rows, pairs = splits.used_faces(split)
    ordered = split.labels != 0
    if not ordered.any():
        raise ValueError("the validation split has no pair with an order: all are ties")
    order = split.labels.astype(np.int64)
    reference, more = _reference(config.data, split, others)
    images = split.faces.stack(np.concatenate([rows, more]))
    score = inference.make_score(model)

    def validate(params: Any) -> tuple[dict[str, float], Calibration]:
        scores = score(params, images, batch_size=config.evaluation.batch_size)
        threshold = config.consistency.confidence_threshold
        found = pair_metrics(*scores[pairs[ordered]].T, order[ordered], confidence_threshold=threshold)
        of_reference = scores[len(rows) :] if len(more) else scores
        return found, calibration_fit.fit(reference, of_reference, scores, pairs, order)

    return validate


def _reference(
    config: ml_collections.ConfigDict, split: splits.Split, others: Sequence[splits.Split]
) -> tuple[str, np.ndarray]:
    """Names the reference set, and returns its rows unless it is all faces of `split`: then there are none to add."""
    of_data = f"{config.name} ({config.sources})" if config.sources else config.name
    rows = np.unique(split.rows)
    if len(rows) >= _FEW_FACES:
        return f"{len(rows)} validation faces of {of_data}", np.zeros(0, rows.dtype)
    rows = np.unique(np.concatenate([part.rows.ravel() for part in (split, *others)]))
    # By a hash of the name, which keeps the choice the same when pairs are added.
    rows = sorted(rows.tolist(), key=lambda row: hashlib.sha256(split.faces.names[row].encode()).digest())[:_MOST_FACES]
    return f"{len(rows)} faces of {of_data}", np.array(rows)


def count_ordered(split: splits.Split) -> int:
    """Returns the number of pairs that are no ties."""
    return int(np.count_nonzero(split.labels))


def warn_of_few_pairs(split: splits.Split, labeled: splits.Split) -> None:
    """Prints what a small validation split leaves out, and how many more labels would do.

    Args:
        split: the validation split.
        labeled: the labeled pairs trained on, which say how validation shares in new labels.
    """
    pairs = count_ordered(split)
    lacking = []
    if pairs < checkpoints.ENOUGH_PAIRS:
        lacking.append((checkpoints.ENOUGH_PAIRS, "to choose a checkpoint by: the last one will be used"))
    if pairs < calibration_fit.LEAST_PAIRS:
        lacking.append((calibration_fit.LEAST_PAIRS, "to say how probably people call a picture blurrier"))
    share = len(split) / (len(split) + len(labeled))
    for enough, what in lacking:
        more = math.ceil((enough - pairs) / share)
        distributed.say(
            f"validation has {pairs} pair(s) with an order, too few {what} (that takes {enough}, and so about {more}"
            " more labeled pairs)"
        )


def pair_metrics(
    left: np.ndarray, right: np.ndarray, order: np.ndarray, *, confidence_threshold: float
) -> dict[str, float]:
    """Returns the metrics of `make_validate` from the scores [m] of both sides and the labeled order [m], +1 or -1."""
    in_order = rank_statistics.in_order(left, right, order)
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
