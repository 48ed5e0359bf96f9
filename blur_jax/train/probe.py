"""Fits the initial head to labeled pairs and, if the config weighs them, to unlabeled faces under rendered blur.

Every face is read as it is and under two blurs of known width, each before and after an augmentation. All processes
compute the same features and use the head of process 0.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from blur_jax.data import augmentation, degradations, fine_detail, splits
from blur_jax.models import linear_probe, network
from blur_jax.runs import distributed, inference
from blur_jax.runs.config import PROBE_TERMS, probe_uses_unlabeled
from blur_jax.train import step as train_step

_BLURS = 2  # Blurred versions of each unlabeled face.
_CHUNK = 256  # Images that are blurred and augmented at a time.


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

    Returns {"kernel": float32 [F, 1], "bias": float32 [1]}. Raises ValueError if all labeled pairs are ties.
    """
    features_of = inference.make_features(model)

    def features(images: np.ndarray, progress: str) -> np.ndarray:
        return features_of(params, images, batch_size=config.evaluation.batch_size, progress=progress)

    unlabeled = None
    if images.unlabeled is not None:
        blurred, widths, changed = render(images.unlabeled, config)
        views = np.concatenate([blurred, images.unlabeled])
        found = features(np.concatenate([views, changed]), "linear probe, unlabeled faces")
        unlabeled = linear_probe.Unlabeled(
            views=found[: len(views)],
            changed=found[len(views) :],
            widths=widths,
            detail=fine_detail.fine_detail(views),
            **{name: config.probe[name] for name in PROBE_TERMS},
        )
    labeled = features(images.labeled, "linear probe")
    return fit_head(labeled, images.pairs, images.order, strength=config.probe.strength, unlabeled=unlabeled)


def fit_head(features: np.ndarray, pairs: np.ndarray, order: np.ndarray, **options: Any) -> dict[str, np.ndarray]:
    """Fits a head with `linear_probe.logistic_ranking`, identical on every process.

    `features` are the head's inputs, float [n, F]; returns {"kernel": float32 [F, 1], "bias": float32 [1]}.
    """
    kernel, bias = distributed.everywhere(linear_probe.logistic_ranking, features, pairs, order, **options)
    # Processes whose BLAS rounds differently would drift apart.
    return distributed.broadcast({"kernel": kernel[:, None], "bias": bias[None]})


def render(images: np.ndarray, config: ml_collections.ConfigDict) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Blurs and augments faces, uint8 [n, S, S, 3], deterministically.

    Returns:
        (blurred uint8 [2n, S, S, 3], each face under two blurs; the widths of the blurs, float [2n], in image widths;
        changed uint8 [3n, S, S, 3], `blurred` and `images` after augmentation).
    """
    key, size = train_step.stream_key(config.seed, 0, train_step.STREAM_PROBE), config.data.image_size
    blur_key, change_key = jax.random.split(key)
    drawn: dict[str, Any] = dict(
        image_size=size,
        families=tuple(config.degradation.families),
        rms_min=config.probe.rms_min,
        rms_max=config.probe.rms_max,
    )

    def blur(key: jax.Array, image: jax.Array) -> tuple[jax.Array, jax.Array]:
        draw = degradations.sample(key, **drawn)
        return degradations.apply(draw, image[None])[0], draw.rms

    def change(key: jax.Array, image: jax.Array) -> tuple[jax.Array, jax.Array]:
        draw = augmentation.sample(key, image_size=size, **config.augment)
        return augmentation.apply(draw, image), jnp.zeros(())

    blurred, widths = _mapped(blur, blur_key, np.concatenate([images] * _BLURS))
    changed, _ = _mapped(change, change_key, np.concatenate([blurred, images]))
    return blurred, widths, changed


def _mapped(function: Callable, key: jax.Array, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Maps `function(key, image)`, float32 in [0, 1], over uint8 [n, S, S, 3]; returns (uint8 [n, S, S, 3], [n])."""
    run = jax.jit(partial(train_step.map_examples, function))
    results = []
    for start in range(0, len(images), _CHUNK):
        chunk = images[start : start + _CHUNK]
        keys = jax.random.split(jax.random.fold_in(key, start), _CHUNK)
        padding = np.zeros((_CHUNK - len(chunk), *chunk.shape[1:]), np.uint8)
        changed, values = run(keys, inference.to_float(jnp.asarray(np.concatenate([chunk, padding]))))
        levels = np.rint(255 * np.asarray(changed)).astype(np.uint8)
        results.append((levels[: len(chunk)], np.asarray(values)[: len(chunk)]))
    return tuple(map(np.concatenate, zip(*results)))
