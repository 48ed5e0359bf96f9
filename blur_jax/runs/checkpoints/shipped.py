"""Reads and writes the scorers that come with the package: heads on ImageNet features."""

import dataclasses
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import jax
import numpy as np

from blur_jax.data import files
from blur_jax.data.untrusted import read_json, reason
from blur_jax.models import pretrained
from blur_jax.runs.checkpoints.checkpoint import Checkpoint, parse_meta
from blur_jax.runs.checkpoints.steps import METRIC, CheckpointError, fingerprint
from blur_jax.shipped import ENDING, FOLDER, names

_HEAD, _META = "head", "meta"


def find(path: str | os.PathLike) -> "HeadCheckpoint":
    """Reads the record of a scorer, given its name or its file; raises CheckpointError if it is missing or damaged."""
    file = FOLDER / f"{path}{ENDING}" if os.fspath(path) in names() else Path(path)
    try:
        with open(file, "rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            meta = read_json(str(arrays[_META]))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{file}: not a blur_jax scorer, or a damaged one ({reason(error)})") from error
    saved = parse_meta(file, meta)
    return HeadCheckpoint(**{field.name: getattr(saved, field.name) for field in dataclasses.fields(saved)})


@dataclasses.dataclass(frozen=True)
class HeadCheckpoint(Checkpoint):
    """The record of a scorer of which only the head is stored."""

    def load_params(self, template: Any) -> Any:
        """Reads the head, and the backbone's ImageNet weights; raises FileNotFoundError if these are not installed."""
        with np.load(self.path, allow_pickle=False) as arrays:
            head = {name: arrays[f"{_HEAD}/{name}"] for name in template["head"]}
        if self.checksums[_HEAD] != fingerprint(head):
            raise CheckpointError(f"{self.path}: damaged; the head does not match its checksum; reinstall blur_jax")
        return pretrained.load(self.config.model.backbone, template) | {"head": head}


def write(file: str | os.PathLike, saved: Checkpoint, params: Any) -> None:
    """Writes the head of a checkpoint whose backbone still has its ImageNet weights.

    `params` are the checkpoint's parameters. Raises ValueError if its backbone was trained.
    """
    untrained = pretrained.load(saved.config.model.backbone, params)["backbone"]
    if fingerprint(untrained) != fingerprint(params["backbone"]):
        raise ValueError(
            f"{saved.path}: the backbone was trained; only a head on ImageNet features can be stored alone"
        )
    head = jax.tree.map(np.asarray, dict(params["head"]))
    meta = {
        "step": saved.step,
        "config": json.loads(saved.config.to_json()),
        "preprocessing": saved.preprocessing.to_dict(),
        METRIC: saved.validation_accuracy,
        "validation_pairs": saved.validation_pairs,
        "calibration": saved.calibration.to_dict() if saved.calibration else None,
        "checksums": {_HEAD: fingerprint(head)},
    }
    arrays: dict[str, Any] = {f"{_HEAD}/{name}": array for name, array in head.items()}
    arrays[_META] = np.array(json.dumps(meta))
    with files.replacing(file) as temporary, open(temporary, "wb") as stream:
        np.savez(stream, **arrays)
