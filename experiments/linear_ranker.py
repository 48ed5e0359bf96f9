"""The line to beat: a linear ranker on frozen ImageNet features of all 16 blocks, fitted to some labeled pairs."""

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
        fits: {name: `config.data` of a run with `labeled_count` set}, of one data set; the seed of the draw is the
            last part of the name.
        tests: {axis: {ranked split: opened}}.
        strength: see `linear_probe.logistic_ranking`; 1e-4 is what cross-validation on all pairs chooses.

    Returns:
        {name: {axis: {split: [n]}}}, larger = blurrier.
    """
    opened = {name: _open(of_fit, name[-1]) for name, of_fit in fits.items()}
    rows = np.unique(np.concatenate([split.rows.ravel() for split in opened.values()]))
    faces = next(iter(opened.values())).faces
    features = baseline_features.imagenet_features(faces.stack(rows))
    of_tests = {
        axis: {
            name: baseline_features.imagenet_features(split.faces.stack(split.rows)) for name, split in splits.items()
        }
        for axis, splits in tests.items()
    }
    found = {}
    for name, split in opened.items():
        places = np.searchsorted(rows, split.rows)
        used, pairs = np.unique(places, return_inverse=True)
        kernel, bias = linear_probe.logistic_ranking(
            features[used], pairs.reshape(-1, 2), split.labels.astype(np.int64), strength=strength
        )
        found[name] = {
            axis: {test: (each @ kernel + bias).tolist() for test, each in splits.items()}
            for axis, splits in of_tests.items()
        }
    return found


def _open(config: ml_collections.ConfigDict, seed: int) -> data.Split:
    return data.open_split(config, "labeled", config.labeled_split, count=config.labeled_count, seed=seed)
