"""Figures of a run. This is the only folder in blur_jax that imports matplotlib.

Each figure is a function from plain data to a `matplotlib.figure.Figure` (no pyplot, no global state), so that the
report and the notebook draw the same figures.
"""

from matplotlib.figure import Figure

from blur_jax.evaluate.figures.checks import discard_curves, reliability
from blur_jax.evaluate.figures.curves import score_against_rank, score_histogram, training_curves
from blur_jax.evaluate.figures.faces import blurred_parts, mistaken_labels, scored_faces, sorted_faces, worst_mistakes
from blur_jax.evaluate.figures.meaning import calibration_curves, two_scorers
from blur_jax.evaluate.figures.style import to_webp

__all__ = [
    "Figure", "blurred_parts", "calibration_curves", "discard_curves", "mistaken_labels", "reliability",
    "score_against_rank", "score_histogram", "scored_faces", "sorted_faces", "to_webp", "training_curves",
    "two_scorers", "worst_mistakes",
]  # fmt: skip
