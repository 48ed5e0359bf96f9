"""Counts the contents of a prepared data set for a run's report."""

from typing import Any

import ml_collections
import numpy as np

from blur_jax.data import splits


def describe_data(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """Counts the pairs and faces in every split of a run's `config.data`.

    Returns:
        {"parts": [{"kind": "labeled", "unlabeled" or "ranked", "split", "pairs" (0 for ranked faces), "ties",
        "faces": the number of distinct faces}],
        "lists": {list file: {"lines", "resolved", ...}}, if the builder counted them,
        "agreement": {"annotators", "pairs", "alpha"} for the labels; None if only one person labeled them,
        "headline_splits": the test splits in the headline mean}.

    Raises:
        FileNotFoundError: the data are not prepared.
    """
    parts, lists, agreement, headline = [], {}, None, []
    for kind in ("labeled", "unlabeled", "ranked"):
        for name in splits.split_names(config, kind):
            split = splits.open_split(config, kind, name)
            labeled = split.labels if kind == "labeled" else np.ones(len(split))
            counts = {"pairs": len(split) * (kind != "ranked"), "ties": int(np.sum(labeled == 0))}
            parts.append({"kind": kind, "split": name, **counts, "faces": len(np.unique(split.rows))})
            lists |= split.metadata.get("coverage", {}).get("lists", {})
            agreement = agreement or split.metadata.get("agreement")
            headline = split.metadata.get("headline_splits", headline)
    return {"parts": parts, "lists": lists, "agreement": agreement, "headline_splits": list(headline)}
