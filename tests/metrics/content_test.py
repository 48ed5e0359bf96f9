"""How much of a score is content, worked out by hand."""

import numpy as np
import pytest

from blur_jax.metrics import content

ONCE = np.ones((1, 4))


def test_content_share_compares_spreads():
    # Deviations from the mean: 1 at equal blur, and 1, 3, 3, 1 as they are, whose mean square is 5.
    equal, unchanged = np.array([2.0, 4.0, 2.0, 4.0]), np.array([9.0, 7.0, 13.0, 11.0])
    assert content.content_share(equal, unchanged, ONCE) == pytest.approx([1 / np.sqrt(5)])


def test_content_share_counts_faces_as_often_as_they_are_drawn():
    equal, unchanged = np.array([0.0, 1.0, 5.0]), np.array([0.0, 2.0, 9.0])
    counts = np.array([[2.0, 2.0, 0.0], [3.0, 1.0, 0.0]])  # The third face is never drawn.
    assert content.content_share(equal, unchanged, counts) == pytest.approx([0.5, 0.5])
    # 0, 0, 0, 1 have the variance 3/16; 0, 1, 1, 5 would have another one.
    spread = content.content_share(equal, np.array([1.0, -1.0, 0.0]), np.array([[3.0, 1.0, 0.0]]))
    assert spread == pytest.approx([np.sqrt(3 / 16) / np.sqrt(3 / 4)])


def test_a_constant_reading_at_equal_blur_has_no_content_and_equal_faces_have_no_share():
    assert content.content_share(np.full(4, 0.1), np.arange(4.0), ONCE) == pytest.approx([0], abs=1e-9)
    assert np.isnan(content.content_share(np.zeros(4), np.ones(4), ONCE)).all()


def test_the_blurriest_share_is_discarded_in_each_resample():
    readings = np.array([1.0, 4.0, 3.0, 2.0])
    counts = np.array([[1.0, 1.0, 1.0, 1.0], [1.0, 0.0, 2.0, 1.0], [4.0, 0.0, 0.0, 0.0]])
    found = content.blurriest(readings, 0.5, counts)
    # Two of four; then the face that counts twice, and the one beyond it, which does not count; then the only face.
    assert found.tolist() == [[False, True, True, False], [False, True, True, False], [True, True, True, True]]


def test_ties_are_discarded_together_and_rounding_discards_no_more():
    assert content.blurriest(np.array([1.0, 2.0, 2.0, 0.0]), 0.25, ONCE).tolist() == [[False, True, True, False]]
    # 0.1 * 70 is 7.000000000000001.
    assert content.blurriest(np.arange(70.0), 0.1, np.ones((1, 70))).sum() == 7


def test_shares_of_a_group_and_the_others_among_clear_faces():
    discards = np.array([[True, False, True, False, True, True]])
    group = np.array([True, True, False, False, False, True])
    clear = np.array([True, True, True, True, True, False])
    found = content.discarded(discards, group, clear, np.ones((1, 6)))
    assert (found.group, found.others, found.ratio) == pytest.approx((1 / 2, 2 / 3, 3 / 4))
    # The discarded member is drawn three times, and so is one other that is kept.
    counts = np.array([[3.0, 1.0, 1.0, 3.0, 0.0, 5.0]])
    found = content.discarded(discards, group, clear, counts)
    assert (found.group, found.others, found.ratio) == pytest.approx((3 / 4, 1 / 4, 3))


def test_an_empty_group_has_no_share():
    found = content.discarded(np.full((1, 2), True), np.array([False, False]), np.array([True, True]), np.ones((1, 2)))
    assert np.isnan(found.group) and found.others == 1 and np.isnan(found.ratio)
