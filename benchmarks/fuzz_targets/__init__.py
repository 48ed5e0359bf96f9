"""All parsers of untrusted input, as functions that parse bytes or raise ValueError with a short message.

Each target imports its own parser, so fuzzing one parser does not load the libraries of the others.
"""

from collections.abc import Callable
from pathlib import Path

from benchmarks.fuzz_targets import records, tables
from benchmarks.fuzz_targets.target import Target, outcome

__all__ = ["TARGETS", "Target", "outcome"]

# {parser: function that creates its target, given a folder for files}.
TARGETS: dict[str, Callable[[Path], Target]] = {
    "lists of ssranking_face_blur": tables.release,
    "tables of folder_face_blur": tables.tables,
    "Label Studio answers": tables.answers,
    "Label Studio interface": tables.interface,
    "inputs of the scorer": tables.inputs,
    "examples of a threshold": tables.examples,
    "comparisons and qualities": tables.comparisons,
    "journal": records.journal,
    "threshold.json": records.threshold,
    "calibration": records.calibration,
    "checkpoint record": records.record,
    "history of a run": records.history,
    "pictures": records.pictures,
}
