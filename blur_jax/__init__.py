"""blur_jax scores how blurred a picture of a face (or another object) is, learned from pairs and unlabeled pictures.

scorer = blur_jax.load_scorer("runs/demo")
scores = scorer.score(["a.jpg", "b.jpg"])  # 0 sharp, 1 blurred
"""

import importlib
import importlib.metadata
from typing import Any

__all__ = ["Scorer", "__version__", "load_scorer"]


def __getattr__(name: str) -> Any:
    """Imports what is asked for only then: whoever wants the losses alone does not load Orbax."""
    if name in ("Scorer", "load_scorer"):
        return getattr(importlib.import_module("blur_jax.score.scorer"), name)
    if name == "__version__":
        try:
            return importlib.metadata.version("blur_jax")
        except importlib.metadata.PackageNotFoundError:
            return "0+checkout"  # Not installed.
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
