"""Converts a run's scores to percentiles of a reference set and to probabilities of being called blurrier.

A checkpoint contains a `Calibration`, fitted to the run's validation data. Blur is in [0, 1], larger is blurrier;
sharpness is in [0, 100], larger is better, like the quality components of ISO/IEC 29794-1. `to_columns` is plain
arithmetic on arrays, so exported graphs contain the same formulas.
"""

import dataclasses
import sys
from types import ModuleType
from typing import Any

import numpy as np

from blur_jax.data.untrusted import excerpt

PERCENTILES = 101  # Stored quantiles of the reference set: the 0th to the 100th percentile.
_LEAST_LOGIT = 1e-6  # Scores are clipped to be at least this far from 0 and 1, so that logits are finite.


@dataclasses.dataclass(frozen=True)
class Calibration:
    """Defines what one checkpoint's scores mean.

    P(a is called blurrier than b) = sigmoid(scale * (logit(blur a) - logit(blur b))) is a Bradley-Terry model of the
    annotators, fitted to labeled pairs; the scale is None if there are too few pairs.
    """

    reference: str  # Name of the reference set, such as "400 validation faces of demo_face_blur (1a2b3c4d)".
    quantiles: tuple[float, ...]  # `PERCENTILES` scores of the reference set, non-decreasing.
    scale: float | None = None
    scale_interval: tuple[float, float] | None = None  # 95%.
    pairs: int = 0  # Number of labeled pairs.

    def __post_init__(self) -> None:
        if len(self.quantiles) != PERCENTILES or not all(0 <= value <= 1 for value in self.quantiles):
            raise ValueError(f"a calibration needs {PERCENTILES} quantiles in [0, 1], found {len(self.quantiles)}")
        if any(high < low for low, high in zip(self.quantiles, self.quantiles[1:])):
            raise ValueError("calibration quantiles must not decrease")
        if self.scale is not None and not 0 < self.scale <= sys.float_info.max:
            raise ValueError(f"the calibration scale must be above 0, not {excerpt(self.scale)}")
        if not isinstance(self.reference, str) or not isinstance(self.pairs, int):
            raise ValueError("a calibration needs a reference (a string) and a pair count (an integer)")
        interval = self.scale_interval
        if interval is not None and not (len(interval) == 2 and interval[0] <= interval[1]):
            raise ValueError(f"the calibration's scale_interval must be (low, high), not {excerpt(interval)}")

    @property
    def median(self) -> float:
        """The median score of the reference set, which is the default anchor."""
        return self.quantiles[PERCENTILES // 2]

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Calibration":
        """Reverses `to_dict`; raises ValueError for invalid input."""
        known = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(fields, dict) or set(fields) != known:
            raise ValueError(f"a calibration must have the fields {sorted(known)}, found {excerpt(fields)}")
        interval = fields["scale_interval"]
        try:
            quantiles, interval = tuple(fields["quantiles"]), interval and tuple(interval)
            return cls(fields["reference"], quantiles, fields["scale"], interval, fields["pairs"])
        except TypeError as error:
            raise ValueError(f"calibration fields must be numbers ({error})") from error


def to_columns(
    blur: Any, calibration: Calibration | None, *, anchor: float | None = None, xp: ModuleType = np
) -> dict[str, Any]:
    """Returns the columns that every output reports for scores, float [n] in [0, 1], in this order.

    "blur", unchanged; "sharpness" in [0, 100]; "blur_percentile" in [0, 100], the share of the reference set that is
    sharper; "p_blurrier_than_anchor" in [0, 1]. The last two require a calibration; the last requires its scale.
    `anchor` is a score; None means the median of the reference set. `xp` is `numpy` or `jax.numpy`.
    """
    columns = {"blur": blur, "sharpness": sharpness(blur)}
    if calibration is not None:
        columns["blur_percentile"] = percentile(blur, calibration.quantiles, xp=xp)
        if calibration.scale is not None:
            anchor = xp.asarray(calibration.median if anchor is None else anchor, blur.dtype)
            columns["p_blurrier_than_anchor"] = probability_blurrier(blur, anchor, calibration.scale, xp=xp)
    return columns


def sharpness(blur: Any) -> Any:
    return 100.0 * (1.0 - blur)


def percentile(blur: Any, quantiles: tuple[float, ...], *, xp: ModuleType = np) -> Any:
    """Returns the percentiles, in [0, 100], of scores [n] among non-decreasing `quantiles`, interpolated linearly.

    Each interval between two quantiles contributes the fraction of its width that lies below the score.
    """
    low, high = np.asarray([quantiles[:-1], quantiles[1:]], np.float32)[:, None]
    width = np.maximum(high - low, np.float32(1e-9))  # Equal quantiles form a step.
    covered = xp.clip((blur[..., None] - xp.asarray(low)) / xp.asarray(width), 0.0, 1.0)
    return covered.sum(axis=-1) * (100.0 / low.shape[-1])


def probability_blurrier(blur: Any, anchor: Any, scale: float, *, xp: ModuleType = np) -> Any:
    """Returns the probability, in [0, 1], that people call pictures [n] blurrier than the anchor (a score, or [n])."""
    # The logistic function as a hyperbolic tangent, which does not overflow.
    return 0.5 + 0.5 * xp.tanh(0.5 * scale * (logit(blur, xp=xp) - logit(anchor, xp=xp)))


def logit(blur: Any, *, xp: ModuleType = np) -> Any:
    clipped = xp.clip(blur, _LEAST_LOGIT, 1.0 - _LEAST_LOGIT)
    return xp.log(clipped / (1.0 - clipped))
