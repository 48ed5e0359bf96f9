"""Writes an exported file, its model card and its metadata, once the file gives the scores of the run."""

import json
import os
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from blur_jax.data import files
from blur_jax.export import card, formats, metadata, verification
from blur_jax.export.graph import Graph
from blur_jax.runs import run_dir


def paths(output: str | os.PathLike, format: str) -> list[pathlib.Path]:
    """Returns the paths of the file, its model card and, if the format has no place for it, its metadata."""
    file = pathlib.Path(output)
    beside = [file.with_name(f"{file.name}.README.md")]
    if formats.FORMATS[format].read_metadata is None:
        beside.append(file.with_name(f"{file.name}.json"))
    return [file, *beside]


def check(output: str | os.PathLike, format: str, *, overwrite: bool) -> None:
    """Raises ValueError or ImportError for an export that cannot work, before anything is loaded."""
    ending = formats.FORMATS[format].ending
    file = pathlib.Path(output)
    if file.suffix != ending:
        raise ValueError(f"--output={output} must end in {ending} for --format={format}")
    if not file.parent.is_dir():
        raise ValueError(f"--output={output}: the folder {file.parent} does not exist; make it first")
    existing = [path for path in paths(output, format) if path.exists()]
    if existing and not overwrite:
        raise ValueError(f"{existing[0]} exists already; give another --output, or --overwrite to replace it")
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
    """Writes an export, the file last and whole, and returns its difference: see `verification.largest_difference`.

    `score`, from uint8 [n, S, S, 3] to float32 [n], gives the scores of the run, and `described` the metadata. See
    `card.text` for `metrics`. Raises ValueError, and writes nothing, if the file differs from the run.
    """
    file, *beside = paths(output, format)
    chosen, texts = formats.FORMATS[format], metadata.encode(described)
    with files.replacing(file) as name:
        temporary = pathlib.Path(name)
        try:
            temporary.write_bytes(chosen.build(graph, texts))
            run, side = chosen.open(temporary), graph.image_size
            difference = verification.largest_difference(run, score, image_size=side, calibration=graph.calibration)
        except (ValueError, OSError):
            raise
        except Exception as error:  # Converters and runtimes raise many types, with pages of text.
            reason = (str(error).splitlines() or [""])[0][:300]
            raise ValueError(
                f"this run cannot become a {chosen.ending} file ({type(error).__name__}: {reason}); nothing was written"
            ) from error
        if not difference <= verification.TOLERANCE:
            raise ValueError(
                f"the {format} file differs from the run by {difference:.1e} of a column's range, more than"
                f" {verification.TOLERANCE:g}; nothing was written"
            )
        if chosen.read_metadata and chosen.read_metadata(temporary) != texts:
            raise ValueError(f"the {format} file does not give back its metadata; nothing was written")
        written = card.text(described, file=file.name, format=format, metrics=metrics)
        plain = {metadata.PREFIX + key: value for key, value in described.items()}
        for path, content in zip(beside, [written, json.dumps(plain, indent=2) + "\n"]):
            run_dir.write_atomically(path, content)
    return difference
