"""Flags pictures whose scores are meaningless because the pictures are dark, blank or overexposed.

The rules and the "dark" level follow the "dark", "light" and "low information" issues in CleanVision 0.3.7
(https://github.com/cleanlab/cleanvision), which compares brightness percentiles with 0.32 and 0.95. Of 3,200 crops
from CelebA, LFW, WIDER FACE and official portraits, these rules flag three, all as dark (docs/scoring.md).
"""

import numpy as np
from PIL import Image

NAMES = ("dark", "blank", "overexposed")

_DARK = 0.32 * 255  # Gray level; a picture is dark if 99% of its pixels are below it.
_BRIGHT = 0.95 * 255  # Gray level; a picture is overexposed if 75% of its pixels are above it.
_BLOCKS = 16  # Blocks along each side; averaging pixels within a block keeps noise from counting as content.
_FLAT = 3.0  # Gray levels; a picture is blank if its blocks have a smaller standard deviation.


def find(image: np.ndarray) -> str:
    """Returns the flags of a prepared image, uint8 [S, S, 3], in the order of `NAMES`, separated by spaces."""
    picture = Image.fromarray(image).convert("L")
    gray = np.asarray(picture)
    blocks = np.asarray(picture.resize((_BLOCKS, _BLOCKS), Image.Resampling.BOX), np.float32)
    raised = (np.mean(gray < _DARK) >= 0.99, blocks.std() < _FLAT, np.mean(gray > _BRIGHT) >= 0.75)
    return " ".join(flag for flag, is_raised in zip(NAMES, raised) if is_raised)
