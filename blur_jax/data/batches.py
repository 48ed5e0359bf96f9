"""Builds batches of NumPy arrays from splits; this is the only file that uses Grain.

A batch depends only on the seed and the step, so resuming is exact. Each process takes its slice of the global batch.
"""

from collections.abc import Iterator
from typing import NamedTuple

import grain
import numpy as np

from blur_jax.data.splits import Split


class Batch(NamedTuple):
    """The input to the train step: uint8 [n, 2, S, S, 3], int8 [n] (see `Split.labels`), uint8 [m, 2, S, S, 3]."""

    labeled: np.ndarray
    order: np.ndarray
    unlabeled: np.ndarray | None


def train_batches(
    labeled: Split,
    labeled_size: int,
    unlabeled: Split | None,
    unlabeled_size: int,
    *,
    seed: int,
    first_step: int,
    process_index: int = 0,
    process_count: int = 1,
    threads: int = 4,
) -> Iterator[Batch]:
    """Yields this process's share of each global batch indefinitely, starting at `first_step`.

    The sizes are global batch sizes, multiples of `process_count`. `unlabeled` is None if no loss needs it.
    Each epoch is shuffled differently. Each split is decoded by `threads` threads.
    """
    labels = np.asarray(labeled.labels)
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * threads)
    first = slice(first_step * process_count + process_index, None, process_count)

    def batches(split: Split, size: int, stream: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        indices = grain.MapDataset.range(len(split)).seed(2 * seed + stream).shuffle().repeat()
        # Without drop_remainder, Grain rounds the infinite length up, which overflows if a batch has one pair.
        indices = indices.batch(size // process_count, drop_remainder=True).slice(first)
        return iter(indices.map(lambda batch: (split.images(batch), batch)).to_iter_dataset(options))

    labeled_batches = batches(labeled, labeled_size, 0)
    unlabeled_batches = batches(unlabeled, unlabeled_size, 1) if unlabeled else None
    while True:
        images, indices = next(labeled_batches)
        yield Batch(images, labels[indices], next(unlabeled_batches)[0] if unlabeled_batches else None)
