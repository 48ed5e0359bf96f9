import numpy as np
import pytest

from blur_jax.evaluate import occlusion


def edges(images):
    """A scorer that looks at the left half alone: the less contrast between its neighbors, the blurrier."""
    left = images[:, :, : images.shape[2] // 2].astype(np.float32)
    return np.exp(-np.abs(np.diff(left, axis=2)).mean(axis=(1, 2, 3)) / 20)


def ramp(side=32):
    """A soft edge in the middle of either half."""
    x = np.arange(side) % (side // 2)
    row = np.clip((x - side / 4) * 20 + 128, 78, 178).astype(np.uint8)
    return np.repeat(np.repeat(row[None, :, None], side, axis=0), 3, axis=2)[None]


def test_the_map_is_red_where_the_scorer_saw_blur_and_zero_where_it_did_not_look():
    (found,) = occlusion.occlusion_maps(edges, ramp())
    assert found.shape == (32, 32) and found.dtype == np.float32
    left, right = found[:, :16], found[:, 24:]
    assert left.max() > 0.01 and np.abs(right).max() < 0.05 * left.max()


def test_the_map_adds_up_the_parts():
    windows = occlusion._windows(32, 4)
    np.testing.assert_allclose(windows.sum(axis=0), 1, rtol=1e-5)
    assert windows.shape == (16, 32, 32)
    peak = np.unravel_index(windows[5].argmax(), (32, 32))
    assert 8 <= peak[0] < 16 and 8 <= peak[1] < 16  # Second row, second column.


def test_a_plain_picture_has_no_parts():
    found = occlusion.occlusion_maps(lambda images: np.full(len(images), 0.3), np.full((2, 16, 16, 3), 90, np.uint8))
    np.testing.assert_array_equal(found, np.zeros((2, 16, 16)))


def test_no_picture_has_no_map_and_one_cell_is_refused():
    none = np.zeros((0, 16, 16, 3), np.uint8)
    assert occlusion.occlusion_maps(lambda images: np.zeros(len(images)), none).shape == (0, 16, 16)
    with pytest.raises(ValueError, match="cells must be 2 or more, not 1"):
        occlusion.occlusion_maps(edges, ramp(), cells=1)
