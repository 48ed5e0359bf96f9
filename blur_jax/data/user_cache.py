"""Where on this machine the project keeps what it can make again: prepared data and compiled programs."""

import os


def folder() -> str:
    """Returns blur_jax below the user's cache folder; it may not exist."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(cache, "blur_jax")


def default_dir() -> str:
    """Returns where prepared data live by default: $BLUR_JAX_DATA, or blur_jax below the user's cache folder."""
    return os.environ.get("BLUR_JAX_DATA") or folder()
