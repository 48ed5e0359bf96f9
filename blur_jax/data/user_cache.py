"""Locates the folders for prepared data and compiled programs, which the project can always recreate."""

import os


def folder() -> str:
    """Returns the blur_jax folder in the user's cache folder; it may not exist."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(cache, "blur_jax")


def default_dir() -> str:
    """Returns the default folder for prepared data: $BLUR_JAX_DATA if it is set, otherwise `folder()`."""
    return os.environ.get("BLUR_JAX_DATA") or folder()
