import numpy as np
import pytest
from PIL import Image, ImageFilter

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
    """What is sharpened in the parts of a picture is together what sharpening changes in the whole."""
    image, scored = np.random.default_rng(0).integers(90, 160, (32, 32, 3), np.uint8), []
    occlusion.occlusion_maps(lambda images: scored.append(images) or np.full(len(images), 0.5), image[None], cells=4)
    changes = scored[1].astype(int) - image
    assert changes.shape == (16, 32, 32, 3)
    sharpened = Image.fromarray(image).filter(ImageFilter.UnsharpMask(radius=1, percent=300, threshold=0))
    np.testing.assert_allclose(changes.sum(axis=0), np.asarray(sharpened, int) - image, atol=8)  # 16 times rounded.
    center = np.mean(np.argwhere(abs(changes[5]) > 40)[:, :2], axis=0)
    assert (center >= 8).all() and (center < 16).all()  # Second row, second column.


def test_a_plain_picture_has_no_parts():
    found = occlusion.occlusion_maps(lambda images: np.full(len(images), 0.3), np.full((2, 16, 16, 3), 90, np.uint8))
    np.testing.assert_array_equal(found, np.zeros((2, 16, 16)))


def test_no_picture_has_no_map_and_one_cell_is_refused():
    none = np.zeros((0, 16, 16, 3), np.uint8)
    assert occlusion.occlusion_maps(lambda images: np.zeros(len(images)), none).shape == (0, 16, 16)
    with pytest.raises(ValueError, match="cells must be 2 or more, not 1"):
        occlusion.occlusion_maps(edges, ramp(), cells=1)
