"""Data parallelism over local devices and processes: the only file that knows `jax.pmap`.

A replica is one device. Arrays given to a mapped function carry a leading axis of local replicas; inside, code is
written for one replica and speaks to the others through collectives over `AXIS`.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

AXIS = "replica"


def pmap(function: Callable, *, donate_argnums: tuple[int, ...] = ()) -> Callable:
    """Compiles a per-replica function to run on all devices at once; donated arguments are given up to it."""
    return jax.pmap(function, axis_name=AXIS, donate_argnums=donate_argnums)


def replicate(tree: Any) -> Any:
    """Copies a pytree of arrays to every local device; each array gains a leading axis of local replicas."""
    replicas = jax.local_device_count()
    return jax.pmap(lambda x: x)(jax.tree.map(lambda x: np.broadcast_to(x, (replicas, *np.shape(x))), tree))


def unreplicate(tree: Any) -> Any:
    """Fetches the first local replica of a pytree as NumPy arrays; blocks until it has been computed."""
    return jax.device_get(jax.tree.map(lambda x: x.addressable_shards[0].data[0], tree))


def shard(batch: Any) -> Any:
    """Splits this process's share of a batch over its devices: [n, ...] -> [devices, n / devices, ...]."""
    replicas = jax.local_device_count()
    return jax.tree.map(lambda x: x.reshape(replicas, x.shape[0] // replicas, *x.shape[1:]), batch)


def check_batch_size(size: int, field: str) -> None:
    """Raises ValueError when a global batch does not divide over all devices; `field` names the setting."""
    if size <= 0 or size % jax.device_count():
        raise ValueError(
            f"config.{field}={size} must be a positive multiple of the {jax.device_count()} devices"
            f" ({jax.process_count()} process(es)); set it to e.g."
            f" {max(1, round(size / jax.device_count())) * jax.device_count()}"
        )


def example_keys(key: jax.Array, count: int) -> jax.Array:
    """One key for each of this replica's `count` examples, by their place in the global batch.

    So an example meets the same randomness on any number of devices. Only inside a function mapped by `pmap`.
    """
    indices = jax.lax.axis_index(AXIS) * count + jnp.arange(count)
    return jax.vmap(lambda index: jax.random.fold_in(key, index))(indices)


def psum(tree: Any) -> Any:
    """Sums over all replicas of all processes."""
    return jax.lax.psum(tree, AXIS)


def all_gather(x: jax.Array) -> jax.Array:
    """Concatenates [n, ...] of every replica to [replicas * n, ...], in the order of the global batch."""
    return jax.lax.all_gather(x, AXIS, tiled=True)
