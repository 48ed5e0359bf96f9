"""What is measured on the labeled validation pairs."""

import numpy as np
import pytest

from blur_jax import validation

# Four ordered pairs: differences 0.4 right, 0.3 wrong, 0.1 right, 0 undecided, which counts one half.
LEFT, RIGHT = np.array([0.1, 0.5, 0.5, 0.2]), np.array([0.5, 0.2, 0.4, 0.2])
ORDER = np.array([1, 1, -1, 1])


def test_metrics_by_hand():
    # Scores 0.1, 0.5, 0.5, 0.2, 0.5, 0.2, 0.4, 0.2 have the mean 0.325; squared deviations sum to 0.195.
    assert validation.summarize(LEFT, RIGHT, ORDER, confidence_threshold=0.2) == pytest.approx(
        {
            "validation_accuracy": 2.5 / 4,
            "pseudo_label_share": 2 / 4,
            "pseudo_label_accuracy": 1 / 2,
            "score_spread": (0.195 / 8) ** 0.5,
        }
    )


def test_where_no_pair_is_confident_no_accuracy_is_made_up():
    found = validation.summarize(LEFT, RIGHT, ORDER, confidence_threshold=0.9)
    assert found["pseudo_label_share"] == 0
    assert "pseudo_label_accuracy" not in found


@pytest.mark.parametrize(("spread", "said"), [(0.001, True), (0.1, False)])
def test_collapsed_scores_are_reported(capsys, spread, said):
    validation.warn_of_collapse(40, spread)
    assert ("step 40: the scores have collapsed" in capsys.readouterr().out) == said
