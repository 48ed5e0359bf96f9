"""The threshold of a run: which pictures to keep, where that came from, and which checkpoint it belongs to.

`python -m blur_jax.threshold` writes it as `threshold.json` into the run directory; scoring and export read it there.
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
# What the file says beside the fields, for readers without this program.
_STATED = {"quantity": "blur", "direction": "in [0, 1], larger is blurrier; keep where blur < keep_below"}


@dataclasses.dataclass(frozen=True)
class Threshold:
    """A picture is kept when its blur is below `keep_below`.

    Attributes:
        keep_below: a score, 0 or more; above 1 it keeps everything.
        source: how it was chosen, a sentence for people.
        checkpoint: `checkpoints.fingerprint` of the parameters whose scores it is about.
        step: the step of that checkpoint.
        rule: what it aims at: "discard", "lose-good", "keep-bad" or "given".
        target: the share in [0, 1] that was wanted of the rule; None where it was given.
        pictures: how many pictures it was chosen on.
        interval: between which shares in [0, 1] the rule's share lies on new pictures of the same kind, in 95% of
            choices like this one; None where it was not chosen from pictures.
        date: of the choice, YYYY-MM-DD.
    """

    keep_below: float
    source: str
    checkpoint: str
    step: int | None = None
    rule: str = "given"
    target: float | None = None
    pictures: int = 0
    interval: tuple[float, float] | None = None
    date: str = ""

    def __post_init__(self) -> None:
        number = isinstance(self.keep_below, (int, float)) and not isinstance(self.keep_below, bool)
        if not number or not 0 <= self.keep_below <= sys.float_info.max:
            raise ValueError(f"keep_below must be a number, 0 or more, not {excerpt(self.keep_below)}")
        for name in ("source", "checkpoint", "rule", "date"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"{name} must be a text, not {excerpt(getattr(self, name))}")

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields, and what they are about, as a JSON-serializable dict."""
        return _STATED | dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Threshold":
        """Rebuilds a threshold from `to_dict`; raises ValueError for anything else."""
        known = _STATED.keys() | {field.name for field in dataclasses.fields(cls)}
        if not isinstance(fields, dict) or set(fields) != known:
            raise ValueError(f"a threshold must have the fields {sorted(known)}, found {excerpt(fields)}")
        if fields["quantity"] != _STATED["quantity"]:
            raise ValueError(f"a threshold must be of the quantity 'blur', found {excerpt(fields['quantity'])}")
        values = {name: value for name, value in fields.items() if name not in _STATED}
        if values["interval"] is not None and not isinstance(values["interval"], (list, tuple)):
            raise ValueError(f"the interval of a threshold must be two shares, not {excerpt(values['interval'])}")
        return cls(**values | {"interval": values["interval"] and tuple(values["interval"])})


def threshold_path(run_path: str | os.PathLike) -> epath.Path:
    """Returns where the threshold of a run lies, for the path of the run or of one of its checkpoints."""
    return run_dir.run_of(run_path) / THRESHOLD_FILE


def read_threshold(run_path: str | os.PathLike, *, checkpoint: str | None = None) -> Threshold | None:
    """Reads the threshold of a run; None where it has none.

    Args:
        run_path: a run directory or one of its checkpoints.
        checkpoint: fingerprint of the parameters that score; None takes a threshold of any.

    Raises:
        ValueError: the file is damaged, or about the scores of another checkpoint.
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
            f"{path}: was chosen for the scores of another checkpoint ({excerpt(threshold.checkpoint)}, step"
            f" {excerpt(threshold.step)}) than the one loaded ({checkpoint}); run blur_jax.threshold again, or give"
            " --keep-below"
        )
    return threshold


def write_threshold(run_path: str | os.PathLike, threshold: Threshold) -> epath.Path:
    """Writes the threshold of a run, whole or not at all; returns the path of the file."""
    path = threshold_path(run_path)
    run_dir.write_atomically(path, json.dumps(threshold.to_dict(), indent=2) + "\n")
    return path
