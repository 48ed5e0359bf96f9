"""Counts the contents of a prepared data set, for the report of a run."""

from typing import Any

import ml_collections
import numpy as np

from blur_jax.data import splits


def describe_data(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """Counts the pairs and faces of every split of `config.data` of a run.

    Returns:
        {"parts": [{"kind": "labeled", "unlabeled" or "ranked", "split", "pairs" (0 of ranked faces), "ties",
        "faces": different ones}],
        "lists": {list file: {"lines", "resolved", ...}} where the builder counted them,
        "agreement": {"annotators", "pairs", "alpha"} of the labels; None where one person labeled them,
        "headline_splits": the test splits that count}.

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
