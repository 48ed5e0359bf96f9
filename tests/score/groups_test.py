"""The sharpest picture of each group."""

import numpy as np

from blur_jax.data import likeness
from blur_jax.score import groups


def hashed(*bits):
    marks = np.zeros(256, np.uint8)
    marks[list(bits)] = 1
    return np.packbits(marks).tobytes().hex()


def test_the_least_blur_of_each_group_is_best():
    looks = [hashed(), hashed(*range(200)), None, hashed(*range(52)), hashed(*range(53, 200)), "", ""]
    number, best = groups.find(looks, [0.5, 0.2, np.nan, 0.4, 0.2, 0.9, 0.1])
    # 53 bits apart is another picture; pictures without content resemble nothing, not even each other.
    assert number.tolist() == [1, 2, 0, 1, 3, 4, 5]
    assert best.tolist() == [False, True, False, True, True, True, True]


def test_of_equal_ones_the_first_is_best():
    number, best = groups.find([hashed()] * 3, [0.3, 0.1, 0.1])
    assert number.tolist() == [1, 1, 1] and best.tolist() == [False, True, False]


def test_nothing_has_no_groups():
    assert [len(values) for values in groups.find([], [])] == [0, 0]
    number, best = groups.find([None], [np.nan])
    assert number.tolist() == [0] and best.tolist() == [False]


def test_a_chain_over_blocks_is_one_group(monkeypatch):
    monkeypatch.setattr(likeness, "_BLOCK", 2)
    looks = [hashed(*range(start, start + 100)) for start in (0, 120, 20, 140, 40)]  # 20 apart: 40 bits.
    assert groups.find(looks, np.zeros(5)).number.tolist() == [1, 2, 1, 2, 1]


def test_thousands_of_frames_of_one_scene_fit_in_memory():
    number, best = groups.find([hashed()] * 3000, np.arange(3000.0))
    assert set(number.tolist()) == {1} and np.flatnonzero(best).tolist() == [0]
