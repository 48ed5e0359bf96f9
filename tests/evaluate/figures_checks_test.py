"""What the figures of reliability and of error versus discard show."""

import numpy as np
import pytest

from blur_jax.evaluate import figures
from blur_jax.evaluate.discard_curve import DiscardCurve


def test_reliability_has_a_panel_for_each_run_with_its_bins():
    rows = [(0.2, 0.25, 0.1, 0.4), (0.7, 0.75, 0.7, 0.8)]
    figure = figures.reliability({"seed 0": rows, "seed 1": rows[:1]})
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["seed 0", "seed 1"]
    diagonal, points = figure.axes[0].lines[:2]
    assert diagonal.get_xydata().tolist() == [[0, 0], [1, 1]]
    assert points.get_xydata().tolist() == [[0.2, 0.25], [0.7, 0.75]]
    (bars,) = figure.axes[0].collections
    np.testing.assert_allclose([segment[:, 1] for segment in bars.get_segments()], [[0.1, 0.4], [0.7, 0.8]])


def test_discard_curves_are_steps_beside_the_best_and_random():
    curve = DiscardCurve(np.array([0, 0.1, 0.5]), np.array([0.1, 0.05, 0.0]))
    figure = figures.discard_curves({"sharpness": curve}, 0.2)
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert list(lines) == ["at random", "theoretical best", "sharpness"]
    assert list(lines["at random"].get_ydata()) == [0.1, 0.1]
    np.testing.assert_allclose(lines["theoretical best"].get_xydata(), [[0, 0.1], [0.1, 0], [0.2, 0]])
    assert lines["sharpness"].get_drawstyle() == "steps-post"
    assert lines["sharpness"].get_xydata().tolist() == [[0, 0.1], [0.1, 0.05], [0.5, 0], [1, 0]]
    assert figure.axes[0].get_xlim() == pytest.approx((0, 0.2))
