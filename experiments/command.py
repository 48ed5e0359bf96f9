"""The command line for experiments; flags have the same names as the arguments of the experiment's function."""

import inspect
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from absl import app, flags, logging

from blur_jax.runs import command_line, config_flag

flags.disclaim_key_flags()  # This makes `--help` list the flags defined here as those of the experiment.

# config_flags raises these for a wrong field, type or file, even while defining the flag.
_CONFIG_ERRORS = (AttributeError, KeyError, TypeError, ValueError, OSError, ImportError)


def define_config(name: str) -> None:
    """Defines --config and --config.<field>; the default is the file <name>.py in experiments/configs."""
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "configs", f"{name}.py")
    try:
        config_flag.define_config(path)
    except _CONFIG_ERRORS as error:
        _refuse(error)


def define_workdir(default: str) -> None:
    flags.DEFINE_string("workdir", default, "Folder for results and runs.")


def define_grid(*, seeds: int) -> None:
    flags.DEFINE_integer("seeds", seeds, "Number of runs of each kind, with seeds 0, 1, ...", lower_bound=1)
    flags.DEFINE_integer("workers", 1, "Number of runs to train at a time; 2 is faster on a CPU.", lower_bound=1)


def define_far(*, required: bool) -> None:
    flags.DEFINE_string("far", None, "A folder with a different kind of pictures and a ranked.csv.", required=required)


def define_judged(*, required: bool) -> None:
    flags.DEFINE_string("judged", None, "A CSV table of judged pairs.", required=required)


def main(experiment: Callable[..., None]) -> None:
    """Calls an experiment with the flags that match its arguments; prints user errors without a traceback."""

    def call(argv: list[str]) -> None:
        if len(argv) > 1:
            raise app.UsageError(f"unknown argument {argv[1]!r}; set fields with --config.<field>=<value>")
        if not flags.FLAGS["verbosity"].present:
            logging.set_verbosity(logging.WARNING)
        names = inspect.signature(experiment).parameters
        try:
            experiment(**{name: command_line.expanded(flags.FLAGS[name].value) for name in names})
        except Exception as error:
            if logging.get_verbosity() >= logging.DEBUG or isinstance(error, command_line.BUGS):
                raise
            sys.exit(f"{_name()}: {command_line.sentence(error)}")

    app.run(call, flags_parser=_parse)


def _parse(argv: list[str]) -> list[str]:
    try:
        return app.parse_flags_with_usage(argv)
    except _CONFIG_ERRORS as error:
        _refuse(error)


def _refuse(error: Exception) -> NoReturn:
    sys.exit(f"{_name()}: --config: {config_flag.flag_error(error)} (fields and types: configs/default.py)")


def _name() -> str:
    return os.path.splitext(os.path.basename(sys.argv[0]))[0]
