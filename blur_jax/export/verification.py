"""Compares an exported file with its run."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from blur_jax.export.formats import Runner
from blur_jax.export.metadata import COLUMNS
from blur_jax.metrics.calibration import Calibration, to_columns

TOLERANCE = 1e-5  # The largest difference allowed, as a share of the range of a column.
BATCHES = (1, 6)  # Batch sizes to try, because a graph may have a fixed batch size by mistake.


def sample_images(size: int) -> np.ndarray:
    """Returns random images from blurred to sharp, uint8 [6, size, size, 3], the same at every call."""
    rng = np.random.default_rng(0)
    images = []
    for grid in np.geomspace(4, size, BATCHES[-1]).astype(int):
        coarse = rng.integers(0, 256, (grid, grid, 3), dtype=np.uint8)
        images.append(np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)))
    return np.stack(images)


def largest_difference(
    run: Runner, score: Callable[[np.ndarray], np.ndarray], *, image_size: int, calibration: Calibration | None
) -> float:
    """Runs a file on random images and returns its largest difference from `score`, as a share of a column's range.

    `score` and `calibration` are those of the run. Raises ValueError for other columns, shapes or dtypes.
    """
    images, differences = sample_images(image_size), []
    for count in BATCHES:
        columns = run(images[:count])
        # The other columns are compared at the file's own blur, because a percentile may be arbitrarily steep.
        wanted = to_columns(np.asarray(columns["blur"]), calibration) | {"blur": score(images[:count])}
        if set(columns) != set(wanted):
            raise ValueError(f"the file gives the columns {list(columns)} instead of {list(wanted)}")
        for name, column in columns.items():
            if column.shape != (count,) or column.dtype != np.float32:
                raise ValueError(f"the file gives {name} as {column.dtype} {list(column.shape)} for {count} images")
            (low, high), _ = COLUMNS[name]
            differences.append(np.abs(column - wanted[name]).max() / (high - low))
    return float(np.max(differences))  # NaN if any difference is NaN.
