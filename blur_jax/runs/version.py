"""The package version, in a module without other imports so that `blur_jax.__version__` is fast."""

import importlib.metadata


def version() -> str:
    """Returns the version of the installed package, or "0+checkout" if it is not installed."""
    try:
        return importlib.metadata.version("blur_jax")
    except importlib.metadata.PackageNotFoundError:
        return "0+checkout"
