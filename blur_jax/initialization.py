"""What a run starts from: its data, and the state before the first update."""

import functools
import hashlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import optax

from blur_jax import data, distributed, inference, models, optimizer, pretrained, probe, train_state, train_step
from blur_jax.warm_start import load as load_start


class Pairs(NamedTuple):
    """The splits that training reads; `unlabeled` is None where no loss asks for it."""

    labeled: data.Split
    unlabeled: data.Split | None
    validation: data.Split


def open_pairs(config: ml_collections.ConfigDict) -> Pairs:
    """Opens the splits that training reads; raises as `data.open_split`."""
    options, left_out = config.data, config.data.leave_out
    count, seed = options.labeled_count, config.seed
    labeled = data.open_split(options, "labeled", options.labeled_split, count=count, seed=seed, leave_out=left_out)
    unlabeled = None
    if train_step.uses_unlabeled(config):
        unlabeled = data.open_split(options, "unlabeled", "train", leave_out=left_out)
    return Pairs(labeled, unlabeled, data.open_split(options, "labeled", "validation"))


def fingerprint(pairs: Pairs) -> str:
    """Returns 16 hex digits that name all that training reads of its data: pairs, labels, and the faces' pictures."""
    digest = hashlib.sha256()
    for split in (pairs.labeled, pairs.unlabeled, pairs.validation):
        digest.update(split.fingerprint.encode() if split else b"none")
    return digest.hexdigest()[:16]


def build(config: ml_collections.ConfigDict) -> tuple[models.Network, optax.GradientTransformation]:
    """Builds the network and the optimizer that a config describes; raises ValueError for what cannot work."""
    return models.from_config(config.model), optimizer.build(config.optimizer, config.steps)


def initial_params(config: ml_collections.ConfigDict, model: models.Network) -> models.Params:
    """Draws the parameters of a network; float32 NumPy arrays."""
    size = config.data.image_size
    key = train_step.stream_key(config.seed, 0, train_step.STREAM_INIT)
    return jax.device_get(jax.jit(model.init)(key, jnp.zeros((1, size, size, 3)))["params"])


def initial_state(
    config: ml_collections.ConfigDict,
    model: models.Network,
    tx: optax.GradientTransformation,
    labeled: data.Split | None,
) -> train_state.TrainState:
    """Returns the state before the first update, NumPy arrays; all processes must call it together.

    Args:
        config: the run's config.
        model: the network.
        tx: the optimizer.
        labeled: the pairs that a linear probe is fitted to; None leaves out what the parameters start from, for a state
            of which only structure and shapes matter.

    Raises:
        FileNotFoundError: the package with the pretrained weights is not installed.
        ValueError: there are no such weights, no pair to fit the probe to, or `config.start_from` does not fit.
    """
    params = initial_params(config, model)
    if labeled is not None:
        params = _starting_params(config, model, params, labeled)
    ema, teacher = config.ema_decay is not None, config.consistency.distillation_weight > 0
    frozen_blocks = config.model.frozen_blocks
    create = functools.partial(train_state.create, tx=tx, frozen_blocks=frozen_blocks, ema=ema, teacher=teacher)
    return jax.device_get(jax.jit(create)(params))  # One program instead of one for each shape.


def _starting_params(
    config: ml_collections.ConfigDict, model: models.Network, params: models.Params, labeled: data.Split
) -> models.Params:
    """Replaces drawn parameters by those of another run, or else by pretrained ones and a fitted head."""
    if config.start_from is not None:
        return distributed.everywhere(load_start, config, params)
    if config.model.pretrained:
        params = distributed.everywhere(pretrained.load, config.model.backbone, params)
    if config.model.linear_probe:
        rows, pairs = data.used_faces(labeled)
        images = distributed.everywhere(labeled.faces.stack, rows)
        features_of = inference.make_features(model)
        features = features_of(params, images, batch_size=config.evaluation.batch_size, progress="linear probe")
        params |= {"head": probe.fit_head(features, pairs, labeled.labels, strength=config.model.linear_probe)}
    return params
