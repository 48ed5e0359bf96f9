"""Measures how well scores put faces, or labeled pairs, in their true order of blur, with intervals."""

from blur_jax.metrics.rank_statistics import auc, kendall, pairwise_accuracy, spearman

__all__ = ["auc", "kendall", "pairwise_accuracy", "spearman"]
