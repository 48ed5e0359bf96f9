"""Runs `python -m blur_jax.<name>` commands; an error that a user can cause prints one sentence, not a traceback.

Commands use argparse and import JAX only after the arguments are parsed, so `--help` is immediate.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from blur_jax.data.untrusted import reason
from blur_jax.data.user_cache import expand
from blur_jax.shipped import DEFAULT

USAGE = 2  # Exit status after a usage error, as in argparse.
# A traceback helps only with these. Errors caused by users, disks or devices may have any other type.
BUGS = (AssertionError, AttributeError, LookupError, NameError, TypeError)
_OURS = (ValueError, OSError, ImportError, FloatingPointError)
READER_STOPPED = 141  # Exit status after SIGPIPE, as in shells.
INTERRUPTED = 130  # Exit status after Ctrl-C, as in shells.


def run(
    parser: argparse.ArgumentParser, command: Callable[[argparse.Namespace], int], argv: Sequence[str] | None
) -> int:
    """Runs `command` on the parsed arguments and returns its exit status; adds `--debug`, which shows tracebacks.

    If `argv` is None, parses the process's own arguments.
    """
    parser.add_argument("--debug", action="store_true", help="show error tracebacks")
    arguments = parser.parse_args(argv)
    name = parser.prog.rpartition(".")[2]
    try:
        return command(argparse.Namespace(**{field: expanded(value) for field, value in vars(arguments).items()}))
    except BrokenPipeError:  # The reader of the output has stopped (`| head`).
        return READER_STOPPED
    except Exception as error:
        if arguments.debug or isinstance(error, BUGS):
            raise
        print(f"{name}: {sentence(error)}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        return interrupted(name)
    finally:
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def interrupted(name: str) -> int:
    """Reports that Ctrl-C has ended the command `name`; returns the exit status."""
    print(f"{name}: interrupted; rerun the same command to continue", file=sys.stderr)
    return INTERRUPTED


def add_checkpoint(parser: argparse.ArgumentParser) -> None:
    """Adds `--checkpoint`, the scorer that a command uses."""
    parser.add_argument(
        "--checkpoint",
        default=DEFAULT,
        metavar="RUN",
        help=f"a run directory, or one of its checkpoints; default: {DEFAULT}, which comes with this package",
    )


def expanded(value: Any) -> Any:
    """Expands `~` in an argument, since shells do not expand it in `--output=~/file`."""
    if isinstance(value, list):
        return [expanded(item) for item in value]
    return expand(value) if isinstance(value, str) else value


def sentence(error: Exception) -> str:
    """Describes an error that is not one of `BUGS`; errors from JAX and other libraries include their type."""
    return str(error) if isinstance(error, _OURS) else f"{type(error).__name__}: {reason(error)}"
