"""Whether an exported file gives what its run gives."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from blur_jax.export.formats import Runner
from blur_jax.export.metadata import COLUMNS
from blur_jax.metrics.calibration import Calibration, to_columns

TOLERANCE = 1e-5  # Largest difference allowed, of the range of a column.
BATCHES = (1, 6)  # Sizes tried: a graph may hold one of them fixed by mistake.


def sample_images(size: int) -> np.ndarray:
    """Returns random images from blurred to sharp, uint8 [6, size, size, 3], the same at every call."""
    rng = np.random.default_rng(0)
    images = []
    for grid in np.geomspace(4, size, BATCHES[-1]).astype(int):
        coarse = rng.integers(0, 256, (grid, grid, 3), dtype=np.uint8)
        images.append(np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)))
    return np.stack(images)


def largest_difference(
    run: Runner,
    score: Callable[[np.ndarray], np.ndarray],
    *,
    image_size: int,
    calibration: Calibration | None,
) -> float:
    """Runs a file on random images and returns by how much it differs, as a part of each column's range.

    Args:
        run: the file, see `formats`.
        score: from images to the scores of the run itself, float32 [n].
        image_size: side of the images, in pixels.
        calibration: the calibration of the run.

    Raises:
        ValueError: the file gives other columns, shapes or dtypes.
    """
    images, differences = sample_images(image_size), []
    for count in BATCHES:
        found = run(images[:count])
        # What follows from a score is compared given that score: a percentile may be arbitrarily steep.
        wanted = to_columns(np.asarray(found["blur"]), calibration) | {"blur": score(images[:count])}
        if set(found) != set(wanted):
            raise ValueError(f"the file gives the columns {list(found)} instead of {list(wanted)}")
        for name, column in found.items():
            if column.shape != (count,) or column.dtype != np.float32:
                raise ValueError(f"the file gives {name} as {column.dtype} {list(column.shape)} for {count} images")
            (low, high), _ = COLUMNS[name]
            differences.append(np.abs(column - wanted[name]).max() / (high - low))
    return float(np.max(differences))  # Not a number if one of them is not.
