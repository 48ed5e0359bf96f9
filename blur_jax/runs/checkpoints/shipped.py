"""Reads and writes the scorers that come with the package: heads on ImageNet features.

A file contains every part of the network but the backbone: the head, and the pooling that its features need.
"""

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

_META = "meta"
_BACKBONE = "backbone"


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
    """The record of a scorer whose backbone is not stored."""

    def load_params(self, template: Any) -> Any:
        """Reads the parts, and the backbone's ImageNet weights; raises FileNotFoundError if these are not installed."""
        parts = _without_backbone(template)
        with np.load(self.path, allow_pickle=False) as arrays:
            parts = jax.tree_util.tree_map_with_path(lambda path, _: arrays[_name(path)], parts)
        for name, part in parts.items():
            if self.checksums[name] != fingerprint(part):
                raise CheckpointError(
                    f"{self.path}: damaged; the {name} does not match its checksum; reinstall blur_jax"
                )
        return pretrained.load(self.config.model.backbone, template) | parts


def write(file: str | os.PathLike, saved: Checkpoint, params: Any) -> None:
    """Writes a checkpoint whose backbone still has its ImageNet weights, without the backbone.

    `params` are the checkpoint's parameters. Raises ValueError if its backbone was trained.
    """
    untrained = pretrained.load(saved.config.model.backbone, params)[_BACKBONE]
    if fingerprint(untrained) != fingerprint(params[_BACKBONE]):
        raise ValueError(
            f"{saved.path}: the backbone was trained; only a head on ImageNet features can be stored alone"
        )
    parts = jax.tree.map(np.asarray, _without_backbone(params))
    meta = {
        "step": saved.step,
        "config": json.loads(saved.config.to_json()),
        "preprocessing": saved.preprocessing.to_dict(),
        METRIC: saved.validation_accuracy,
        "validation_pairs": saved.validation_pairs,
        "calibration": saved.calibration.to_dict() if saved.calibration else None,
        "checksums": {name: fingerprint(part) for name, part in parts.items()},
    }
    arrays = {_name(path): array for path, array in jax.tree_util.tree_leaves_with_path(parts)}
    arrays[_META] = np.array(json.dumps(meta))
    with files.replacing(file) as temporary, open(temporary, "wb") as stream:
        np.savez(stream, **arrays)


def _without_backbone(params: Any) -> dict[str, Any]:
    return {name: part for name, part in params.items() if name != _BACKBONE}


def _name(path: tuple) -> str:
    """Returns the name of an array in the file, such as "head/kernel"."""
    return jax.tree_util.keystr(path, simple=True, separator="/")
