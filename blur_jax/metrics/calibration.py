"""The meaning of a run's scores: percentiles in a reference set, and the probability of being called blurrier.

A checkpoint carries a `Calibration`, fitted to the run's validation data. Blur is in [0, 1], larger is blurrier;
sharpness is in [0, 100], larger is better, as ISO/IEC 29794-1 reports the components of quality. `to_columns` is plain
arithmetic on arrays, so an exported graph contains the same formulas.
"""

import dataclasses
import sys
from types import ModuleType
from typing import Any

import numpy as np

from blur_jax.data.untrusted import excerpt

PERCENTILES = 101  # Quantiles kept of the reference: the 0th to the 100th percentile.
_LEAST_LOGIT = 1e-6  # Scores nearer to 0 or 1 count as this far away, so logits are finite.


@dataclasses.dataclass(frozen=True)
class Calibration:
    """The meaning of one checkpoint's scores.

    P(a is called blurrier than b) = sigmoid(scale * (logit(blur a) - logit(blur b))) is a Bradley-Terry model of the
    annotators, fitted to labeled pairs; the scale is None if the pairs are too few.
    """

    reference: str  # Name of the reference set, such as "400 validation faces of demo_face_blur (1a2b3c4d)".
    quantiles: tuple[float, ...]  # `PERCENTILES` scores of the reference, not decreasing.
    scale: float | None = None
    scale_interval: tuple[float, float] | None = None  # 95%.
    pairs: int = 0  # Number of labeled pairs.

    def __post_init__(self) -> None:
        if len(self.quantiles) != PERCENTILES or not all(0 <= value <= 1 for value in self.quantiles):
            raise ValueError(f"a calibration needs {PERCENTILES} quantiles in [0, 1], found {len(self.quantiles)}")
        if any(high < low for low, high in zip(self.quantiles, self.quantiles[1:])):
            raise ValueError("the quantiles of a calibration must not decrease")
        if self.scale is not None and not 0 < self.scale <= sys.float_info.max:
            raise ValueError(f"the scale of a calibration must be above 0, not {excerpt(self.scale)}")
        if not isinstance(self.reference, str) or not isinstance(self.pairs, int):
            raise ValueError("a calibration needs the name of its reference and a number of pairs")
        interval = self.scale_interval
        if interval is not None and not (len(interval) == 2 and interval[0] <= interval[1]):
            raise ValueError(f"the scale_interval of a calibration must be (low, high), not {excerpt(interval)}")

    @property
    def median(self) -> float:
        """The score in the middle of the reference: the default anchor."""
        return self.quantiles[PERCENTILES // 2]

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Calibration":
        """Rebuilds a calibration from `to_dict`; raises ValueError for anything else."""
        known = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(fields, dict) or set(fields) != known:
            raise ValueError(f"a calibration must have the fields {sorted(known)}, found {excerpt(fields)}")
        interval = fields["scale_interval"]
        try:
            quantiles, interval = tuple(fields["quantiles"]), interval and tuple(interval)
            return cls(fields["reference"], quantiles, fields["scale"], interval, fields["pairs"])
        except TypeError as error:
            raise ValueError(f"the fields of a calibration must be numbers ({error})") from error


def to_columns(
    blur: Any, calibration: Calibration | None, *, anchor: float | None = None, xp: ModuleType = np
) -> dict[str, Any]:
    """Returns the columns that every output reports for scores, float [n] in [0, 1], in this order.

    "blur", unchanged; "sharpness" in [0, 100]; "blur_percentile" in [0, 100], the share of the reference that is
    sharper; "p_blurrier_than_anchor" in [0, 1]. The last two exist only if the calibration allows them. `anchor` is a
    score; None means the median of the reference. `xp` is `numpy` or `jax.numpy`.
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
    """Returns where scores [n] lie among `quantiles` (not decreasing), in [0, 100]: linear between two of them.

    Each step between two quantiles adds the part of it that a score has covered.
    """
    low, high = np.asarray([quantiles[:-1], quantiles[1:]], np.float32)[:, None]
    width = np.maximum(high - low, np.float32(1e-9))  # Equal quantiles make one step.
    covered = xp.clip((blur[..., None] - xp.asarray(low)) / xp.asarray(width), 0.0, 1.0)
    return covered.sum(axis=-1) * (100.0 / low.shape[-1])


def probability_blurrier(blur: Any, anchor: Any, scale: float, *, xp: ModuleType = np) -> Any:
    """Returns the probability that people call pictures [n] blurrier than the anchor (a score, or [n]): in [0, 1]."""
    return 1.0 / (1.0 + xp.exp(-scale * (logit(blur, xp=xp) - logit(anchor, xp=xp))))


def logit(blur: Any, *, xp: ModuleType = np) -> Any:
    clipped = xp.clip(blur, _LEAST_LOGIT, 1.0 - _LEAST_LOGIT)
    return xp.log(clipped / (1.0 - clipped))
