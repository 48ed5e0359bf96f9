# ruff: noqa: F401
"""What programs need that tests/helpers/forked.py starts; imported before they are forked."""

import jax.experimental.multihost_utils
import tensorboardX
from ml_collections import config_flags

import blur_jax.evaluate.evaluation
import blur_jax.evaluate.figures
import blur_jax.evaluate.overrides
import blur_jax.train.dry_run
import blur_jax.train.loop
import tfds_builders.prepare
