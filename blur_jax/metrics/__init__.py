"""Measures, with intervals, how well scores order faces or labeled pairs by their true blur."""

from blur_jax.metrics.rank_statistics import auc, kendall, pairwise_accuracy, spearman

__all__ = ["auc", "kendall", "pairwise_accuracy", "spearman"]
