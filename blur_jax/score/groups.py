"""Groups pictures that look the same, such as the frames of a burst, and finds the sharpest picture of each group."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from blur_jax.data import likeness


class Groups(NamedTuple):
    """The group of each picture, int [n], counted from 1 in order (0: no score), and whether it is the best, bool [n].

    A picture that resembles no other is a group of its own, and its best.
    """

    number: np.ndarray
    best: np.ndarray


def find(looks: Sequence[str | None], blur: Sequence[float] | np.ndarray) -> Groups:
    """Groups pictures by their looks, and marks the one with the least blur in each group; of equal ones, the first.

    Args:
        looks: hashes from `likeness.look`; None for a picture without a score.
        blur: scores of the same pictures, [n], larger is blurrier.
    """
    number, best = np.zeros(len(looks), int), np.zeros(len(looks), bool)
    scored = [index for index, look in enumerate(looks) if look is not None]
    firsts = likeness.groups(scored, [looks[index] or "" for index in scored], most=likeness.BURST)
    _, group = np.unique(list(firsts.values()), return_inverse=True)
    number[scored] = group + 1
    by_blur = np.lexsort((np.asarray(blur)[scored], group))  # Stable: the first of equal ones comes first.
    best[np.array(scored, int)[by_blur[np.unique(group[by_blur], return_index=True)[1]]]] = True
    return Groups(number, best)
