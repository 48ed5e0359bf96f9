"""Made-up evaluations, for tests of what is drawn and written of them."""

import numpy as np

from blur_jax.metrics import bootstrap, labeled_pairs
from blur_jax.metrics.labeled_pairs import LabeledPairs
from blur_jax.metrics.ranked_split import Evaluation

SIZE_BINS = [32, 40, 48, 64, 96]
HISTORY = [
    {"step": 10, "loss": 0.9, "ranking": 0.6, "quadruplet": 0.3, "pseudo_label_share": 0.5},
    {"step": 20, "loss": 0.5, "ranking": 0.4, "quadruplet": 0.1, "validation_accuracy": 0.75},
    {"step": 30, "loss": 0.4, "ranking": 0.3, "quadruplet": 0.1, "validation_accuracy": 0.7},
]


def evaluate(scores, ranks, *, names=None, groups=None, split="test", sizes=None):
    """An evaluation of these scores; the image of face i has the gray value i throughout."""
    scores, ranks = np.asarray(scores, np.float32), np.asarray(ranks, np.float32)
    n = len(scores)
    groups = groups or [""] * n
    sizes = np.full(n, 64) if sizes is None else np.asarray(sizes)
    members = {group: np.array([g == group for g in groups]) for group in set(groups) - {""}}
    members = {"": np.full(n, True)} | members
    found = {
        group: bootstrap.rank_metrics(scores[of], ranks[of], sizes[of], size_bins=SIZE_BINS, resamples=20)
        for group, of in members.items()
    }
    summary = found.pop("") | {"groups": found}
    images = np.zeros((n, 16, 16, 3), np.uint8) + np.arange(n, dtype=np.uint8)[:, None, None, None]
    names = names or [f"face_{i}.png" for i in range(n)]
    return Evaluation(split, scores, ranks, names, groups, images, summary)


def noisy(n, groups=None, levels=None, sizes=None):
    """An evaluation of n scores that go with the ranks, but for some noise."""
    rng = np.random.default_rng(0)
    ranks = rng.uniform(size=n)
    scores = np.clip(ranks + 0.2 * rng.normal(size=n), 0, 1)
    ranks = np.floor(ranks * levels) if levels else ranks
    return evaluate(scores, ranks, groups=groups, sizes=sizes)


def label(scores, *, order=None, names=None):
    """Labeled pairs of faces 0 and 1, 2 and 3, ... with these scores; without an order the right ones are blurrier."""
    scores = np.asarray(scores, np.float32)
    pairs = np.arange(len(scores)).reshape(-1, 2)
    order = np.ones(len(pairs), int) if order is None else np.asarray(order)
    images = np.zeros((len(scores), 16, 16, 3), np.uint8) + np.arange(len(scores), dtype=np.uint8)[:, None, None, None]
    names = names or [f"face_{i}.png" for i in range(len(scores))]
    return LabeledPairs(
        "validation", scores, names, images, pairs, order, labeled_pairs.pair_metrics(scores, pairs, order)
    )
