"""Opens a run's data and builds its state before the first update."""

import functools
import hashlib
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import optax

from blur_jax.data import splits
from blur_jax.models import network, pretrained
from blur_jax.runs import checkpoints, distributed
from blur_jax.runs.config import reads_unlabeled
from blur_jax.train import optimizer, probe
from blur_jax.train import state as train_state
from blur_jax.train import step as train_step

# Fields of config.model that may differ between a run and the run in its `config.start_from`.
_FREE = ("pretrained", "frozen_blocks", "dtype")


class Pairs(NamedTuple):
    """The splits that training reads; `unlabeled` is None if neither a loss nor the linear probe uses it."""

    labeled: splits.Split
    unlabeled: splits.Split | None
    validation: splits.Split


def open_pairs(config: ml_collections.ConfigDict) -> Pairs:
    """Opens the splits that training reads; raises the same errors as `splits.open_split`."""
    options, left_out = config.data, config.data.leave_out
    count, seed = options.labeled_count, config.seed
    labeled = splits.open_split(options, "labeled", options.labeled_split, count=count, seed=seed, leave_out=left_out)
    unlabeled = None
    if reads_unlabeled(config):
        unlabeled = splits.open_split(options, "unlabeled", "train", leave_out=left_out)
    return Pairs(labeled, unlabeled, splits.open_split(options, "labeled", "validation"))


def fingerprint(pairs: Pairs) -> str:
    """Returns 16 hex digits that identify the pairs, labels and pictures that training reads."""
    digest = hashlib.sha256()
    for split in (pairs.labeled, pairs.unlabeled, pairs.validation):
        digest.update(split.fingerprint.encode() if split else b"none")
    return digest.hexdigest()[:16]


def build(config: ml_collections.ConfigDict) -> tuple[network.Network, optax.GradientTransformation]:
    """Builds the network and the optimizer from a config; raises ValueError for a config that cannot work."""
    return network.from_config(config.model), optimizer.build(config.optimizer, config.steps)


def initial_params(config: ml_collections.ConfigDict, model: network.Network) -> network.Params:
    """Returns random initial parameters of a network, as float32 NumPy arrays."""
    return jax.device_get(jax.jit(model.init)(*_init_arguments(config))["params"])


def _init_arguments(config: ml_collections.ConfigDict) -> tuple[jax.Array, jax.Array]:
    size = config.data.image_size
    return train_step.stream_key(config.seed, 0, train_step.STREAM_INIT), jnp.zeros((1, size, size, 3))


def initial_state(
    config: ml_collections.ConfigDict,
    model: network.Network,
    tx: optax.GradientTransformation,
    pairs: Pairs | None,
) -> train_state.TrainState:
    """Returns the state before the first update, as NumPy arrays; all processes must call it together.

    The linear probe is fitted to the training pairs; if they are None, the parameters stay random, for callers that
    need only their structure and shapes. Raises FileNotFoundError if the package with the pretrained weights is not
    installed, and ValueError if the backbone has no such weights, the probe has no pair with an order, or
    `config.start_from` does not match the config.
    """
    params = initial_params(config, model)
    if pairs is not None:
        params = _starting_params(config, model, params, pairs)
    return jax.device_get(jax.jit(_creator(config, tx))(params))  # Compiles one program instead of one for each shape.


def state_shapes(
    config: ml_collections.ConfigDict, model: network.Network, tx: optax.GradientTransformation
) -> train_state.TrainState:
    """Returns the shapes of `initial_state`, without computing anything."""
    params = jax.eval_shape(model.init, *_init_arguments(config))["params"]
    return jax.eval_shape(_creator(config, tx), params)


def _creator(config: ml_collections.ConfigDict, tx: optax.GradientTransformation) -> Callable:
    ema, teacher = config.ema_decay is not None, config.consistency.distillation_weight > 0
    frozen_blocks = config.model.frozen_blocks
    return functools.partial(train_state.create, tx=tx, frozen_blocks=frozen_blocks, ema=ema, teacher=teacher)


def _starting_params(
    config: ml_collections.ConfigDict, model: network.Network, params: network.Params, pairs: Pairs
) -> network.Params:
    """Replaces random parameters with another run's or with pretrained ones, and then fits the head."""

    def read() -> tuple[network.Params, probe.Images | None]:
        if config.start_from is not None:
            read_params = find_start(config).load_params(params)
        else:
            read_params = pretrained.load(config.model.backbone, params) if config.model.pretrained else params
        return read_params, probe.read(config, pairs.labeled, pairs.unlabeled)

    params, images = distributed.everywhere(read)
    return params if images is None else params | {"head": probe.fit(config, model, params, images)}


def find_start(config: ml_collections.ConfigDict) -> checkpoints.Checkpoint:
    """Finds the checkpoint in `config.start_from`; raises ValueError if it is missing or does not match the config."""
    try:
        saved = checkpoints.find(config.start_from)
    except checkpoints.CheckpointError as error:
        raise ValueError(f"config.start_from: {error}") from error
    there, here = saved.config.model, config.model
    pairs = {f"model.{name}": (there[name], here[name]) for name in here if name not in _FREE}
    crops = {name: (getattr(saved.preprocessing, name), config.data[name]) for name in ("image_size", "context")}
    pairs |= {f"data.{name}": values for name, values in crops.items()}
    different = [f"config.{name} is {a!r} there but {b!r} here" for name, (a, b) in pairs.items() if a != b]
    if different:
        raise ValueError(
            f"config.start_from={config.start_from} uses a different network or crop ({'; '.join(different)}); change"
            " these fields to match it, or leave config.start_from unset"
        )
    return saved
