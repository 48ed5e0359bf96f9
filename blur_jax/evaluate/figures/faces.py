"""Sheets of faces: faces sorted by score, mistakes, and the parts of a face that produce its score."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from blur_jax.evaluate.figures import style
from blur_jax.metrics import labeled_pairs, ranked_split
from blur_jax.metrics.labeled_pairs import LabeledPairs
from blur_jax.metrics.ranked_split import Evaluation

_PITCH = 1.75  # Height of a row of pairs, in faces.

Pairs = Sequence[tuple[int, int]]  # (sharper, blurrier)


@style.drawn
def sorted_faces(evaluation: Evaluation, columns: int = 10, rows: int = 5) -> Figure:
    """Draws a contact sheet of the faces from the lowest score to the highest, sampled evenly.

    Below each face are its score, its true rank, and a bar colored by that rank's percentile. If the order is perfect,
    the bars go from dark to light.
    """
    notes = [f"true {text}" for text in ranked_split.rank_texts(evaluation.ranks)]
    figure, placed = _sorted_sheet(evaluation.scores, evaluation.images, notes, columns, rows)
    percentiles = ranked_split.percentiles(evaluation.ranks)
    for i, x, y in placed:
        color = style.BLUR_COLORS(percentiles[i])
        figure.axes[0].fill_between([x, x + 0.94], y + 0.95, y + 1.01, color=color, linewidth=0)
    return figure


@style.drawn
def scored_faces(
    scores: np.ndarray, images: np.ndarray, notes: Sequence[str] | None = None, columns: int = 10, rows: int = 5
) -> Figure:
    """Draws a contact sheet of faces without known true blur, from the lowest score [n] to the highest.

    Below the score of each image, uint8 [n, S, S, 3], is its note, such as "keep". If there are more faces than fit in
    `rows` rows, they are sampled evenly.
    """
    if not len(scores):
        return style.message("There are no pictures to show.")
    return _sorted_sheet(scores, images, notes or [""] * len(scores), columns, rows)[0]


def _sorted_sheet(
    scores: np.ndarray, images: np.ndarray, notes: Sequence[str], columns: int, rows: int
) -> tuple[Figure, list[tuple[int, int, float]]]:
    """Returns the sheet and the position of each face on it, (index, x, y)."""
    shown = ranked_split.sorted_sample(scores, columns * rows)
    columns = min(columns, len(shown))
    figure, ax = _sheet(columns, -(-len(shown) // columns), 1.5, style.WIDTH / 10)
    placed = [(int(i), k % columns, 1.5 * (k // columns)) for k, i in enumerate(shown)]
    for i, x, y in placed:
        _face(ax, images[i], x, y)
        ax.text(x, y + 1.16, f"{scores[i]:.3f}", va="center", weight="bold")
        if notes[i]:
            ax.text(x, y + 1.32, style.short(notes[i], 14), va="center", fontsize=8)
    return figure, placed


@style.drawn
def worst_mistakes(evaluation: Evaluation, count: int = 8) -> Figure:
    """Draws the worst pairs from `ranked_split.mistaken_pairs`, with the truly sharper face on the left."""
    pairs = ranked_split.mistaken_pairs(evaluation.scores, evaluation.ranks, count)
    percentiles, true = ranked_split.percentiles(evaluation.ranks), ranked_split.rank_texts(evaluation.ranks)
    gaps = [percentiles[blurrier] - percentiles[sharper] for sharper, blurrier in pairs]
    titles = [f"{100 * gap:.0f} percentiles apart" for gap in gaps]

    def lines(face: int, word: str) -> tuple[str, ...]:
        return f"truly {word}", f"score {evaluation.scores[face]:.3f}", f"true {true[face]}", evaluation.names[face]

    return _pair_sheet(evaluation.images, pairs, titles, lines)


@style.drawn
def mistaken_labels(labeled: LabeledPairs, count: int = 8) -> Figure:
    """Draws the labeled pairs whose scores contradict their labels most, with the face labeled sharper on the left."""
    pairs = labeled_pairs.mistaken(labeled, count)
    titles = [f"scores {labeled.scores[sharper] - labeled.scores[blurrier]:.3f} apart" for sharper, blurrier in pairs]

    def lines(face: int, word: str) -> tuple[str, ...]:
        return f"labeled {word}", f"score {labeled.scores[face]:.3f}", labeled.names[face]

    return _pair_sheet(labeled.images, pairs, titles, lines)


def _pair_sheet(
    images: np.ndarray, pairs: Pairs, titles: Sequence[str], lines: Callable[[int, str], Iterable[str]]
) -> Figure:
    if not pairs:
        return style.message("No pairs are in the wrong order.")
    columns = min(4, len(pairs))
    figure, ax = _sheet(2.2 * columns, -(-len(pairs) // columns), _PITCH, style.WIDTH / 8.6)
    for k, (pair, title) in enumerate(zip(pairs, titles)):
        x, y = 2.2 * (k % columns), 0.2 + _PITCH * (k // columns)
        ax.text(x, y - 0.1, f"{k + 1}.  {title}", va="center", weight="bold")
        for side, (face, word) in enumerate(zip(pair, ("sharper", "blurrier"))):
            left = x + 0.98 * side
            _face(ax, images[face], left, y)
            for line, text in enumerate(lines(face, word)):
                ax.text(left, y + 1.03 + 0.125 * line, style.short(text, 17), va="center", fontsize=8)
    return figure


@style.drawn
def blurred_parts(images: np.ndarray, scores: np.ndarray, maps: np.ndarray) -> Figure:
    """Draws faces with their scores [n], and the parts that produce each score; see `occlusion.occlusion_maps`.

    There is room for about a dozen images, uint8 [n, S, S, 3]. Values above 0 (red) in `maps`, float [n, S, S], raise
    the score, and values below 0 (blue) lower it. All maps share one color scale.
    """
    if not len(images):
        return style.message("There are no pictures to show.")
    largest = float(np.abs(maps).max()) or 1.0
    figure, ax = _sheet(max(len(images), 4), 1, 2.3, style.WIDTH / max(len(images), 6))
    for x, (image, score, parts) in enumerate(zip(images, scores, maps)):
        ax.text(x, 0.07, f"{score:.3f}", va="center", weight="bold")
        _face(ax, image, x, 0.15)
        _face(ax, np.repeat(image.mean(axis=-1, keepdims=True), 3, axis=-1).astype(np.uint8), x, 1.13)
        _face(ax, parts, x, 1.13, cmap="RdBu_r", norm=Normalize(-largest, largest), alpha=0.55)
    ax.text(0, 2.19, f"red raises the blur score, blue lowers it; up to {largest:.2f} logits", va="center", fontsize=8)
    return figure


def _sheet(width: float, height: int, pitch: float, inches: float) -> tuple[Figure, Axes]:
    """Returns a blank figure in units of one face, with `pitch` units per row and y pointing down."""
    figure = Figure(figsize=(width * inches, height * pitch * inches))
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, width), ylim=(height * pitch, 0))
    ax.set_axis_off()
    return figure, ax


def _face(ax: Axes, image: np.ndarray, x: float, y: float, **options: Any) -> None:
    ax.imshow(image, extent=(x, x + 0.94, y + 0.94, y), aspect="auto", **options)
