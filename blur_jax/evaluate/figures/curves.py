"""Plots of the training history, and of scores against true blur."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from blur_jax.evaluate.figures import style
from blur_jax.metrics import ranked_split
from blur_jax.metrics.ranked_split import Evaluation

# "loss", their weighted sum, is not drawn because it rises while the consistency weights ramp up.
_LOSSES = ("ranking", "quadruplet", "pairwise", "distillation")
_LOSS_COLORS = dict(zip(_LOSSES, (style.BLUE, style.ORANGE, style.GREEN, style.PURPLE)))
_MAX_PANELS = 11  # Groups drawn, largest first; there may be hundreds, such as one folder per person.


@style.drawn
def training_curves(history: Sequence[Mapping[str, float]]) -> Figure:
    """Draws the unweighted loss terms and the validation accuracy against the step.

    All keys except "step" are optional in each row of `history`; a step logged twice (by a resumed run) counts once.
    """
    losses = {key: _curve(history, key) for key in _LOSS_COLORS}
    losses = {key: points for key, points in losses.items() if points.size and points[1].any()}
    accuracy = _curve(history, "validation_accuracy")
    panels = bool(losses) + bool(accuracy.size)
    if not panels:
        return style.message("No training history.")
    last = max(points[0, -1] for points in (*losses.values(), accuracy) if points.size)
    figure = Figure(figsize=(style.WIDTH, 3.4), layout="constrained")
    axes = iter(figure.subplots(1, panels, squeeze=False)[0])
    if losses:
        ax = next(axes)
        for key, (steps, values) in losses.items():
            color = _LOSS_COLORS[key]
            window = max(1, len(values) // 25)
            smooth = np.convolve(values, np.full(window, 1 / window), "valid")
            middle = steps[(window - 1) // 2 :][: len(smooth)]
            if window > 1:
                ax.plot(steps, values, color=color, alpha=0.18, linewidth=0.8)
            marker = "o" if len(smooth) == 1 else None  # A line through one point is invisible.
            ax.plot(middle, smooth, color=color, linewidth=1.8, label=key, marker=marker)
        ax.set(title="Training loss, unweighted terms", xlabel="step", ylim=(0, None))
        _step_axis(ax, last)
        ax.legend()
    if accuracy.size:
        ax, (steps, values) = next(axes), accuracy
        ax.plot(steps, values, color=style.BLUE, linewidth=1.8, marker="o", markersize=3.5, clip_on=False)
        ax.set(title="Validation pairwise accuracy", xlabel="step")
        _step_axis(ax, last)
        if np.isfinite(values).any():
            low, high = np.nanmin(values), np.nanmax(values)
            padding = max(0.05, 0.1 * (high - low))
            ax.set_ylim(max(0.0, low - padding), min(1.0, high + padding))
            best = np.nanargmax(values)
            ax.plot(steps[best], values[best], "o", color=style.ORANGE, markersize=7, clip_on=False)
            ax.set_xlabel(f"step (best: {values[best]:.3f} at step {steps[best]:.0f})")
    return figure


def _step_axis(ax: Axes, last: float) -> None:
    ax.set_xlim(0, 1.05 * max(last, 1))  # Starts at 0, because a single point has no range.
    ax.xaxis.get_major_locator().set_params(integer=True)  # ty: ignore[unknown-argument]


def _curve(history: Sequence[Mapping[str, float]], key: str) -> np.ndarray:
    """Returns the steps at which a key was logged and its values, float64 [2, n], steps increasing."""
    points = {row["step"]: row[key] for row in history if row.get(key) is not None}
    return np.array(sorted(points.items()), np.float64).reshape(-1, 2).T


@style.drawn
def score_against_rank(evaluation: Evaluation) -> Figure:
    """Draws the predicted score against true blur: for all faces, then for each group on top of all faces in gray."""
    scores, ranks = np.asarray(evaluation.scores), np.asarray(evaluation.ranks)
    levels, level = np.unique(ranks, return_inverse=True)
    few = len(levels) <= 8 and len(levels) < len(ranks)  # Human grades form strips instead of a cloud.
    x = level + np.random.default_rng(0).uniform(-0.27, 0.27, len(ranks)) if few else ranks
    groups = ranked_split.ordered_groups(evaluation)
    drawn = groups[:_MAX_PANELS] if len(groups) > 1 else []
    rows = -(-(1 + len(drawn)) // 4)
    columns = -(-(1 + len(drawn)) // rows)
    figure = Figure(figsize=(style.WIDTH, 0.6 + 2.7 * rows) if drawn else (7, 4.2), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    members = np.array(evaluation.groups)
    for ax, group in zip(axes, [None, *drawn]):
        shown = np.full(len(ranks), True) if group is None else members == group
        summary = evaluation.metrics if group is None else evaluation.metrics.get("groups", {}).get(group, {})
        for dots, color, alpha in ((~shown, style.FAINT, 0.5), (shown, style.BLUE, 0.65)):
            ax.scatter(x[dots], scores[dots], s=11, linewidths=0, rasterized=True, color=color, alpha=alpha)
        if few:
            _boxes(ax, {place: scores[shown & (level == place)] for place in np.unique(level[shown])})
            ax.set_xticks(range(len(levels)), ranked_split.rank_texts(levels))
        ax.set_title(style.short(group or "all faces", 24), pad=17)
        value = summary.get("spearman", {}).get("value")
        order = "" if value is None else f"Spearman {value:.3f}, "
        ax.text(0, 1.03, f"{order}n = {shown.sum()}", transform=ax.transAxes)
    for ax in axes[1 + len(drawn) :]:
        ax.set_axis_off()
    if scores.min() >= 0 and scores.max() <= 1:
        axes[0].set_ylim(-0.03, 1.03)
    figure.supxlabel("true blur (larger = blurrier)", fontsize=10)
    figure.supylabel("predicted score", fontsize=10)
    return figure


def _boxes(ax: Axes, scores: dict[int, np.ndarray]) -> None:
    line, bold = dict(color=style.INK, linewidth=1.1), dict(color=style.ORANGE, linewidth=2)
    hidden: dict[str, Any] = dict(widths=0.62, showfliers=False, showcaps=False, manage_ticks=False)
    boxes, places = list(scores.values()), list(scores)
    ax.boxplot(boxes, positions=places, boxprops=line, whiskerprops=line, medianprops=bold, **hidden)


@style.drawn
def score_histogram(evaluation: Evaluation) -> Figure:
    """Draws a histogram of the scores, split by true blur: into levels if there are few, otherwise into thirds."""
    scores, ranks = np.asarray(evaluation.scores, np.float64), np.asarray(evaluation.ranks)
    levels = np.unique(ranks)
    if len(levels) <= 5:
        texts = ranked_split.rank_texts(levels)
        parts = {f"true blur {text}": scores[ranks == level] for level, text in zip(levels, texts)}
    else:
        third = np.minimum(3 * ranked_split.percentiles(ranks), 2).astype(int)
        names = ("sharpest third", "middle third", "blurriest third")
        parts = {name: scores[third == k] for k, name in enumerate(names)}
    inside = scores.min() >= 0 and scores.max() <= 1
    bins = np.histogram_bin_edges(scores, bins=40, range=(0, 1) if inside else None).tolist()
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    ax = figure.subplots()
    colors = style.BLUR_COLORS(np.linspace(0.05, 0.92, len(parts)))
    for (name, part), color in zip(parts.items(), colors):
        ax.hist(part, bins, color=color, alpha=0.45, histtype="stepfilled", label=f"{name} (n = {len(part)})")
        ax.hist(part, bins, color=color, histtype="step", linewidth=1.2)
    ax.set(xlabel="predicted score (0 = sharp, 1 = blurred)", ylabel="faces")
    ax.yaxis.get_major_locator().set_params(integer=True)  # ty: ignore[unknown-argument]
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure
