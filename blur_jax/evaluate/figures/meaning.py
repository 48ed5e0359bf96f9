"""Figures that show what scores mean: a run's calibration, and the scores of two runs side by side."""

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import spearmanr

from blur_jax.evaluate.figures import style
from blur_jax.metrics.calibration import Calibration, percentile, probability_blurrier


@style.drawn
def calibration_curves(calibration: Calibration, threshold: float | None = None) -> Figure:
    """Draws the percentile of each score in the reference set and, if fitted, its probability against the anchor.

    A line marks `threshold`, a score.
    """
    blur = np.linspace(0, 1, 501)
    figure = Figure(figsize=(7, 3.4), layout="constrained")
    ax = figure.subplots()
    shares = percentile(blur, calibration.quantiles) / 100
    ax.plot(blur, shares, color=style.BLUE, linewidth=1.8, label="share of the reference that is sharper")
    if calibration.scale is not None:
        chance = probability_blurrier(blur, calibration.median, calibration.scale)
        label = "probability of being called\nblurrier than the anchor"
        ax.plot(blur, chance, color=style.ORANGE, linewidth=1.8, label=label)
        ax.plot(calibration.median, 0.5, "o", color=style.ORANGE, label=f"anchor {calibration.median:.3f}")
    if threshold is not None:
        ax.axvline(threshold, color=style.GREEN, linestyle="--", label=f"threshold {threshold:.4g}")
    ax.set(xlabel="predicted blur (0 = sharp, 1 = blurred)", ylim=(-0.03, 1.03))
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


@style.drawn
def two_scorers(first: np.ndarray, second: np.ndarray, names: tuple[str, str], unit: str = "score") -> Figure:
    """Draws the scores [n] of two checkpoints (on x and y) for the same pictures, with their Spearman correlation.

    `names` are the checkpoint names; `unit` is the unit of the scores, such as "score" or "percentile".
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    figure = Figure(figsize=(4.6, 4.6), layout="constrained")
    ax = figure.subplots()
    low, high = min(first.min(), second.min()), max(first.max(), second.max())
    ax.plot([low, high], [low, high], color=style.FAINT, linewidth=1.2)
    ax.scatter(first, second, s=13, linewidths=0, color=style.BLUE, alpha=0.6)
    ax.set(xlabel=f"{unit}: {style.short(names[0], 40)}", ylabel=f"{unit}: {style.short(names[1], 40)}")
    varied = np.ptp(first) > 0 and np.ptp(second) > 0  # Constant scores have no correlation.
    order = f"Spearman {spearmanr(first, second).statistic:.3f}, " if varied else ""
    ax.set_title(f"{order}n = {len(first)}")
    return figure
