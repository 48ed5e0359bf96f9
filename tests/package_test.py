"""What `import blur_jax` offers."""

import numpy as np
import pytest

import blur_jax


def test_scorer_losses_and_metrics_are_offered():
    assert isinstance(blur_jax.Scorer, type) and callable(blur_jax.load_scorer)
    assert blur_jax.metrics.pairwise_accuracy([0.1, 0.3, 0.2], [0, 1, 2]) == pytest.approx(2 / 3)
    # Sharper by 0.25 as labeled, where the margin asks for 0.5.
    pair = {"left": np.float32([0.25]), "right": np.float32([0.5]), "order": np.float32([1])}
    assert blur_jax.losses.margin_ranking(**pair, margin=0.5) == pytest.approx([0.25])
    assert blur_jax.__version__[0].isdigit()


def test_every_name_is_listed_and_others_are_refused():
    assert set(blur_jax.__all__) <= set(dir(blur_jax))
    assert all(hasattr(blur_jax, name) for name in blur_jax.__all__)
    with pytest.raises(AttributeError, match="no attribute 'blur'"):
        _ = blur_jax.blur
