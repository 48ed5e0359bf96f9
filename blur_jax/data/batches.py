"""Splits -> batches of NumPy arrays: the only file that knows Grain.

The order of the data is a function of (seed, step) alone: batch `step` can be asked for directly, which makes
resuming exact, and every process takes its own slice of the same global batch.
"""

from collections.abc import Iterator
from typing import NamedTuple

import grain
import numpy as np

from blur_jax.data.splits import Split


class Batch(NamedTuple):
    """What the train step takes in, of n labeled and m unlabeled pairs.

    Attributes:
        labeled: uint8 [n, 2, S, S, 3], left and right.
        order: int8 [n], see `Split.labels`.
        unlabeled: uint8 [m, 2, S, S, 3]; None where no loss asks for it.
    """

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
    """Yields this process's share of the global batches from `first_step` on, without end.

    Args:
        labeled: the labeled pairs.
        labeled_size: of them in a global batch, a multiple of `process_count`.
        unlabeled: the unlabeled pairs; None where no loss asks for them.
        unlabeled_size: of them in a global batch, a multiple of `process_count`.
        seed: fixes the order; each epoch is shuffled again.
        first_step: the step to start from; the batch of a step does not depend on it.
        process_index: which contiguous slice of each global batch to yield.
        process_count: how many slices there are.
        threads: decoding threads of either split.
    """
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * threads)
    first = slice(first_step * process_count + process_index, None, process_count)

    def batches(split: Split, size: int, stream: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        indices = grain.MapDataset.range(len(split)).seed(2 * seed + stream).shuffle().repeat()
        # Else Grain rounds their endless number up, past what a length can be where a batch is one pair.
        indices = indices.batch(size // process_count, drop_remainder=True).slice(first)
        return iter(indices.map(lambda batch: (split.images(batch), batch)).to_iter_dataset(options))

    of_labeled = batches(labeled, labeled_size, 0)
    of_unlabeled = batches(unlabeled, unlabeled_size, 1) if unlabeled else None
    while True:
        images, indices = next(of_labeled)
        yield Batch(images, labeled.labels[indices], next(of_unlabeled)[0] if of_unlabeled else None)
