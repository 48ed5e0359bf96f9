"""Figures that check numbers: the reliability of probabilities, and error versus discard."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from blur_jax.evaluate.discard_curve import DiscardCurve
from blur_jax.evaluate.figures import style

_COLORS = (style.BLUE, style.ORANGE, style.GREEN, style.INK)


@style.drawn
def reliability(bins: Mapping[str, Sequence[tuple[float, float, float, float]]]) -> Figure:
    """Draws the share of predictions that came true against their probability, with a panel for each name.

    `bins` is {name: rows (mean probability, share that came true, low, high)}; low and high bound the share.
    """
    figure = Figure(figsize=(0.4 + 2.9 * len(bins), 3.5), layout="constrained")
    axes = figure.subplots(1, len(bins), sharex=True, sharey=True, squeeze=False)[0]
    for ax, (name, rows) in zip(axes, bins.items()):
        predicted, observed, low, high = np.array(rows).T
        ax.plot([0, 1], [0, 1], color=style.FAINT, linewidth=1.2)
        errors = np.maximum([observed - low, high - observed], 0)
        ax.errorbar(predicted, observed, errors, color=style.BLUE, marker="o", markersize=4, linewidth=1.6)
        ax.set(title=style.short(name, 30), xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    figure.supxlabel("predicted probability that the first face is blurrier", fontsize=10)
    figure.supylabel("observed share of pairs", fontsize=10)
    return figure


@style.drawn
def discard_curves(curves: Mapping[str, DiscardCurve], limit: float) -> Figure:
    """Draws error-versus-discard curves, {quality measure: curve}, along with best and random discarding.

    `limit` in (0, 1] is the largest share of discarded comparisons shown.
    """
    start = next(iter(curves.values())).fnmr[0]
    figure = Figure(figsize=(7, 3.8), layout="constrained")
    ax = figure.subplots()
    ax.plot([0, limit], [start, start], color=style.FAINT, linewidth=1.2, label="at random")
    ends = (0, min(start, limit), limit)
    ax.plot(ends, np.maximum(start - np.array(ends), 0), ":", color=style.INK, linewidth=1.2, label="theoretical best")
    for index, (name, curve) in enumerate(curves.items()):
        shares, fnmr = np.append(curve.discarded, 1.0), np.append(curve.fnmr, curve.fnmr[-1])
        color, line = _COLORS[index % len(_COLORS)], "-" if index < len(_COLORS) else "--"
        ax.step(shares, fnmr, line, where="post", color=color, label=style.short(name, 30))
    ax.set(xlim=(0, limit), ylim=(0, None))
    ax.set(xlabel="share of mated comparisons discarded", ylabel="FNMR of the remaining ones")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure
