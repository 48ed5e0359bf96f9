"""Prepared data sets -> NumPy batches: the only file that knows Grain and how TFDS is read.

The order of the data is a function of (seed, step) alone: batch `step` can be asked for directly, which makes
resuming exact, and every process takes its own slice of the same global batch.
"""

import dataclasses
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import grain
import ml_collections
import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from blur_jax.preprocessing import Preprocessing

_PAIR = ("left", "right")
_IMAGES = (*_PAIR, "image")


def default_dir() -> str:
    """Where prepared data live unless told otherwise: $BLUR_JAX_DATA, or blur_jax below the user's cache folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.environ.get("BLUR_JAX_DATA") or os.path.join(cache, "blur_jax")


@dataclasses.dataclass(frozen=True)
class Split:
    """One split of a prepared data set: random access to decoded examples.

    Attributes:
        examples: a sequence of dicts; images uint8 [S, S, 3], texts str, numbers Python scalars.
        preprocessing: how its images were cropped and resized.
        metadata: all that the builder wrote down about the data (coverage, acknowledgements, ...).
    """

    examples: Sequence[dict[str, Any]]
    preprocessing: Preprocessing
    metadata: dict[str, Any]


def open_split(
    config: ml_collections.ConfigDict, kind: str, split: str, *, count: int = 0, seed: int = 0, leave_out: str = ""
) -> Split:
    """Opens one split of the data set that `config.data` names.

    Args:
        config: `config.data`: name, dir, image_size, context, cache_mb.
        kind: "labeled", "unlabeled" or "ranked".
        split: "train", "validation", "test", ...
        count: take so many examples only, drawn by `seed`; a larger count holds the smaller ones. 0 takes all.
        seed: fixes the draw.
        leave_out: leave out, before anything is drawn, pairs with a face whose name holds this; "" leaves out none.

    Raises:
        FileNotFoundError: it is not prepared; says how to.
        ValueError: there is no such split, or it was prepared with another crop and resize protocol.
    """
    builder = _builder(config, kind)
    if split not in builder.info.splits:
        raise ValueError(f"{config.name}/{kind} has no split {split!r}; it has {sorted(builder.info.splits)}")
    metadata = dict(builder.info.metadata)
    found = Preprocessing.from_dict(metadata["preprocessing"])
    wanted = Preprocessing(image_size=config.image_size, context=config.context)
    if found != wanted:
        raise ValueError(
            f"{builder.data_path} was prepared with {found}, but the config asks for {wanted};"
            " prepare it anew into another folder (--config.data.dir=...) or change config.data to match"
        )
    decoders = {name: tfds.decode.SkipDecoding() for name in builder.info.features if name in _IMAGES}
    source = builder.as_data_source(split=split, decoders=decoders)
    source = _Decoded(source, _chosen(source, count, seed, leave_out))
    return Split(_cached(source, config.cache_mb), found, metadata)


def split_names(config: ml_collections.ConfigDict, kind: str) -> list[str]:
    """The splits that a prepared part of the data set has, sorted."""
    return sorted(_builder(config, kind).info.splits)


def _builder(config, kind):
    folder = os.path.join(config.dir or default_dir(), config.name, kind)
    versions = tfds.core.utils.version.list_all_versions(folder) if os.path.isdir(folder) else []
    if not versions:
        raise FileNotFoundError(
            f"no prepared data set in {folder}; prepare it with"
            f" `python -m tfds_builders.prepare --dataset={config.name}` (see its --help)"
        )
    return tfds.builder_from_directory(os.path.join(folder, str(max(versions))))


def _chosen(source, count, seed, leave_out):
    """Indices of the examples of a data source that are asked for, see `open_split`."""
    indices = range(len(source))
    if leave_out:

        def is_left_out(example):
            return any(leave_out in example[f"{side}_name"].decode() for side in _PAIR)

        indices = [index for index in indices if not is_left_out(source[index])]
        if not indices:
            raise ValueError(f"config.data.leave_out={leave_out!r} leaves out every pair")
    if not 0 <= count <= len(indices):
        raise ValueError(
            f"config.data.labeled_count={count} must be from 0 (all) to the {len(indices)} pairs there are"
        )
    return np.random.default_rng(seed).permutation(indices)[:count] if count else indices


class _Decoded(Sequence):
    """The chosen examples of a TFDS data source, with images as arrays and texts as str."""

    def __init__(self, source, chosen):
        self._source, self._chosen = source, chosen

    def __len__(self):
        return len(self._chosen)

    def __getitem__(self, index):
        example = self._source[int(self._chosen[index])]
        for key, value in example.items():
            if key in _IMAGES:
                example[key] = np.asarray(Image.open(io.BytesIO(value)))
            elif isinstance(value, bytes):
                example[key] = value.decode()
        return example


class _Cached(Sequence):
    """Keeps each example once it has been decoded: decoding PNG costs more than a small network's forward pass."""

    def __init__(self, source):
        self._source = source
        self._examples = [None] * len(source)

    def __len__(self):
        return len(self._source)

    def __getitem__(self, index):
        index = int(index)
        if self._examples[index] is None:
            self._examples[index] = self._source[index]
        return self._examples[index]


