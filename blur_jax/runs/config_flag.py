"""Defines the `--config` flag for launch.py and the experiments, and describes its errors in one sentence."""

import re
import traceback
from typing import Any

from absl import flags
from ml_collections import config_flags


class _OrNone(flags.ArgumentParser):
    """Parses "None", which unsets a config field, and otherwise uses the wrapped parser."""

    def __init__(self, parser: flags.ArgumentParser) -> None:
        self._parser = parser
        self.syntactic_help = parser.syntactic_help

    def parse(self, argument: Any) -> Any:
        return None if argument == "None" else self._parser.parse(argument)

    def flag_type(self) -> str:
        return self._parser.flag_type()


def define_config(default: str, **options: Any) -> flags.FlagHolder:
    """Defines --config and --config.<field>, where None unsets a field; `flag_error` describes its errors.

    `options` are passed to `config_flags.DEFINE_config_file`.
    """
    for kind, parser in {int: flags.IntegerParser(), float: flags.FloatParser(), str: flags.ArgumentParser()}.items():
        config_flags.register_flag_parser_for_type(kind, _OrNone(parser))
    return config_flags.DEFINE_config_file("config", default, "Config file; see configs/.", lock_config=True, **options)


def flag_error(error: Exception) -> str:
    """Describes, in one line, an error in a flag, a config field or the config file (which may raise any exception)."""
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
        return f"{text}; set config fields with --config.<field>=<value>"
    # ml_collections puts a traceback into its message.
    sentence = text.strip().splitlines()[-1] if "Traceback (most recent call last)" in text else text
    return " ".join(f"{_place(error, text)}{sentence}".split())


def _place(error: Exception, text: str) -> str:
    """Returns the line of the user's config file that raised the error, or "" if it was raised elsewhere."""
    if isinstance(error, SyntaxError):  # The text already includes the file and line.
        return ""
    in_text = re.findall(r'File "(.+)", line (\d+)', text)
    frames = in_text or [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if not frames or re.search(r"site-packages.(ml_collections|absl)\b", frames[-1][0]):
        return ""
    kind = "" if in_text else f"{type(error).__name__}: "  # The last line of the text includes the type.
    return f"{frames[-1][0]}, line {frames[-1][1]}: {kind}"
