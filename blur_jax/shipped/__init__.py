"""The scorers that come with the package: NAME.npz, its model card NAME.md, and NAME.csv, the pictures behind it."""

from pathlib import Path

FOLDER = Path(__file__).parent
DEFAULT = "portraits-1"  # The scorer that commands use without --checkpoint.
