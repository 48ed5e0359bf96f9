"""Groups pictures that look the same, such as the frames of a burst, and finds the sharpest picture in each group."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from blur_jax.data import likeness


class Groups(NamedTuple):
    """Each picture's group number, int [n], from 1 (0 without a score), and whether it is the group's best, bool [n].

    A picture that does not look like any other forms its own group, and is the best in it.
    """

    number: np.ndarray
    best: np.ndarray


def find(looks: Sequence[str | None], blur: Sequence[float] | np.ndarray) -> Groups:
    """Groups pictures by their looks, and marks the least blurred one in each group (the first one if several tie).

    Args:
        looks: hashes from `likeness.look`; None for a picture without a score.
        blur: scores of the same pictures, [n], larger is blurrier.
    """
    number, best = np.zeros(len(looks), int), np.zeros(len(looks), bool)
    scored = [index for index, look in enumerate(looks) if look is not None]
    firsts = likeness.groups(scored, [looks[index] or "" for index in scored], most=likeness.BURST)
    _, group = np.unique(list(firsts.values()), return_inverse=True)
    number[scored] = group + 1
    by_blur = np.lexsort((np.asarray(blur)[scored], group))  # Stable: ties stay in order.
    best[np.array(scored, int)[by_blur[np.unique(group[by_blur], return_index=True)[1]]]] = True
    return Groups(number, best)
