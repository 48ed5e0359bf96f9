"""The baseline to beat: a linear ranker on frozen ImageNet features of all 16 blocks, fitted to labeled pairs."""

from collections.abc import Hashable, Mapping
from typing import Any

import ml_collections
import numpy as np

from blur_jax.data import splits as data
from blur_jax.models import linear_probe
from experiments import baseline_features


def score(
    fits: Mapping[Hashable, ml_collections.ConfigDict],
    tests: Mapping[str, Mapping[str, data.Split]],
    strength: float,
) -> dict[Hashable, dict[str, dict[str, Any]]]:
    """Fits a ranker to the labeled pairs of each of `fits` and scores the test faces.

    Args:
        fits: {name: `config.data` of a run}, of one data set; the last part of a name is the seed that draws the
            `labeled_count` pairs.
        tests: {axis: {ranked split: opened}}.
        strength: see `linear_probe.logistic_ranking`; cross-validation on all pairs chooses 1e-4.

    Returns:
        {name: {axis: {split: [n]}}}, larger = blurrier.
    """
    labeled = {
        name: data.open_split(config, "labeled", config.labeled_split, count=config.labeled_count, seed=name[-1])
        for name, config in fits.items()
    }
    rows = np.unique(np.concatenate([split.rows.ravel() for split in labeled.values()]))
    faces = next(iter(labeled.values())).faces
    features = baseline_features.imagenet_features(faces.stack(rows))
    test_features = {
        axis: {
            name: baseline_features.imagenet_features(split.faces.stack(split.rows)) for name, split in splits.items()
        }
        for axis, splits in tests.items()
    }
    scores = {}
    for name, split in labeled.items():
        places = np.searchsorted(rows, split.rows)
        used, pairs = np.unique(places, return_inverse=True)
        kernel, bias = linear_probe.logistic_ranking(
            features[used], pairs.reshape(-1, 2), split.labels.astype(np.int64), strength=strength
        )
        scores[name] = {
            axis: {test: (face_features @ kernel + bias).tolist() for test, face_features in splits.items()}
            for axis, splits in test_features.items()
        }
    return scores
