"""Fits the initial head to labeled pairs and, if the config weighs them, to unlabeled faces at known resolutions.

Every unlabeled face is read as it is and at two low resolutions, and, if the config penalizes changes, once more after
an augmentation. All processes compute the same features and use the head of process 0.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from blur_jax.data import augmentation, preprocessing, splits
from blur_jax.models import linear_probe, network
from blur_jax.runs import distributed, inference
from blur_jax.runs.config import probe_uses_unlabeled
from blur_jax.train import step as train_step

_REDUCED = 2  # Reduced versions of each unlabeled face.
_CHUNK = 256  # Images that are augmented at a time.


class Images(NamedTuple):
    """The faces that the head is fitted to."""

    labeled: np.ndarray  # uint8 [n, S, S, 3]
    pairs: np.ndarray  # int [m, 2], rows of `labeled`.
    order: np.ndarray  # int8 [m], see `splits.Split.labels`.
    unlabeled: np.ndarray | None  # uint8 [k, S, S, 3]; None if no term uses them.


def read(config: ml_collections.ConfigDict, labeled: splits.Split, unlabeled: splits.Split | None) -> Images | None:
    """Reads the faces that `fit` needs; returns None if `config.probe` does not fit a head."""
    if config.probe.strength is None:
        return None
    rows, pairs = splits.used_faces(labeled)
    faces = None
    if probe_uses_unlabeled(config) and unlabeled is not None:
        chosen = np.random.default_rng(config.seed).permutation(np.unique(unlabeled.rows))[: config.probe.faces]
        faces = unlabeled.faces.stack(chosen)
    return Images(labeled.faces.stack(rows), pairs, np.asarray(labeled.labels), faces)


def fit(
    config: ml_collections.ConfigDict, model: network.Network, params: network.Params, images: Images
) -> dict[str, np.ndarray]:
    """Fits the head of a network to its features; all processes must call it together and return the same head.

    The head in `params` is the prior.

    Returns {"kernel": float32 [F, 1], "bias": float32 [1]}. Raises ValueError if all labeled pairs are ties.
    """
    labeled, unlabeled = features(config, model, params, images)
    return fit_head(labeled, images.pairs, images.order, strength=config.probe.strength, unlabeled=unlabeled)


def features(
    config: ml_collections.ConfigDict, model: network.Network, params: network.Params, images: Images
) -> tuple[np.ndarray, linear_probe.Unlabeled | None]:
    """Returns what `fit` needs: the features of the labeled faces, float32 [n, F], and those of the unlabeled faces."""
    features_of = inference.make_features(model)

    def read(images: np.ndarray, progress: str) -> np.ndarray:
        return features_of(params, images, batch_size=config.evaluation.batch_size, progress=progress)

    labeled = read(images.labeled, "linear probe")
    if images.unlabeled is None:
        return labeled, None
    reduced, sides = reduce(images.unlabeled, config)
    pictures = np.concatenate([reduced, images.unlabeled])
    views = changed = read(pictures, "linear probe, unlabeled faces")
    if config.probe.changes:
        changed = read(augment(pictures, config), "linear probe, changed faces")
    return labeled, linear_probe.Unlabeled(
        views=views,
        changed=changed,
        sides=sides,
        prior=views @ np.asarray(params["head"]["kernel"])[:, 0],
        content=config.probe.content,
        changes=config.probe.changes,
        follow=config.probe.prior,
    )


def fit_head(features: np.ndarray, pairs: np.ndarray, order: np.ndarray, **options: Any) -> dict[str, np.ndarray]:
    """Fits a head with `linear_probe.logistic_ranking`, identical on every process.

    `features` are the head's inputs, float [n, F]; returns {"kernel": float32 [F, 1], "bias": float32 [1]}.
    """
    kernel, bias = distributed.everywhere(linear_probe.logistic_ranking, features, pairs, order, **options)
    # Processes whose BLAS rounds differently would drift apart.
    return distributed.broadcast({"kernel": kernel[:, None], "bias": bias[None]})


def reduce(images: np.ndarray, config: ml_collections.ConfigDict) -> tuple[np.ndarray, np.ndarray]:
    """Reduces each face, uint8 [n, S, S, 3], to two low resolutions, deterministically.

    Returns (reduced uint8 [2n, S, S, 3], see `preprocessing.at_resolution`; their sides in pixels, int [2n]).
    """
    limits = np.log([config.probe.side_min, config.probe.side_max])
    rng = np.random.default_rng(config.seed)
    sides = np.rint(np.exp(rng.uniform(*limits, _REDUCED * len(images)))).astype(int)
    reduced = np.stack([preprocessing.at_resolution(*each) for each in zip([*images] * _REDUCED, sides.tolist())])
    return reduced, sides


def augment(images: np.ndarray, config: ml_collections.ConfigDict) -> np.ndarray:
    """Augments each of uint8 [n, S, S, 3] with its own draw, deterministically."""

    def change(key: jax.Array, image: jax.Array) -> jax.Array:
        draw = augmentation.sample(key, image_size=config.data.image_size, **config.augment)
        return augmentation.apply(draw, image)

    run, results = jax.jit(partial(train_step.map_examples, change)), []
    key = train_step.stream_key(config.seed, 0, train_step.STREAM_PROBE)
    for start in range(0, len(images), _CHUNK):
        chunk = images[start : start + _CHUNK]
        keys = jax.random.split(jax.random.fold_in(key, start), _CHUNK)
        padding = np.zeros((_CHUNK - len(chunk), *chunk.shape[1:]), np.uint8)
        changed = run(keys, inference.to_float(jnp.asarray(np.concatenate([chunk, padding]))))
        results.append(np.rint(255 * np.asarray(changed)).astype(np.uint8)[: len(chunk)])
    return np.concatenate(results)
