import numpy as np
import pytest

from blur_jax.data.fine_detail import fine_detail


def gray(values):
    """One image, uint8 [1, S, S, 3], of gray values [S, S]."""
    return np.repeat(np.asarray(values, np.uint8)[None, :, :, None], 3, axis=3)


def test_a_checkerboard_by_hand():
    # Every pixel of the center differs from its 4 neighbors by 10: the Laplacian is +40 or -40, its variance 1600.
    board = 100 + 10 * (np.indices((8, 8)).sum(axis=0) % 2)
    assert fine_detail(gray(board)) == pytest.approx([np.log(1600.1)], abs=1e-3)


def test_only_the_central_half_counts():
    board = 100 + 10 * (np.indices((8, 8)).sum(axis=0) % 2)
    changed = board.copy()
    changed[0], changed[:, -1] = 255, 0
    np.testing.assert_array_equal(fine_detail(gray(board)), fine_detail(gray(changed)))
    changed[5, 5] += 10
    assert fine_detail(gray(changed)) != fine_detail(gray(board))


def test_a_ramp_has_none_and_a_flat_image_has_a_logarithm():
    for values in (np.full((8, 8), 7), 9 * np.indices((8, 8))[0]):
        assert fine_detail(gray(values)) == pytest.approx([np.log(0.1)], abs=1e-4)
