"""Perceptual hashes for finding pictures that look the same: copies with a different name, size or quality.

The 256 bits of a hash mark which of the 16 x 16 lowest frequencies of a small gray copy are above their median. On
aligned faces, which look more alike than other pictures, a resaved, resized, brightened or blurred copy differs from
its original in at most 28 bits, while different pictures differ in at least 50 (docs/data.md).
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import TypeVar

import imagehash
import numpy as np
from PIL import Image, ImageStat
from scipy.sparse import coo_array, csgraph

SIDE = 16  # Bits along each side of the hash.
SAME = 36  # Copies of the same picture differ in at most this number of bits.
BURST = 52  # The same for frames of a burst (docs/scoring.md); a few unrelated faces differ in fewer bits.
_FLAT = 2.0  # Standard deviation of 8-bit gray values; a picture below it has no content to compare.
_BLOCK = 512  # Number of hashes compared at a time.

Name = TypeVar("Name", bound=Hashable)


def look(image: Image.Image) -> str:
    """Returns an RGB picture's hash, 64 hexadecimal digits, or "" if it has no content, such as a black frame."""
    small = image.copy()
    small.thumbnail((256, 256), reducing_gap=2.0)  # Hashing a large photograph takes as long as decoding it.
    if ImageStat.Stat(small.convert("L")).stddev[0] < _FLAT:
        return ""
    return str(imagehash.phash(small, hash_size=SIDE))


def matches(hashes: Sequence[str], others: Sequence[str] | None = None) -> Iterator[tuple[int, int, int]]:
    """Yields (index, other index, differing bits) for pairs of `look` hashes that belong to the same picture.

    Pictures also match mirrored copies in `others`. If `others` is None, each pair of `hashes` is compared once.
    """
    for block in _matches(hashes, others, SAME):
        yield from zip(*(column.tolist() for column in block))


def _matches(hashes: Sequence[str], others: Sequence[str] | None, most: int) -> Iterator[tuple[np.ndarray, ...]]:
    """Yields the results of `matches` for each block of hashes, as one array per column."""
    left, rows = _bits(hashes)
    right, columns = (left, rows) if others is None else _bits(others)
    # Mirroring a picture changes the sign of every other horizontal frequency.
    mirror = np.packbits(np.tile(np.arange(SIDE) % 2 == 1, SIDE)).view(np.uint64)
    for start in range(0, len(left), _BLOCK):
        block, first = left[start : start + _BLOCK], start if others is None else 0
        differing = _differing(block, right[first:])
        if others is not None:
            differing = np.minimum(differing, _differing(block ^ mirror, right))
        same = differing <= most
        i, j = np.nonzero(np.triu(same, 1) if others is None else same)
        yield rows[start + i], columns[first + j], differing[i, j]


def groups(names: Sequence[Name], hashes: Sequence[str], *, most: int | None = None) -> dict[Name, Name]:
    """Maps each name to the first name of its group; pictures linked by a chain of matches form one group.

    `most` is the maximum number of bits in which matching pictures differ; None means `SAME`.
    """
    every = firsts = np.arange(len(names))
    for i, j, _ in _matches(hashes, None, SAME if most is None else most):
        # One block's edges, and one edge from each picture to its group so far. All n^2 edges may not fit in memory.
        edges = np.concatenate([i, every]), np.concatenate([j, firsts])
        graph = coo_array((np.ones(len(edges[0]), bool), edges), shape=(len(names),) * 2)
        _, labels = csgraph.connected_components(graph, directed=False)
        _, first, group = np.unique(labels, return_index=True, return_inverse=True)
        firsts = first[group]
    return {name: names[first] for name, first in zip(names, firsts)}


def _bits(hashes: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the nonempty hashes, uint64 [k, 4], and their indices, int [k]."""
    kept = [(row, bytes.fromhex(text)) for row, text in enumerate(hashes) if text]
    rows = np.array([row for row, _ in kept], int)
    packed = np.frombuffer(b"".join(data for _, data in kept), np.uint64)
    return packed.reshape(-1, SIDE * SIDE // 64), rows


def _differing(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Counts the differing bits, [n, m], between uint64 [n, 4] and [m, 4]."""
    return sum(np.bitwise_count(left[:, None, word] ^ right[None, :, word]).astype(np.uint16) for word in range(4))
