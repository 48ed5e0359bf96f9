"""The splits of a prepared data set: pairs of faces, or ranked faces, with random access to their images."""

import dataclasses
import functools
import hashlib
import io
import os
from collections.abc import Iterable, Sequence
from typing import Any

import ml_collections
import numpy as np
from PIL import Image

from blur_jax.data import prepared
from blur_jax.data.preprocessing import Preprocessing


@dataclasses.dataclass(frozen=True, eq=False)
class Faces:
    """The n faces in a prepared data set.

    Attributes:
        images: n images, uint8 [S, S, 3], with random access.
        names: n names.
        sizes: float32 [n], shorter side of the original face in pixels.
        groups: n blur families, events or folders; "" means no group.
        digest: SHA-256 of the stored faces, in hex; "" if the faces were not read from disk.
    """

    images: Sequence[np.ndarray]
    names: Sequence[str]
    sizes: np.ndarray
    groups: Sequence[str]
    digest: str = ""

    def stack(self, rows: Iterable[int]) -> np.ndarray:
        return np.stack([self.images[row] for row in rows])


@dataclasses.dataclass(frozen=True, eq=False)
class Split:
    """One split of a prepared data set: pairs of faces, or ranked faces, as row numbers in `faces`.

    Attributes:
        faces: all faces of the data set.
        rows: int32 [m, 2], (left, right), for pairs; [m] for ranked faces.
        labels: int8 [m] for labeled pairs, +1 if the right face is blurrier, -1 if the left face is, 0 for a tie;
            float32 [m] for ranked faces, larger is blurrier; None for unlabeled pairs.
        preprocessing: how the faces were cropped and resized.
        metadata: the builder's metadata (headline_splits, size_bins, coverage, ...).
    """

    faces: Faces
    rows: np.ndarray
    labels: np.ndarray | None
    preprocessing: Preprocessing
    metadata: dict[str, Any]

    def __len__(self) -> int:
        return len(self.rows)

    def images(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Returns the images of k pairs, uint8 [k, 2, S, S, 3], or ranked faces, [k, S, S, 3]."""
        rows = self.rows[np.asarray(indices)]
        images = self.faces.stack(rows.ravel())
        return images.reshape(rows.shape + images.shape[1:])

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the faces, pairs and labels, in hex."""
        digest = hashlib.sha256(self.faces.digest.encode())
        for array in (self.rows, self.labels):
            digest.update(b"none" if array is None else f"{array.dtype.str}{array.shape}".encode() + array.tobytes())
        return digest.hexdigest()

    @property
    def names(self) -> np.ndarray:
        """The face names, strings [m, 2] or [m]."""
        return np.array(self.faces.names)[self.rows]


def open_split(
    config: ml_collections.ConfigDict,
    kind: str,
    split: str,
    *,
    count: int | None = None,
    seed: int = 0,
    leave_out: str | None = None,
) -> Split:
    """Opens one split of a part ("labeled", "unlabeled" or "ranked") of the data set that `config.data` selects.

    Draws `count` pairs at random with `seed`, or uses all pairs if it is None. A larger count includes all pairs of a
    smaller count. Pairs with a face whose name contains `leave_out` are excluded before the draw.

    Raises:
        FileNotFoundError: the data set is not prepared; the message says how to prepare it.
        prepared.DamagedData: the data set cannot be read.
        ValueError: the split is missing, or several data sets are prepared and the config does not choose one.
    """
    parts = prepared.find_parts(config)
    if kind not in parts:
        raise ValueError(f"{config.name} ({os.path.basename(parts.popitem()[1])}) was prepared without a {kind!r} part")
    part = prepared.open_part(parts[kind])
    if split not in part.info.splits:
        raise ValueError(f"{config.name} has no {kind} split {split!r}; it has {sorted(part.info.splits)}")
    metadata = prepared.read_metadata(parts[kind])
    with prepared.reading(parts[kind], "its metadata"):
        protocol = Preprocessing.from_dict(metadata["preprocessing"])
        folder = os.path.join(os.path.dirname(os.path.dirname(part.data_path)), metadata["faces"])
    faces = _open_faces(folder, config.cache_mb)
    rows, labels = prepared.read_rows(parts[kind], kind, split, len(faces.names))
    chosen = _chosen(rows, faces.names, count, seed, leave_out)
    return Split(faces, rows[chosen], None if labels is None else labels[chosen], protocol, metadata)


def split_names(config: ml_collections.ConfigDict, kind: str) -> list[str]:
    """Returns a part's split names, sorted, or [] if the part is missing; raises the same errors as `open_split`."""
    parts = prepared.find_parts(config)
    return sorted(prepared.open_part(parts[kind]).info.splits) if kind in parts else []


def prepared_sources(config: ml_collections.ConfigDict) -> str:
    """Returns the `sources` of the prepared data set that a run's `config.data` selects.

    Raises:
        FileNotFoundError: the data set is not prepared.
        ValueError: several data sets match and `config.sources` is not set, or the data set is partial and
            `config.allow_missing` is False.
    """
    folder = next(iter(prepared.find_parts(config).values()))
    if prepared.read_metadata(folder).get("partial") and not config.allow_missing:
        raise ValueError(
            f"{folder} was prepared from partial data; pass --config.data.allow_missing=True to allow this, or add the"
            " missing files and set --config.data.manual_dir"
        )
    return folder.rpartition("-")[2]


def used_faces(split: Split) -> tuple[np.ndarray, np.ndarray]:
    """Returns (rows [n] of the distinct faces, in order of first use; pairs, int [m, 2], as indices into them)."""
    unique, first, inverse = np.unique(split.rows.ravel(), return_index=True, return_inverse=True)
    order = np.argsort(first)
    return unique[order], np.argsort(order)[inverse].reshape(split.rows.shape)


def _chosen(rows: np.ndarray, names: Sequence[str], count: int | None, seed: int, leave_out: str | None) -> np.ndarray:
    indices = np.arange(len(rows))
    if leave_out:
        left_out = np.array([leave_out in name for name in names])[rows]
        indices = indices[~left_out.reshape(len(rows), -1).any(axis=1)]
        if not len(indices):
            raise ValueError(f"config.data.leave_out={leave_out!r} excludes every pair; pass a longer part of a name")
    if count is None:
        return indices
    if not 1 <= count <= len(indices):
        raise ValueError(
            f"config.data.labeled_count={count} must be between 1 and the number of available pairs ({len(indices)})"
        )
    return np.random.default_rng(seed).permutation(indices)[:count]


@functools.lru_cache(maxsize=4)  # The splits of a data set share its faces and their decoded images.
def _open_faces(folder: str, cache_mb: int) -> Faces:
    source, side = prepared.faces_source(folder)
    images = _Images(folder, source, cache=3 * side * side * len(source) <= cache_mb * 2**20)
    digest, names, sizes, groups = hashlib.sha256(), [], [], []
    for name, group, image, size in prepared.examples(folder, source, "name", "group", "image", "size"):
        for field in (name, group, image):
            digest.update(f"{len(field)} ".encode() + field)
        digest.update(np.float32(size).tobytes())
        names.append(name.decode())
        sizes.append(size)
        groups.append(group.decode())
    return Faces(images, names, np.array(sizes, np.float32), groups, digest.hexdigest())


class _Images(Sequence):
    """Decodes images on access and can cache them, since decoding is slower than running a small network."""

    def __init__(self, folder: str, source: Sequence[bytes], *, cache: bool) -> None:
        self._folder, self._source, self._cache = folder, source, cache
        self._decoded: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, row: Any) -> Any:
        row = int(row)
        image = self._decoded.get(row)
        if image is None:
            with prepared.reading(self._folder, f"the picture of face {row}"):
                (data,) = prepared.values(self._source[row], "image")
                image = np.asarray(Image.open(io.BytesIO(data)))
            if self._cache:
                self._decoded[row] = image
        return image
