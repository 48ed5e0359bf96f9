"""Saves, resumes and loads runs on any topology; this is the only folder that uses Orbax.

A run directory contains `checkpoints/<step>/` folders. Each contains the parameters, the optimizer state and a `meta`
record (step, config, preprocessing, validation, calibration), so scoring needs only one checkpoint. Arrays are saved as
plain host arrays, so a checkpoint does not record the devices that wrote it. The record contains checksums of the
arrays and of itself; every reader checks them.
"""

# ruff: noqa: F401
from blur_jax.runs.checkpoints.checkpoint import Checkpoint, load_network, parse_meta
from blur_jax.runs.checkpoints.choice import ENOUGH_PAIRS, find
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
