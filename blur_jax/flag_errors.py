"""Errors of flags and config files, as absl and ml_collections raise them, in one sentence."""

import re
import traceback


def sentence(error: Exception) -> str:
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
