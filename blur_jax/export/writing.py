"""Writes an exported file with its model card and metadata, if the file returns the same scores as the run."""

import json
import os
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from blur_jax.data import files
from blur_jax.export import card, formats, metadata
from blur_jax.export.graph import Graph
from blur_jax.metrics.calibration import Calibration, to_columns
from blur_jax.runs import run_dir

TOLERANCE = 1e-5  # The largest allowed difference, as a share of the column's range.
BATCHES = (1, 6)  # Batch sizes to try, because a graph may have a fixed batch size by mistake.


def paths(output: str | os.PathLike, format: str) -> list[pathlib.Path]:
    """Returns the paths of the file, its model card and, if the format cannot store them, its metadata."""
    file = pathlib.Path(output)
    beside = [file.with_name(f"{file.name}.README.md")]
    if formats.FORMATS[format].read_metadata is None:
        beside.append(file.with_name(f"{file.name}.json"))
    return [file, *beside]


def check(output: str | os.PathLike, format: str, *, overwrite: bool) -> None:
    """Raises ValueError or ImportError if an export cannot work, before anything is loaded."""
    ending = formats.FORMATS[format].ending
    file = pathlib.Path(output)
    if file.suffix != ending:
        raise ValueError(f"--output={output} must end in {ending} for --format={format}")
    if not file.parent.is_dir():
        raise ValueError(f"--output={output}: the folder {file.parent} does not exist; create it first")
    existing = [path for path in paths(output, format) if path.exists()]
    if existing and not overwrite:
        raise ValueError(f"{existing[0]} already exists; use a different --output, or pass --overwrite to replace it")
    formats.check_installed(format)


def write(
    graph: Graph,
    described: dict[str, Any],
    score: Callable[[np.ndarray], np.ndarray],
    *,
    output: str | os.PathLike,
    format: str,
    metrics: dict[str, Any] | None = None,
) -> float:
    """Writes an export atomically, with the main file last, and returns its `largest_difference`.

    `score` maps uint8 [n, S, S, 3] to the run's scores, float32 [n]; `described` is the metadata. See `card.text` for
    `metrics`. If the file differs from the run, raises ValueError and writes nothing.
    """
    file, *beside = paths(output, format)
    chosen, texts = formats.FORMATS[format], metadata.encode(described)
    with files.replacing(file) as name:
        temporary = pathlib.Path(name)
        try:
            temporary.write_bytes(chosen.build(graph, texts))
            run, side = chosen.open(temporary), graph.image_size
            difference = largest_difference(run, score, image_size=side, calibration=graph.calibration)
        except (ValueError, OSError):
            raise
        except Exception as error:  # Converters and runtimes raise many error types, with pages of text.
            reason = (str(error).splitlines() or [""])[0][:300]
            raise ValueError(
                f"this run cannot be exported to {format} ({type(error).__name__}: {reason}); nothing was written"
            ) from error
        if not difference <= TOLERANCE:
            raise ValueError(
                f"the {format} file differs from the run by {difference:.1e} of a column's range, more than"
                f" {TOLERANCE:g}; nothing was written"
            )
        if chosen.read_metadata and chosen.read_metadata(temporary) != texts:
            raise ValueError(f"the metadata in the {format} file cannot be read back; nothing was written")
        written = card.text(described, file=file.name, format=format, metrics=metrics)
        plain = {metadata.PREFIX + key: value for key, value in described.items()}
        for path, content in zip(beside, [written, json.dumps(plain, indent=2) + "\n"]):
            run_dir.write_atomically(path, content)
    return difference


def sample_images(size: int) -> np.ndarray:
    """Returns random images from blurred to sharp, uint8 [6, size, size, 3], the same on every call."""
    rng = np.random.default_rng(0)
    images = []
    for grid in np.geomspace(4, size, BATCHES[-1]).astype(int):
        coarse = rng.integers(0, 256, (grid, grid, 3), dtype=np.uint8)
        images.append(np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)))
    return np.stack(images)


def largest_difference(
    run: formats.Runner, score: Callable[[np.ndarray], np.ndarray], *, image_size: int, calibration: Calibration | None
) -> float:
    """Runs a file on random images and returns its largest difference from `score`, as a share of a column's range.

    `score` and `calibration` are the run's. Raises ValueError if the file returns the wrong columns, shapes or dtypes.
    """
    images, differences = sample_images(image_size), []
    for count in BATCHES:
        columns = run(images[:count])
        # The other columns are compared at the file's own blur, because percentiles can change arbitrarily fast.
        wanted = to_columns(np.asarray(columns["blur"]), calibration) | {"blur": score(images[:count])}
        if set(columns) != set(wanted):
            raise ValueError(f"the exported scorer returns the columns {list(columns)} instead of {list(wanted)}")
        for name, column in columns.items():
            if column.shape != (count,) or column.dtype != np.float32:
                raise ValueError(f"the file returns {name} as {column.dtype} {list(column.shape)} for {count} images")
            (low, high), _ = metadata.COLUMNS[name]
            differences.append(np.abs(column - wanted[name]).max() / (high - low))
    return float(np.max(differences))  # NaN if any difference is NaN.
