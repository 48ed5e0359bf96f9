"""Expands `~` in a user's paths, and locates the folders for prepared data and compiled programs."""

import os
import tempfile


def expand(path: str | os.PathLike) -> str:
    """Returns a user's path with `~` replaced by the home folder.

    Raises:
        ValueError: the path begins with `~`, but the user has no home folder.
    """
    text = os.fspath(path)
    expanded = os.path.expanduser(text)
    if expanded == text and (text == "~" or text.startswith("~/")):
        raise ValueError(f"{text}: this user has no home folder; set HOME, or pass a path without ~")
    return expanded


def folder() -> str:
    """Returns the blur_jax folder in the user's cache folder; it may not exist.

    If the user has no home folder, as in some containers, returns a folder in the system's temporary folder.
    """
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if cache.startswith("~"):
        return os.path.join(tempfile.gettempdir(), f"blur_jax-{os.getuid()}")
    return os.path.join(cache, "blur_jax")


def default_dir() -> str:
    """Returns the default folder for prepared data: $BLUR_JAX_DATA if it is set, otherwise `folder()`."""
    return os.environ.get("BLUR_JAX_DATA") or folder()