def _cached(source, limit_mb):
    """Caches a source whose decoded images fit into `limit_mb` MiB."""
    bytes_each = sum(value.nbytes for value in source[0].values() if isinstance(value, np.ndarray))
    return _Cached(source) if bytes_each * len(source) <= limit_mb * 2**20 else source


def train_batches(
    parts: dict[str, tuple[Split, int]],
    *,
    seed: int,
    first_step: int,
    process_index: int = 0,
    process_count: int = 1,
    threads: int = 4,
) -> Iterator[dict[str, dict[str, np.ndarray]]]:
    """Yields this process's share of the global batches from `first_step` on, without end.

    Args:
        parts: for each part of the batch ("labeled", "unlabeled") its split and its global batch size, a multiple of
            `process_count`.
        seed: fixes the order; each epoch is shuffled anew.
        first_step: the step to start from; the batch of a step does not depend on it.
        process_index, process_count: which contiguous slice of each global batch to yield.
        threads: decoding threads per part.

    Yields:
        dicts of part -> {"left", "right": uint8 [n, S, S, 3], "order": int8 [n] for labeled pairs}.
    """
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * threads)
    iterators = {}
    for stream, (part, (split, batch_size)) in enumerate(sorted(parts.items())):
        dataset = grain.MapDataset.source(split.examples).seed(2 * seed + stream).shuffle().repeat()
        dataset = dataset.map(_arrays).batch(batch_size // process_count)
        dataset = dataset.slice(slice(first_step * process_count + process_index, None, process_count))
        iterators[part] = iter(dataset.to_iter_dataset(options))
    while True:
        yield {part: next(iterator) for part, iterator in iterators.items()}


def _arrays(example):
    """What the train step needs of an example: its names stay on the host."""
    arrays = {key: example[key] for key in _PAIR}
    return arrays | {"order": np.int8(example["order"])} if "order" in example else arrays


def unique_faces(examples: Iterable[dict[str, Any]]) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Takes labeled pairs apart: pairs repeat a few thousand faces some ten thousand times.

    Returns:
        (names, n different ones; images uint8 [n, S, S, 3] of these faces; pairs int [m, 2], rows of the left and of
        the right face; order [m], +1 where the right face is the blurrier, -1 the left, 0 a tie).
    """
    rows, images, pairs, order = {}, [], [], []
    for example in examples:
        for side in _PAIR:
            if rows.setdefault(example[f"{side}_name"], len(rows)) == len(images):
                images.append(example[side])
        pairs.append([rows[example[f"{side}_name"]] for side in _PAIR])
        order.append(example["order"])
    return list(rows), np.stack(images), np.array(pairs), np.array(order)


def padded_batches(
    images: Sequence[np.ndarray], batch_size: int, *, process_index: int = 0, process_count: int = 1
) -> Iterator[np.ndarray]:
    """Yields this process's share of `images` in global batches of one size, the last one filled up with black images.

    Args:
        images: uint8 [S, S, 3] each.
        batch_size: of the global batch, a multiple of `process_count`.

    Yields:
        uint8 [batch_size / process_count, S, S, 3].
    """
    share = batch_size // process_count
    for start in range(process_index * share, len(images) + process_index * share, batch_size):
        chunk = [images[index] for index in range(start, min(start + share, len(images)))]
        batch = np.zeros((share, *np.shape(images[0])), np.uint8)
        if chunk:
            batch[: len(chunk)] = chunk
        yield batch
