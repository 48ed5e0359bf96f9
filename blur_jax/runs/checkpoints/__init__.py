"""Saves, resumes and loads runs on any topology: the only folder that knows Orbax.

A run directory contains `checkpoints/<step>/`, each with the parameters, the optimizer's state and a `meta` record
(step, config, preprocessing, validation, calibration), so scoring needs one checkpoint and nothing else. Arrays are
saved as plain host arrays: a checkpoint does not record the devices that wrote it. The record contains checksums of
the arrays and of itself; every reader compares them.
"""

# ruff: noqa: F401
from blur_jax.runs.checkpoints.checkpoint import ENOUGH_PAIRS, Checkpoint, find, load_network, parse_meta
from blur_jax.runs.checkpoints.steps import (
    CheckpointError,
    fingerprint,
    latest_step,
    newest_config,
    newest_whole,
    restore,
)
from blur_jax.runs.checkpoints.trial import try_folder
from blur_jax.runs.checkpoints.writer import CheckpointWriter
