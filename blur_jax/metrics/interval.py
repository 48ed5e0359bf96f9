"""A metric with its 95% interval, as metrics.json stores it, and as people read it."""

from typing import TypedDict


class Interval(TypedDict):
    """A metric and the ends of its 95% interval; None if they are undefined, as JSON has no nan."""

    value: float | None
    low: float | None
    high: float | None


def number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def bounds_text(interval: Interval, sign: str = "") -> str:
    """Returns the ends as "[0.839, 0.916]", or "" if they are undefined; sign "+" shows signs."""
    if interval["low"] is None or interval["high"] is None:
        return ""
    return f"[{interval['low']:{sign}.3f}, {interval['high']:{sign}.3f}]"


def interval_text(interval: Interval, sign: str = "") -> str:
    """Returns "0.878 [0.839, 0.916]", "0.878" without bounds, or "" if undefined; sign "+" shows signs."""
    if interval["value"] is None:
        return ""
    return f"{interval['value']:{sign}.3f} {bounds_text(interval, sign)}".rstrip()
