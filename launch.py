"""Trains or evaluates a blur scorer.

    python launch.py --workdir=runs/demo

With no --config it trains the demo of configs/default.py. Fields are set as --config.steps=800 or
--config.consistency.quadruplet_weight=0. Rerun the same command to resume a run that was stopped.
"""

import os
import sys
from typing import NoReturn

import jax
import ml_collections
from absl import app, flags, logging
from ml_collections import config_flags

from blur_jax import checkpoints, config_check, distributed
from blur_jax.evaluate import evaluate, summary_text
from blur_jax.train import train
from tfds_builders.prepare import prepare_configured

_HERE = os.path.dirname(os.path.abspath(__file__))
# What config_flags raises for a wrong field, type or file; for the default config it does so here already.
_CONFIG_ERRORS = (AttributeError, KeyError, TypeError, ValueError, OSError, ImportError)


def refuse(error: Exception) -> NoReturn:
    """Exits with one sentence about a wrong config."""
    text = error.args[0] if isinstance(error, KeyError) else error
    sys.exit(f"launch.py: --config: {' '.join(str(text).split())} (fields and types: configs/default.py)")


try:
    _CONFIG = config_flags.DEFINE_config_file(
        "config", os.path.join(_HERE, "configs", "default.py"), "Config file, see configs/.", lock_config=True
    )
except _CONFIG_ERRORS as error:
    refuse(error)
_WORKDIR = flags.DEFINE_string(
    "workdir",
    None,
    "Run directory: checkpoints, metrics and the report go here. A local path, gs:// or s3://.",
    required=True,
)
_MODE = flags.DEFINE_enum(
    "mode", "train", ["train", "evaluate"], "Train and then evaluate, or only evaluate the run's best checkpoint."
)
_DISTRIBUTED = flags.DEFINE_boolean(
    "distributed", False, "Join the other processes of a pod with jax.distributed.initialize()."
)


def run(config: ml_collections.ConfigDict, workdir: str, mode: str) -> None:
    """Prepares the data where needed, trains, evaluates and says where the results are."""
    # What can be refused at once is refused before minutes go into preparing the data.
    if mode == "train":
        config_check.check(config)
    else:
        distributed.everywhere(checkpoints.find, workdir)
    config.data.sources = distributed.on_process_zero(prepare_configured, config.data)
    if mode == "train" and not train(config, workdir):
        return
    distributed.say(summary_text(evaluate(config, workdir), workdir))


def main(argv: list[str]) -> None:
    """Runs what the flags ask for; errors that a user can fix become one sentence."""
    if len(argv) > 1:
        raise app.UsageError(f"unknown argument {argv[1]!r}; fields are set as --config.<field>=<value>")
    if not flags.FLAGS["verbosity"].present:
        logging.set_verbosity(logging.WARNING)  # The libraries log much that only debugging needs.
    if _DISTRIBUTED.value:
        jax.distributed.initialize()
    try:
        run(_CONFIG.value, _WORKDIR.value, _MODE.value)
    except (ValueError, OSError, FloatingPointError) as error:
        if logging.get_verbosity() >= logging.DEBUG:
            raise
        sys.exit(f"launch.py: {error}\n(--verbosity=1 shows where)")


def parse(argv: list[str]) -> list[str]:
    """Reads the flags, and with them the config."""
    try:
        return app.parse_flags_with_usage(argv)
    except _CONFIG_ERRORS as error:
        refuse(error)


if __name__ == "__main__":
    app.run(main, flags_parser=parse)
