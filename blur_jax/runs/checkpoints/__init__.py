"""Saving, resuming and loading of runs on any topology: the only folder that knows Orbax.

A run directory holds `checkpoints/<step>/`, each with the parameters, the optimizer's state and a `meta` record
(step, config, preprocessing, validation, calibration), so that one checkpoint is all that scoring needs. Arrays are
saved as plain host arrays: a checkpoint says nothing of the devices that wrote it. The record holds checksums of the
arrays and of itself, which everything that reads a checkpoint compares.
"""

from blur_jax.runs.checkpoints.checkpoint import ENOUGH_PAIRS, Checkpoint, find, load_network, parse_meta
from blur_jax.runs.checkpoints.resume import newest_config, newest_whole, restore
from blur_jax.runs.checkpoints.step_folder import CheckpointError, fingerprint, latest_step
from blur_jax.runs.checkpoints.writer import CheckpointWriter

__all__ = [
    "ENOUGH_PAIRS",
    "CheckpointError",
    "CheckpointWriter",
    "Checkpoint",
    "find",
    "fingerprint",
    "latest_step",
    "load_network",
    "newest_config",
    "newest_whole",
    "parse_meta",
    "restore",
]
