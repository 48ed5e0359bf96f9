"""Scores through onnxruntime on the CPU, where its convolutions are faster than XLA's (docs/export.md)."""

from collections.abc import Callable

import numpy as np
from tqdm import tqdm

from blur_jax.export import formats
from blur_jax.export.graph import Graph
from blur_jax.models import network as models

_FEW = 16  # Images at a time; more fall out of the caches.


def make(network: models.Network, params: models.Params, image_size: int) -> Callable[..., np.ndarray]:
    """Returns `forward(images, *, batch_size=256, progress=None)`, which gives the scores that the network gives.

    `images` are uint8 [n, S, S, 3], n above 0; scores are float32 [n] in [0, 1]. It may be called by several threads
    at a time. Making it takes seconds; no size of a batch has to be compiled.

    Args:
        network: computes in float32 here, whatever its dtype.
        params: its parameters, host arrays.
        image_size: side S of the images, in pixels.

    Raises:
        ImportError: a package of the extra `export` is not installed.
    """
    formats.check_installed("onnx")
    session = formats.session(formats.build_onnx(Graph(network, params, image_size), {}))

    def forward(images: np.ndarray, *, batch_size: int = 256, progress: str | None = None) -> np.ndarray:
        size = min(batch_size, _FEW)
        batches = tqdm(
            range(0, len(images), size), desc=progress, unit="batch", disable=None if progress else True, leave=False
        )
        return np.concatenate([session.run(["blur"], {"images": images[start : start + size]})[0] for start in batches])

    return forward
