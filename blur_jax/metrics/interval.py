"""A metric with its 95% interval, as stored in metrics.json and as human-readable text."""

from typing import TypedDict


class Interval(TypedDict):
    """A metric and the bounds of its 95% interval; None if undefined, because JSON has no NaN."""

    value: float | None
    low: float | None
    high: float | None


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def bounds_text(interval: Interval, sign: str = "") -> str:
    """Returns the bounds as "[0.839, 0.916]", or "" if they are undefined; `sign="+"` shows plus signs."""
    if interval["low"] is None or interval["high"] is None:
        return ""
    return f"[{interval['low']:{sign}.3f}, {interval['high']:{sign}.3f}]"


def interval_text(interval: Interval, sign: str = "") -> str:
    """Returns "0.878 [0.839, 0.916]", "0.878" without bounds, or "" if undefined; `sign="+"` shows plus signs."""
    if interval["value"] is None:
        return ""
    return f"{interval['value']:{sign}.3f} {bounds_text(interval, sign)}".rstrip()
