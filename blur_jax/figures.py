"""Figures of a run: the only file that knows matplotlib.

Each figure is a function from plain data to a `matplotlib.figure.Figure` (no pyplot, no global state), so that the
report and a notebook draw the same.
"""

import io
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from blur_jax import ranking
from blur_jax.ranking import Evaluation

_BLUE, _ORANGE, _GREEN = "#2563a8", "#d9662b", "#3b8a5a"
_INK, _FAINT = "#22262b", "#c9ced6"
_MAP = matplotlib.colormaps["cividis"]  # true blur as a color: dark = sharp, light = blurred
_STYLE = {
    "font.size": 9.5,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": "#9aa1ab",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e9ecf0",
    "xtick.color": "#5b636e",
    "ytick.color": "#5b636e",
    "legend.frameon": False,
    "text.parse_math": False,  # file and folder names may hold dollar signs
}
_MAX_PANELS = 11  # groups drawn, largest first; there are hundreds where each person has a folder
_WIDTH = 10  # inches


@matplotlib.rc_context(_STYLE)
def training_curves(history: Sequence[Mapping[str, float]]) -> Figure:
    """Draws the losses and the validation accuracy against the step.

    Args:
        history: rows {"step": int, "loss", "ranking", "quadruplet", "pairwise", "validation_accuracy"}, others are
            ignored; all but the step are optional in each row, and a step logged twice (a resumed run) counts once.
    """
    losses = {key: _curve(history, key) for key in ("loss", "ranking", "quadruplet", "pairwise")}
    losses = {key: points for key, points in losses.items() if points.size and points[1].any()}
    accuracy = _curve(history, "validation_accuracy")
    panels = bool(losses) + bool(accuracy.size)
    if not panels:
        return _message("No training history.")
    figure = Figure(figsize=(_WIDTH, 3.4), layout="constrained")
    axes = iter(figure.subplots(1, panels, squeeze=False)[0])
    if losses:
        ax = next(axes)
        for (key, (steps, values)), color in zip(losses.items(), (_INK, _BLUE, _ORANGE, _GREEN)):
            window = max(1, len(values) // 25)
            smooth = np.convolve(values, np.full(window, 1 / window), "valid")
            middle = steps[(window - 1) // 2 :][: len(smooth)]
            if window > 1:
                ax.plot(steps, values, color=color, alpha=0.18, linewidth=0.8)
            ax.plot(middle, smooth, color=color, linewidth=1.8, label=key, marker=_dot(smooth))
        ax.set(title="Training loss", xlabel="step", ylim=(0, None))
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend()
    if accuracy.size:
        ax, (steps, values) = next(axes), accuracy
        ax.plot(steps, values, color=_BLUE, linewidth=1.8, marker="o", markersize=3.5)
        ax.set(title="Validation pairwise accuracy", xlabel="step")
        ax.xaxis.get_major_locator().set_params(integer=True)
        if np.isfinite(values).any():
            best = np.nanargmax(values)
            ax.plot(steps[best], values[best], "o", color=_ORANGE, markersize=7)
            ax.set_xlabel(f"step (best: {values[best]:.3f} at step {steps[best]:.0f})")
    return figure


def _curve(history: Sequence[Mapping[str, float]], key: str) -> np.ndarray:
    """Returns the steps at which a key was logged and its values, float64 [2, n], steps increasing."""
    points = {row["step"]: row[key] for row in history if row.get(key) is not None}
    return np.array(sorted(points.items()), np.float64).reshape(-1, 2).T


@matplotlib.rc_context(_STYLE)
def score_against_rank(evaluation: Evaluation) -> Figure:
    """Draws the predicted score against true blur: all faces, then each group over all of them in gray."""
    scores, ranks = np.asarray(evaluation.scores), np.asarray(evaluation.ranks)
    levels, level = np.unique(ranks, return_inverse=True)
    few = len(levels) <= 8 and len(levels) < len(ranks)  # human grades: strips, not a cloud
    x = level + np.random.default_rng(0).uniform(-0.27, 0.27, len(ranks)) if few else ranks
    groups = ranking.ordered_groups(evaluation)
    drawn = groups[:_MAX_PANELS] if len(groups) > 1 else []
    rows = -(-(1 + len(drawn)) // 4)
    columns = -(-(1 + len(drawn)) // rows)
    size = (_WIDTH, 0.6 + 2.7 * rows) if drawn else (7, 4.2)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    members = np.array(evaluation.groups)
    for ax, group in zip(axes, [None, *drawn]):
        of_group = np.full(len(ranks), True) if group is None else members == group
        summary = evaluation.metrics
        if group is not None:
            summary = summary.get("groups", {}).get(group, {})
        dots = dict(s=11, linewidths=0, rasterized=True)
        ax.scatter(x[~of_group], scores[~of_group], color=_FAINT, alpha=0.5, **dots)
        ax.scatter(x[of_group], scores[of_group], color=_BLUE, alpha=0.65, **dots)
        if few:
            _boxes(ax, {one: scores[of_group & (level == one)] for one in np.unique(level[of_group])})
            ax.set_xticks(range(len(levels)), ranking.rank_texts(levels))
        ax.set_title(_short(group or "all faces", 24), pad=17)
        value = number(summary.get("spearman", {}).get("value"))
        ax.text(0, 1.03, f"Spearman {value}, n = {of_group.sum()}", transform=ax.transAxes)
    for ax in axes[1 + len(drawn) :]:
        ax.set_axis_off()
    if scores.min() >= 0 and scores.max() <= 1:
        axes[0].set_ylim(-0.03, 1.03)
    figure.supxlabel("true blur (larger = blurrier)", fontsize=10)
    figure.supylabel("predicted score", fontsize=10)
    return figure


def _boxes(ax: Axes, scores: dict[int, np.ndarray]) -> None:
    """Draws a box plot of the scores at each position."""
    line, bold = dict(color=_INK, linewidth=1.1), dict(color=_ORANGE, linewidth=2)
    lines = dict(boxprops=line, whiskerprops=line, medianprops=bold)
    looks = dict(widths=0.62, showfliers=False, showcaps=False, manage_ticks=False)
    ax.boxplot(list(scores.values()), positions=list(scores), **looks, **lines)


@matplotlib.rc_context(_STYLE)
def score_histogram(evaluation: Evaluation) -> Figure:
    """Draws a histogram of the scores, split by true blur: by its levels if few, else by its thirds."""
    scores, ranks = np.asarray(evaluation.scores, np.float64), np.asarray(evaluation.ranks)
    levels = np.unique(ranks)
    if len(levels) <= 5:
        parts = {f"true blur {text}": scores[ranks == one] for one, text in zip(levels, ranking.rank_texts(levels))}
    else:
        third = np.minimum(3 * ranking.percentiles(ranks), 2).astype(int)
        names = ("sharpest third", "middle third", "blurriest third")
        parts = {name: scores[third == k] for k, name in enumerate(names)}
    inside = scores.min() >= 0 and scores.max() <= 1
    bins = np.histogram_bin_edges(scores, bins=40, range=(0, 1) if inside else None)
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    ax = figure.subplots()
    colors = _MAP(np.linspace(0.05, 0.92, len(parts)))
    for (name, part), color in zip(parts.items(), colors):
        label = f"{name} (n = {len(part)})"
        ax.hist(part, bins, color=color, alpha=0.45, histtype="stepfilled", label=label)
        ax.hist(part, bins, color=color, histtype="step", linewidth=1.2)
    ax.set(xlabel="predicted score (0 = sharp, 1 = blurred)", ylabel="faces")
    ax.yaxis.get_major_locator().set_params(integer=True)
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


@matplotlib.rc_context(_STYLE)
def sorted_faces(evaluation: Evaluation, columns: int = 10, rows: int = 5) -> Figure:
    """Draws a contact sheet of the faces from the lowest score to the highest, sampled evenly.

    Under each face are its score, its true rank, and a bar colored by the true rank's percentile: in a perfect ranking
    the color runs evenly from dark to light.
    """
    shown = ranking.sorted_sample(evaluation.scores, columns * rows)
    columns = min(columns, len(shown))
    rows = -(-len(shown) // columns)
    figure, ax = _sheet(columns, rows, 1.5, _WIDTH / 10)
    percentiles, true = ranking.percentiles(evaluation.ranks), ranking.rank_texts(evaluation.ranks)
    for k, i in enumerate(shown):
        x, y = k % columns, 1.5 * (k // columns)
        _face(ax, evaluation, i, x, y)
        ax.fill_between([x, x + 0.94], y + 0.95, y + 1.01, color=_MAP(percentiles[i]), linewidth=0)
        ax.text(x, y + 1.16, f"{evaluation.scores[i]:.3f}", va="center", weight="bold")
        ax.text(x, y + 1.32, f"true {true[i]}", va="center", fontsize=8)
    return figure


@matplotlib.rc_context(_STYLE)
def worst_mistakes(evaluation: Evaluation, count: int = 8) -> Figure:
    """Draws the worst wrongly ordered pairs (see `ranking.mistaken_pairs`) side by side, truly sharper left."""
    pairs = ranking.mistaken_pairs(evaluation.scores, evaluation.ranks, count)
    if not pairs:
        return _message("No pair is in the wrong order.")
    columns = min(4, len(pairs))
    figure, ax = _sheet(2.2 * columns, -(-len(pairs) // columns), 1.75, _WIDTH / 8.6)
    percentiles, true = ranking.percentiles(evaluation.ranks), ranking.rank_texts(evaluation.ranks)
    for k, pair in enumerate(pairs):
        x, y = 2.2 * (k % columns), 0.2 + 1.75 * (k // columns)
        gap = 100 * (percentiles[pair[1]] - percentiles[pair[0]])
        ax.text(x, y - 0.1, f"{k + 1}.  {gap:.0f} percentiles apart", va="center", weight="bold")
        for side, (i, word) in enumerate(zip(pair, ("sharper", "blurrier"))):
            left = x + 0.98 * side
            _face(ax, evaluation, i, left, y)
            score = f"score {evaluation.scores[i]:.3f}"
            name = _short(evaluation.names[i], 17)
            lines = (f"truly {word}", score, f"true {true[i]}", name)
            for line, text in enumerate(lines):
                ax.text(left, y + 1.03 + 0.125 * line, text, va="center", fontsize=8)
    return figure


def _sheet(width: float, height: int, pitch: float, inches: float) -> tuple[Figure, Axes]:
    """Returns a blank figure in units of one face, `pitch` units a row, y running down."""
    figure = Figure(figsize=(width * inches, height * pitch * inches))
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(height * pitch, 0))
    ax.set_axis_off()
    return figure, ax


def _face(ax: Axes, evaluation: Evaluation, index: int, x: float, y: float) -> None:
    ax.imshow(evaluation.images[index], extent=(x, x + 0.94, y + 0.94, y), aspect="auto")


def _message(text: str) -> Figure:
    figure = Figure(figsize=(7, 0.6))
    figure.text(0.01, 0.5, text, va="center", fontsize=11, color=_INK)
    return figure


def _dot(values: np.ndarray) -> str | None:
    return "o" if len(values) == 1 else None  # a line of one point cannot be seen


def number(value: float | None) -> str:
    """Returns a metric to three decimals, or a dash where it is undefined."""
    return "–" if value is None else f"{value:.3f}"


def _short(name: str, width: int) -> str:
    """Returns a name as one printable line, cut in the middle: the ends of a file name identify it best."""
    name = " ".join(name.encode("utf-8", "replace").decode().split())
    return name if len(name) <= width else f"{name[: width // 2 - 1]}…{name[-(width // 2) :]}"


def to_webp(figure: Figure, **options: Any) -> bytes:
    """Draws a figure at twice its size on the page, for sharp screens; returns the bytes of a WebP file.

    Args:
        figure: the figure.
        **options: of Pillow's WebP encoder, such as `quality` or `lossless`.
    """
    data = io.BytesIO()
    with warnings.catch_warnings():
        # A name in a script that the font lacks shows as boxes here, but correctly in the report's listing.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(data, format="webp", dpi=200, pil_kwargs=options)
    return data.getvalue()
