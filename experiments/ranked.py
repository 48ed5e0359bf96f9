"""The ranked splits of a prepared data set, and size-matched metrics for scores on them."""

from collections.abc import Iterable, Mapping
from typing import Any

import ml_collections
import numpy as np

from blur_jax.data import splits as data
from blur_jax.evaluate import evaluation
from blur_jax.metrics import bootstrap
from blur_jax.score.scorer import Scorer, load_scorer
from tfds_builders.prepare import prepare_configured


def prepare(config: ml_collections.ConfigDict) -> None:
    """Prepares the data set of a run's `config.data` from `manual_dir`, if set, and sets `config.sources`."""
    config.sources = prepare_configured(config) if config.manual_dir else data.prepared_sources(config)


def far_data(config: ml_collections.ConfigDict, far: str) -> ml_collections.ConfigDict:
    """Prepares the ranked pictures of the folder `far` like those of a run's `config.data`; returns theirs."""
    far_config = config.copy_and_resolve_references()
    far_config.update(name="folder_face_blur", manual_dir=far, sources=None, allow_missing=False)
    far_config.sources = prepare_configured(far_config, required=("ranked",))
    return far_config


def open_splits(config: ml_collections.ConfigDict, names: Iterable[str] | None = None) -> dict[str, data.Split]:
    """Opens the ranked splits `names` in order, or all, sorted by name. Raises the same errors as `data.open_split`."""
    names = data.split_names(config, "ranked") if names is None else names
    return {name: data.open_split(config, "ranked", name) for name in names}


def score_axes(
    config: ml_collections.ConfigDict, folder: str, far: Mapping[str, Any] | None
) -> tuple[Scorer, dict[str, evaluation.Scored]]:
    """Scores the ranked faces of a run's data set ("near") and, unless it is None, of the `config.data` `far` ("far").

    Returns (the scorer of the run's best checkpoint, {axis: `evaluation.score_data`}).
    """
    configs = {"near": config}
    if far is not None:
        configs["far"] = config.copy_and_resolve_references()
        configs["far"].data = ml_collections.ConfigDict(far)
    scorer = load_scorer(folder)
    return scorer, {axis: evaluation.score_data(own, scorer, ("ranked",)) for axis, own in configs.items()}


def headline_names(splits: Mapping[str, data.Split]) -> list[str]:
    """Returns the splits whose mean is the headline metric, or all splits if the data set defines none."""
    (*_, last) = splits.values()
    return [name for name in last.metadata["headline_splits"] if name in splits] or list(splits)


def sizes(split: data.Split) -> np.ndarray:
    """Returns the size of each face in a ranked split, float32 [n], in pixels."""
    return split.faces.sizes[split.rows]


def headlines(
    scores: Mapping[str, np.ndarray], splits: Mapping[str, data.Split], *, resamples: int
) -> dict[str, dict[str, np.ndarray]]:
    """Returns `bootstrap.headlines` for the scores {split: [n]}; "mean" is the mean over headline splits.

    To compare scorers, pass the same splits in the same order.
    """
    (*_, last) = splits.values()
    columns = {name: (scores[name], np.asarray(split.labels), sizes(split)) for name, split in splits.items()}
    edges, names = last.metadata["size_bins"], headline_names(splits)
    return bootstrap.headlines(columns, names, size_bins=edges, resamples=resamples)
