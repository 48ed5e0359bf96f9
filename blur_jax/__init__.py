"""Learns from pairs and unlabeled pictures to score how blurred a picture of a face (or other object) is.

    scorer = blur_jax.load_scorer("runs/demo")
    blur = scorer.score(["a.jpg", "b.jpg"])  # float32 [n], 0 = sharp, 1 = blurred
    blur_jax.metrics.spearman(blur, true_blur)  # or auc, pairwise_accuracy, kendall
    blur_jax.losses.margin_ranking(left=left, right=right, order=order, margin=0.2)  # float32 [pairs]
    # or quadruplet_consistency, pairwise_consistency, pair_distillation

Names are imported on first use, so the metrics do not load JAX and the losses do not load Flax.
"""

import importlib
from typing import TYPE_CHECKING, Any

from blur_jax.runs import forks as _forks  # noqa: F401  # Detects forks only if imported before them.

if TYPE_CHECKING:
    from blur_jax import metrics
    from blur_jax.score.scorer import Scorer, load_scorer
    from blur_jax.train import losses

__all__ = ["Scorer", "__version__", "load_scorer", "losses", "metrics"]


def __getattr__(name: str) -> Any:
    match name:
        case "Scorer" | "load_scorer":
            return getattr(importlib.import_module("blur_jax.score.scorer"), name)
        case "losses":
            return importlib.import_module("blur_jax.train.losses")
        case "metrics":
            return importlib.import_module("blur_jax.metrics")
        case "__version__":
            return importlib.import_module("blur_jax.runs.version").version()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
