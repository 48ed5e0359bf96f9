"""Floating-point operations: how many a compiled function makes, and how many a matrix product makes in a second."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

_SIDE = {"cpu": 2048, "gpu": 8192, "tpu": 8192}


def operations(function: Callable, *arguments: Any) -> float:
    """Returns the operations that XLA counts in a function of `jax.jit` or `jax.pmap`, of one call on one device.

    XLA counts the body of a loop once, however often it runs.
    """
    return float(function.lower(*arguments).compile().cost_analysis()["flops"])


def matrix_product(dtype: str) -> tuple[Callable[[], jax.Array], float]:
    """Returns a function that multiplies two large square matrices on one device, and the operations it takes."""
    side = _SIDE[jax.default_backend()]
    matrix = jax.random.normal(jax.random.key(0), (side, side), jnp.dtype(dtype))
    multiply = jax.jit(jnp.matmul)
    return lambda: multiply(matrix, matrix), 2.0 * side**3
