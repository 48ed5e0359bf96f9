"""Draws compiled steps under the roofs of their chips (Williams et al., CACM 2009)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from blur_jax.evaluate.figures import style
from blur_jax.runs.chips import CHIPS

# Color-blind readers can tell these colors apart (Okabe and Ito, 2008), and the lines differ as well.
_LINES = {"v5e": ("#0072B2", "-"), "v5p": ("#D55E00", "--"), "v6e": ("#009E73", "-."), "h200": ("#222222", ":")}
_MARKERS = "osD^"
_REACH = 3.0, 1.5e3  # FLOPs per byte.


class Point(NamedTuple):
    """A step on one chip, by the compiler's counts and estimate."""

    network: str
    chip: str  # A key of `_LINES`.
    intensity: float  # FLOPs per byte.
    speed: float  # FLOPs per second.


@style.drawn
def draw(points: Sequence[Point]) -> Figure:
    """Draws the roof of each chip, and a mark for each step: its shape is the network, its color the chip."""
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    axes = figure.subplots()
    for name, (color, line) in _LINES.items():
        chip, intensity = CHIPS[name], np.geomspace(*_REACH, 200)
        roof = np.minimum(chip.operations, intensity * chip.bandwidth)
        axes.loglog(intensity, roof / 1e12, line, color=color, linewidth=1.6, label=f"{name}, at its peaks")
    for network, marker in zip(dict.fromkeys(point.network for point in points), _MARKERS):
        axes.plot([], [], marker, color=style.INK, markerfacecolor="none", label=network)  # Only for the legend.
        for point in points:
            if point.network == network:
                axes.plot(point.intensity, point.speed / 1e12, marker, color=_LINES[point.chip][0], markersize=7)
    for axis in axes.xaxis, axes.yaxis:
        axis.set_major_formatter("{x:g}")
    axes.set(xlim=_REACH, xlabel="FLOPs per byte accessed", ylabel="TFLOP/s on each chip")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure
