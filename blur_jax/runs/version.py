"""The version of the package; imports nothing else, so that `blur_jax.__version__` answers at once."""

import importlib.metadata


def version() -> str:
    """Returns the version of the installed package, "0+checkout" if it is not installed."""
    try:
        return importlib.metadata.version("blur_jax")
    except importlib.metadata.PackageNotFoundError:
        return "0+checkout"
