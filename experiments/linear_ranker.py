"""Baseline: a linear ranker on frozen ImageNet features from all 16 blocks, fitted to labeled pairs."""

from collections.abc import Mapping
from typing import Any

import ml_collections
import numpy as np

from blur_jax.data import splits as data
from blur_jax.models import linear_probe
from experiments import baseline_features

Draw = tuple[int, int]  # Number of labeled pairs, seed.


def score(
    fits: Mapping[Draw, ml_collections.ConfigDict], tests: Mapping[str, Mapping[str, data.Split]], strength: float
) -> dict[Draw, dict[str, dict[str, Any]]]:
    """Fits a ranker to the labeled pairs of each draw; returns {draw: {axis: {split: [n]}}}, larger is blurrier.

    `fits` is {draw: `config.data` of a run}, all on the same data set; `tests` is {axis: {ranked split: opened split}}.
    For `strength`, see `linear_probe.logistic_ranking`; cross-validation on all pairs chooses 1e-4.
    """
    labeled = {
        name: data.open_split(config, "labeled", config.labeled_split, count=config.labeled_count, seed=name[-1])
        for name, config in fits.items()
    }
    rows = np.unique(np.concatenate([split.rows.ravel() for split in labeled.values()]))
    faces = next(iter(labeled.values())).faces
    extract = baseline_features.imagenet_features
    features = extract(faces.stack(rows))
    test_features = {
        axis: {name: extract(split.faces.stack(split.rows)) for name, split in splits.items()}
        for axis, splits in tests.items()
    }
    scores = {}
    for name, split in labeled.items():
        used, pairs = np.unique(np.searchsorted(rows, split.rows), return_inverse=True)
        pairs, order = pairs.reshape(-1, 2), np.asarray(split.labels, np.int64)
        kernel, bias = linear_probe.logistic_ranking(features[used], pairs, order, strength=strength)
        scores[name] = {
            axis: {test: (face_features @ kernel + bias).tolist() for test, face_features in splits.items()}
            for axis, splits in test_features.items()
        }
    return scores
