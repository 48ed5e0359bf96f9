"""What the commands `python -m blur_jax.<name>` share: an error that a user can cause is one sentence, not a traceback.

They parse with argparse, so that `--help` answers at once, and import JAX only once the arguments are right.
"""

import argparse
import os
import re
import sys
import traceback
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


def flag_error(error: Exception) -> str:
    """Says on one line what is wrong with a flag, a field of the config or the config file.

    Args:
        error: what parsing the flags, or defining the flag of the config, raised: a config file may raise anything.
    """
    while error.args and isinstance(error.args[0], Exception):  # ml_collections wraps one error in another.
        error = error.args[0]
    text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
    field = re.fullmatch(r"'(?P<given>\w+)'(?:\nDid you mean \"(?P<close>\w+)\" instead of .*)?", text)
    if field and isinstance(error, KeyError):
        close = f"; did you mean {field['close']}?" if field["close"] else ""
        return f"the config has no field {field['given']}{close}"
    unread = re.search(r"\[Errno \d+\] (.+)", text)
    if unread and isinstance(error, OSError):
        return f"the config file cannot be read: {unread[1]}"
    if text.startswith("Unknown command line flag") and "Did you mean" not in text:
        return f"{text}; fields of the config are set as --config.<field>=<value>"
    return " ".join(f"{_place(error, text)}{_last_line(text)}".split())


def _place(error: Exception, text: str) -> str:
    """Says where in the user's config file it happened, if it happened there."""
    if isinstance(error, SyntaxError):  # Its text names file and line.
        return ""
    in_text = re.findall(r'File "(.+)", line (\d+)', text)
    frames = in_text or [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if not frames or re.search(r"site-packages.(ml_collections|absl)\b", frames[-1][0]):
        return ""
    kind = "" if in_text else f"{type(error).__name__}: "  # There the last line names the type.
    return f"{frames[-1][0]}, line {frames[-1][1]}: {kind}"


def _last_line(text: str) -> str:
    """Drops the traceback that ml_collections puts into its message."""
    return text.strip().splitlines()[-1] if "Traceback (most recent call last)" in text else text
