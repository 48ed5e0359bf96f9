"""Runs a function of images (scores, or the head's input features) across all devices and processes."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from blur_jax.runs import distributed, forks

Function = Callable[[Any, jax.Array], jax.Array]
Mapped = Callable[..., np.ndarray]

# Images per device in a small batch. Larger batches do not fit CPU caches: at 128 px, 8 is twice as fast as 64.
_FEW = 8


def to_float(images: jax.Array) -> jax.Array:
    """Scales uint8 [..., S, S, 3] in [0, 255] to float32 in [0, 1]."""
    return images.astype(jnp.float32) / 255.0


def make_map(function: Function) -> Mapped:
    """Returns `mapped(params, images, *, batch_size=256, progress=None)`, which runs `function` in batches.

    `function` maps parameters and float32 [n, S, S, 3] in [0, 1] to [n, ...]. `mapped` takes uint8 [n, S, S, 3], n
    >= 1, and returns [n, ...] in the same order; its inputs and results are the same on every process. `batch_size`
    is the maximum size of a global batch; there is one batch size, or two on accelerators, to limit compilation.
    `progress` labels a progress bar; None hides it. `mapped` raises RuntimeError like `forks.check`.
    """

    def replica(params: Any, images: jax.Array) -> jax.Array:
        return distributed.all_gather(function(params, to_float(images)))

    step = distributed.pmap(replica)

    def mapped(params: Any, images: np.ndarray, *, batch_size: int = 256, progress: str | None = None) -> np.ndarray:
        forks.check()
        plan = plan_batches(len(images), batch_size)
        hidden = None if progress and distributed.is_process_zero() else True
        batches = tqdm(plan, desc=progress, unit="batch", disable=hidden, leave=False)
        # Dispatch each batch before reading the previous result, so devices do not wait for the host.
        results, running = [], None
        for start, size in batches:
            ahead, running = running, step(params, distributed.shard(_local_batch(images, start, size)))
            if ahead is not None:
                results.append(np.asarray(ahead))
        return np.concatenate([*results, np.asarray(running)])[: len(images)]

    return mapped


def make_score(model: nn.Module) -> Mapped:
    """Returns a `make_map` function that computes a network's scores: float32 [n] in [0, 1], larger is blurrier."""
    return make_map(lambda params, x: model.apply({"params": params}, x))  # ty: ignore[invalid-argument-type]


def make_features(model: nn.Module) -> Mapped:
    """Returns a `make_map` function that computes the input to a network's head: float32 [n, features]."""
    return make_map(lambda params, x: model.apply({"params": params}, x, method="features"))  # ty: ignore[invalid-argument-type]


def plan_batches(count: int, batch_size: int) -> list[tuple[int, int]]:
    """Returns (start, size) of global batches that cover `count` images; sizes are multiples of the device count."""
    devices = jax.device_count()
    full, few = (-(-size // devices) * devices for size in (batch_size, min(batch_size, _FEW * devices)))
    if jax.local_devices()[0].platform == "cpu":
        full = few
    plan, start = [], 0
    while start < count:
        size = few if count - start <= few else full
        plan.append((start, size))
        start += size
    return plan


def _local_batch(images: np.ndarray, start: int, size: int) -> np.ndarray:
    """Returns this process's share of a global batch, padded with black images."""
    share = size // jax.process_count()
    first = start + jax.process_index() * share
    chunk = images[first : first + share]
    return np.concatenate([chunk, np.zeros((share - len(chunk), *images.shape[1:]), np.uint8)])
