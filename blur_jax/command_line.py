"""What the commands `python -m blur_jax.<name>` share: an error that a user can cause is one sentence, not a traceback.

They parse with argparse, so that `--help` answers at once, and import JAX only once the arguments are right.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence

USAGE = 2  # Exit status of a command that was called wrongly, as argparse has it.
INTERRUPTED = 130  # Exit status after Ctrl-C, as shells have it.


def run(
    parser: argparse.ArgumentParser, command: Callable[[argparse.Namespace], int], argv: Sequence[str] | None
) -> int:
    """Parses and runs a command; returns its exit status.

    Args:
        parser: gets `--debug`, which shows tracebacks.
        command: from the arguments to an exit status, 0 for success.
        argv: the arguments; None takes those of the process.
    """
    parser.add_argument("--debug", action="store_true", help="show where an error came from")
    arguments = parser.parse_args(argv)
    name = parser.prog.rpartition(".")[2]
    try:
        return command(arguments)
    except (ValueError, OSError, ImportError) as error:
        if arguments.debug:
            raise
        print(f"{name}: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        print(f"{name}: interrupted; rerun the same command to continue", file=sys.stderr)
        return INTERRUPTED
    finally:
        # A reader that has gone away (`| head`) is no error.
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
