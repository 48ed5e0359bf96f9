"""The scorers that come with the package: NAME.npz, its model card NAME.md, and NAME.csv, the pictures behind it."""

import os
from pathlib import Path

FOLDER = Path(__file__).parent
DEFAULT = "portraits-2"  # The scorer that commands use without --checkpoint.
ENDING = ".npz"


def names() -> list[str]:
    """Returns the names of the scorers that come with the package."""
    return sorted(path.stem for path in FOLDER.glob(f"*{ENDING}"))


def is_shipped(path: str | os.PathLike) -> bool:
    """Returns whether `path` is the name or the file of a scorer that comes with the package."""
    return os.fspath(path) in names() or Path(path).suffix == ENDING
