"""The allowed range of every number in a config, so a typo fails immediately with a clear message, not hours later.

The ranges are much wider than sensible training values; configs/default.py documents the fields.
"""

import dataclasses
import functools
import numbers
import operator
from collections.abc import Collection
from typing import Any

import ml_collections
from flax import traverse_util

from blur_jax.data.preprocessing import CONTEXTS, IMAGE_SIZES

# The losses on unlabeled pairs; config.consistency.<name>_weight is each loss's weight.
UNLABELED_LOSSES = ("quadruplet", "pairwise", "distillation")

# The terms of the linear probe that use unlabeled faces; config.probe.<name> is each term's weight.
PROBE_TERMS = ("content", "changes", "prior")

_MOST_STEPS = 10**8


@dataclasses.dataclass(frozen=True)
class Range:
    """The allowed values of a field; NaN is never allowed."""

    lower: float
    upper: float
    open_below: bool = False  # Excludes `lower`.
    open_above: bool = False  # Excludes `upper`.
    whole: bool = False  # Excludes fractions.
    optional: bool = False  # Includes None.

    def holds(self, value: Any) -> bool:
        if value is None:
            return self.optional
        kind = numbers.Integral if self.whole else numbers.Real
        if isinstance(value, bool) or not isinstance(value, kind):
            return False
        above = self.lower < value if self.open_below else self.lower <= value
        return above and (value < self.upper if self.open_above else value <= self.upper)

    def __str__(self) -> str:
        """Returns text that completes "must be ..." in a message."""
        lower, upper = "above" if self.open_below else "at least", "below" if self.open_above else "at most"
        ends = f"{lower} {self.lower} and {upper} {self.upper}"
        return f"{'a whole number, ' * self.whole}{ends}{', or left unset' * self.optional}"


_COUNT = Range(1, _MOST_STEPS, whole=True)
_WARMUP = Range(0, _MOST_STEPS, whole=True)
_BATCH = Range(1, 2**16, whole=True)
_BLOCKS = Range(0, 1000, whole=True)
_WEIGHT = Range(0, 1000)
_SCORES = Range(0, 1)  # Differences between scores, which are in [0, 1].
_CHANGE = Range(0, 1, open_above=True)  # Changing a gain by 1 could erase the image.
_WIDTH = Range(0, 0.25, open_below=True)  # Blur over a quarter of the image hides the face.

RANGES = {
    "seed": Range(0, 2**31 - 1, whole=True),  # An int32.
    "steps": dataclasses.replace(_COUNT, lower=0),  # 0 keeps the initial network.
    "data.image_size": Range(*IMAGE_SIZES, whole=True),
    "data.context": Range(*CONTEXTS),
    "data.labeled_count": Range(1, 10**9, whole=True, optional=True),
    "data.cache_mb": Range(0, 2**24, whole=True),  # 16 TiB.
    "batch.labeled": _BATCH,
    "batch.unlabeled": dataclasses.replace(_BATCH, lower=0),  # 0 if no loss uses unlabeled pairs.
    "model.blocks": dataclasses.replace(_BLOCKS, lower=1, optional=True),
    "model.frozen_blocks": _BLOCKS,
    "probe.strength": Range(0, 10**6, open_below=True, optional=True),
    **{f"probe.{name}": Range(0, 10**6) for name in PROBE_TERMS},
    "probe.faces": Range(8, 10**6, whole=True),  # A cubic in the side needs a few.
    "probe.side_min": Range(4, IMAGE_SIZES[1], whole=True),
    "probe.side_max": Range(4, IMAGE_SIZES[1], whole=True),
    "ranking.weight": _WEIGHT,
    "ranking.margin": _SCORES,
    "ranking.tie_margin": _SCORES,
    "consistency.quadruplet_weight": _WEIGHT,
    "consistency.pairwise_weight": _WEIGHT,
    "consistency.distillation_weight": _WEIGHT,
    "consistency.margin": _SCORES,
    "consistency.temperature": Range(0, 1000, open_below=True),
    "consistency.pairs_per_degradation": _BATCH,
    "consistency.warmup_steps": _WARMUP,
    "consistency.confidence_threshold": dataclasses.replace(_SCORES, open_above=True),  # At 1, no pair would count.
    "degradation.rms_min": _WIDTH,
    "degradation.rms_max": _WIDTH,
    "degradation.noise_max": Range(0, 1),
    "degradation.jpeg_min_quality": Range(1, 100, whole=True, optional=True),
    "augment.exposure": Range(0, 8),
    "augment.contrast": _CHANGE,
    "augment.color": _CHANGE,
    "augment.noise": Range(0, 1),
    "optimizer.learning_rate": Range(0, 10, open_below=True),  # At 0, a run would learn nothing.
    "optimizer.warmup_steps": _WARMUP,
    "optimizer.weight_decay": Range(0, 10),
    "optimizer.clip_norm": Range(0, 10**6, open_below=True, optional=True),
    "optimizer.max_skipped_updates": Range(0, 1000, whole=True),
    "ema_decay": Range(0, 1, open_below=True, open_above=True, optional=True),
    "log_every": _COUNT,
    "checkpoint_every": _COUNT,
    "keep": _COUNT,
    "evaluation.batch_size": _BATCH,
    "evaluation.resamples": Range(1, 10**5, whole=True),
}

OPTIONAL_TEXTS = ("start_from", "data.dir", "data.manual_dir", "data.sources", "data.leave_out", "evaluation.judged")


def check_ranges(config: ml_collections.ConfigDict, groups: Collection[str] | None = None) -> None:
    """Raises ValueError, with the field and its range, if a config value is out of range.

    `groups`, such as ["data"], limits the check to the fields in these groups.
    """
    for name, range_ in RANGES.items():
        parts = name.split(".")
        if groups is None or parts[0] in groups:
            value = functools.reduce(operator.getitem, parts, config)
            if not range_.holds(value):
                raise ValueError(f"config.{name}={value} must be {range_}")
    for name, value in traverse_util.flatten_dict(config.to_dict(), sep=".").items():
        if value is None and name not in RANGES and name not in OPTIONAL_TEXTS:
            raise ValueError(f"config.{name} must be set")


def uses_unlabeled(config: ml_collections.ConfigDict) -> bool:
    """Returns whether a loss uses unlabeled pairs."""
    return uses_own_labels(config) or config.consistency.distillation_weight > 0


def probe_uses_unlabeled(config: ml_collections.ConfigDict) -> bool:
    """Returns whether the linear probe uses unlabeled faces."""
    return config.probe.strength is not None and any(config.probe[name] for name in PROBE_TERMS)


def reads_unlabeled(config: ml_collections.ConfigDict) -> bool:
    """Returns whether the losses or the linear probe use unlabeled faces."""
    return uses_unlabeled(config) or probe_uses_unlabeled(config)


def uses_own_labels(config: ml_collections.ConfigDict) -> bool:
    """Returns whether a loss uses the network's own order of clean pairs as labels."""
    return config.consistency.quadruplet_weight > 0 or config.consistency.pairwise_weight > 0
