"""A run's threshold: which pictures to keep, how it was chosen, and which checkpoint it belongs to.

`python -m blur_jax.threshold` writes it to `threshold.json` in the run directory; scoring and export read that file.
"""

import dataclasses
import json
import os
import sys
from typing import Any

from etils import epath

from blur_jax.data.untrusted import excerpt, read_json
from blur_jax.runs import run_dir

THRESHOLD_FILE = "threshold.json"
# Explains the file to people who do not have this program.
_STATED = {"quantity": "blur", "direction": "in [0, 1], larger is blurrier; keep if blur < keep_below"}


@dataclasses.dataclass(frozen=True)
class Threshold:
    """A picture is kept when its blur is below `keep_below`."""

    keep_below: float  # A score, 0 or more; a value above 1 keeps everything.
    source: str  # How it was chosen, as a human-readable sentence.
    checkpoint: str  # `checkpoints.fingerprint` of the parameters that produce the scores.
    step: int | None = None  # The step of that checkpoint.
    rule: str = "given"  # "discard", "lose-good", "keep-bad" or "given".
    target: float | None = None  # The rule's share in [0, 1]; None for "given".
    pictures: int = 0  # The number of pictures used to choose it.
    # 95% interval of the rule's share, in [0, 1], on new pictures of the same kind; None if no pictures were used.
    interval: tuple[float, float] | None = None
    date: str = ""  # YYYY-MM-DD.

    def __post_init__(self) -> None:
        number = isinstance(self.keep_below, (int, float)) and not isinstance(self.keep_below, bool)
        if not number or not 0 <= self.keep_below <= sys.float_info.max:
            raise ValueError(f"keep_below must be a number, 0 or more, not {excerpt(self.keep_below)}")
        for name in ("source", "checkpoint", "rule", "date"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name} must be a string, not {excerpt(getattr(self, name))}")

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields, and their explanation, as a JSON-serializable dict."""
        return _STATED | dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: Any) -> "Threshold":
        """Reverses `to_dict`; raises ValueError for invalid input."""
        known = _STATED.keys() | {field.name for field in dataclasses.fields(cls)}
        if not isinstance(fields, dict) or set(fields) != known:
            raise ValueError(f"a threshold must have the fields {sorted(known)}, found {excerpt(fields)}")
        if fields["quantity"] != _STATED["quantity"]:
            raise ValueError(f"a threshold's quantity must be 'blur', not {excerpt(fields['quantity'])}")
        interval = fields["interval"]
        if interval is not None and not isinstance(interval, (list, tuple)):
            raise ValueError(f"a threshold's interval must be a pair of fractions, not {excerpt(interval)}")
        values = {name: value for name, value in fields.items() if name not in _STATED}
        values["interval"] = interval and tuple(interval)
        return cls(**values)


def threshold_path(run_path: str | os.PathLike) -> epath.Path:
    """Returns the path of a run's threshold file, given the run directory or one of its checkpoints."""
    return run_dir.run_of(run_path) / THRESHOLD_FILE


def read_threshold(run_path: str | os.PathLike, *, checkpoint: str | None = None) -> Threshold | None:
    """Reads a run's threshold, given the run directory or one of its checkpoints; returns None if it has none.

    Raises:
        ValueError: the file is damaged, or was not chosen for the checkpoint with the fingerprint `checkpoint`.
    """
    path = threshold_path(run_path)
    if not path.exists():
        return None
    try:
        threshold = Threshold.from_dict(read_json(path.read_text()))
    except ValueError as error:
        raise ValueError(f"{path}: damaged ({error}); remove it and run blur_jax.threshold again") from error
    if checkpoint is not None and threshold.checkpoint != checkpoint:
        raise ValueError(
            f"{path}: the threshold was chosen for checkpoint {excerpt(threshold.checkpoint)} (step"
            f" {excerpt(threshold.step)}), not for the loaded checkpoint {checkpoint}; run blur_jax.threshold again, or"
            " pass --keep-below"
        )
    return threshold


def write_threshold(run_path: str | os.PathLike, threshold: Threshold) -> epath.Path:
    """Writes a run's threshold atomically; returns the file path."""
    path = threshold_path(run_path)
    run_dir.write_atomically(path, json.dumps(threshold.to_dict(), indent=2) + "\n")
    return path
