"""Scores with onnxruntime on the CPU, where its convolutions are faster than XLA's (docs/export.md)."""

from collections.abc import Callable

import numpy as np
from tqdm import tqdm

from blur_jax.export import formats
from blur_jax.export.graph import Graph
from blur_jax.models import network as models

_FEW = 16  # Images at a time; more would not fit in the CPU caches.


def make(network: models.Network, params: models.Params, image_size: int) -> Callable[..., np.ndarray]:
    """Returns `forward(images, *, batch_size=256, progress=None)`, which returns the network's scores in float32.

    `images` are uint8 [n, S, S, 3], n above 0, S = `image_size`; scores are float32 [n] in [0, 1]. Several threads may
    call it at once. Raises ImportError if a package in the `export` extra is missing.
    """
    formats.check_installed("onnx")
    session = formats.session(formats.build_onnx(Graph(network, params, image_size), {}))

    def forward(images: np.ndarray, *, batch_size: int = 256, progress: str | None = None) -> np.ndarray:
        size = min(batch_size, _FEW)
        starts = range(0, len(images), size)
        bar = tqdm(starts, desc=progress, unit="batch", disable=None if progress else True, leave=False)
        return np.concatenate([session.run(["blur"], {"images": images[start : start + size]})[0] for start in bar])

    return forward
