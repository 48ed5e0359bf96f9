"""Faces made of noise, and ranked splits of faces that are not on disk."""

import numpy as np

from blur_jax.data.preprocessing import Preprocessing
from blur_jax.data.splits import Faces, Split


def grainy(seed, side=32):
    """A face with detail of all sizes."""
    rng = np.random.default_rng(seed)
    patches = rng.integers(60, 190, (side // 8, side // 8, 3))
    return np.uint8(np.kron(patches, np.ones((8, 8, 1))) + rng.integers(-25, 25, (side, side, 1)))


def ranked_split(images, ranks, sizes=None, size_bins=(32, 40, 48, 64, 96)):
    """A ranked split of images uint8 [n, S, S, 3]; all faces are 40 pixels wide unless `sizes` says otherwise."""
    count = len(images)
    sizes = np.full(count, 40.0, np.float32) if sizes is None else np.float32(sizes)
    faces = Faces(images, [f"face {index}" for index in range(count)], sizes, [""] * count)
    metadata = {"headline_splits": ["test1", "test2"], "size_bins": list(size_bins)}
    protocol = Preprocessing(image_size=images.shape[1])
    return Split(faces, np.arange(count, dtype=np.int32), np.float32(ranks), protocol, metadata)
