"""How well scores put faces, or labeled pairs, in their true order of blur, and how sure that is."""

from blur_jax.metrics.rank_statistics import auc, kendall, pairwise_accuracy, spearman

__all__ = ["auc", "kendall", "pairwise_accuracy", "spearman"]
