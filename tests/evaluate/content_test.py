"""Faces at equal blur, as a scorer that sees only content or only blur reads them."""

import numpy as np
import pytest

from blur_jax.evaluate import content
from tests.helpers.faces import grainy, ranked_split

FACES = np.stack([grainy(seed, side=64) // 2 + np.uint8(seed) for seed in range(40)])
NOISE = np.random.default_rng(0).integers(256, size=(1, 64, 64, 3)).astype(np.uint8)  # Detail of every size.
RANKS = np.repeat([0.0, 1.0], 20)
BRIGHT = np.arange(40) % 2 == 1


def brightness(images):
    return images.mean(axis=(1, 2, 3))


def softness(images):
    """Minus the mean contrast of neighbors, which equal blur makes equal for all of the same grain."""
    return -np.abs(np.diff(images.astype(float), axis=2)).mean(axis=(1, 2, 3))


def test_drawn_sides_are_log_uniform_and_always_the_same():
    drawn = content.drawn_sides(4000)
    assert drawn.shape == (8, 4000) and (drawn.min(), drawn.max()) == (20, 64)
    assert np.median(drawn) == pytest.approx(np.sqrt(20 * 64), abs=1)
    # The first of eight parts ends at 20 * 3.2 ** (1 / 8) = 23.1.
    assert (drawn[0].min(), drawn[0].max()) == (20, 23)
    np.testing.assert_array_equal(drawn, content.drawn_sides(4000))


def test_a_scorer_of_content_keeps_its_spread_and_its_groups():
    images = np.stack([np.full((64, 64, 3), 50 + 3 * index + 60 * BRIGHT[index], np.uint8) for index in range(40)])
    found = content.measure(brightness, images, RANKS, {"bright": BRIGHT}, resamples=50)
    assert (found["faces"], found["clear"]) == (40, 20)
    assert found["content_share"] == dict.fromkeys(("20", "32", "45", "64"), {"value": 1, "low": 1, "high": 1})
    group = found["groups"]["bright"]
    # Clear faces 0 to 19: the bright odd ones have 113, 119, ..., 167, the others 50, 56, ..., 104.
    assert (group["clear"], group["auc"]["32"]["value"]) == (10, 1)
    # The threshold discards 4 of 40, all of them blurred: 39, 37, 35 and 33.
    for kind in ("unchanged", "drawn"):
        assert (group[kind]["group"]["value"], group[kind]["others"]["value"]) == (0, 0)
        assert group[kind]["ratio"]["value"] is None


def test_a_threshold_discards_a_group_as_the_faces_are_but_not_at_drawn_sizes():
    """Two of the clear faces, both of the group, are already blurred; at drawn sizes, the smallest are blurriest."""
    images, group = FACES.copy(), np.arange(40) < 10
    images[:4] = FACES[:4].mean(axis=(1, 2), keepdims=True)
    ranks = np.where(np.arange(40) < 38, 0.0, 1.0)
    found = content.measure(softness, images, ranks, {"group": group}, resamples=50)["groups"]["group"]
    assert found["clear"] == 10
    assert (found["unchanged"]["group"]["value"], found["unchanged"]["others"]["value"]) == (0.4, 0)


def test_a_scorer_of_blur_follows_the_drawn_size():
    """Equal faces differ only in their drawn size, and soft ones are small."""
    found = content.measure(softness, NOISE[[0] * 40], RANKS, {}, resamples=20)
    assert found["groups"] == {} and found["content_share"]["20"]["value"] is None  # Nothing spreads.
    assert found["spearman_drawn"]["value"] > 0.99


def test_all_versions_of_a_face_are_counted_by_the_threshold_at_drawn_sizes():
    """Equal faces: a version is discarded if its size is among the smallest 32 of 320; those of one size tie."""
    drawn = content.drawn_sides(40)
    discarded = drawn <= np.sort(drawn.ravel())[31]
    found = content.measure(softness, NOISE[[0] * 40], RANKS, {"first": np.arange(40) == 0}, resamples=20)
    at_drawn = found["groups"]["first"]["drawn"]
    assert at_drawn["group"]["value"] == discarded[:, 0].mean()
    assert at_drawn["others"]["value"] == pytest.approx(discarded[:, 1:20].mean())  # Of the clear faces.


def test_attributes_follow_the_rows_of_a_split():
    split = ranked_split(FACES[:4], [0, 1, 0, 1])
    assert content.attributes_of(split) == {}
    split.metadata["attributes"] = {"hat": [3, 0], "beard": []}
    found = content.attributes_of(split)
    assert {name: members.tolist() for name, members in found.items()} == {
        "hat": [True, False, False, True],
        "beard": [False] * 4,
    }
