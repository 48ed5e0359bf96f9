"""Finds the prepared data set that a config selects and reads its parts."""

import contextlib
import os
import re
from collections.abc import Iterator
from typing import Any

import ml_collections
import numpy as np
import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordReader  # ty: ignore[import-not-found]
from tensorflow_datasets.proto import tf_example_pb2

from blur_jax.data.preprocessing import Preprocessing
from blur_jax.data.untrusted import reason
from blur_jax.data.user_cache import default_dir, expand

# {part: (row columns, label column, label dtype)}.
_COLUMNS: dict[str, tuple[list[str], list[str], Any]] = {
    "labeled": (["left", "right"], ["order"], np.int8),
    "unlabeled": (["left", "right"], [], None),
    "ranked": (["face"], ["rank"], np.float32),
}


class DamagedData(ValueError):
    """Prepared data cannot be read; the message includes the folder and says what to do."""


def find_parts(config: ml_collections.ConfigDict) -> dict[str, str]:
    """Returns {kind: folder} for all parts except "faces" of the prepared data set that a run's `config.data` selects.

    Raises:
        FileNotFoundError: the data set is not prepared; the message says how to prepare it.
        ValueError: several data sets match and `config.sources` is not set.
    """
    root = os.path.join(os.path.abspath(expand(config.dir or default_dir())), config.name)
    tag = Preprocessing(image_size=config.image_size, context=config.context).tag
    sources = config.sources
    pattern = rf"(\w+)-{re.escape(tag)}-({'[0-9a-f]{8}' if sources is None else re.escape(sources)})"
    candidates: dict[str, dict[str, str]] = {}
    for name in sorted(os.listdir(root)) if os.path.isdir(root) else []:
        match, folder = re.fullmatch(pattern, name), os.path.join(root, name)
        if match and match[1] in _COLUMNS and tfds.core.utils.version.list_all_versions(folder):
            candidates.setdefault(match[2], {})[match[1]] = folder
    whole = {}
    for hash_, parts in candidates.items():
        folder = next(iter(parts.values()))
        metadata = read_metadata(folder)
        with reading(folder, "its metadata"):
            if set(parts) == set(metadata["parts"]):  # After an interrupted preparation, some parts are missing.
                whole[hash_] = parts
    if len(whole) > 1:
        raise ValueError(
            f"{root} contains data prepared from several sources; pass --config.data.sources=HASH with one of:"
            f" {', '.join(sorted(whole))}"
        )
    if whole:
        return whole.popitem()[1]
    which = f"for config.data.sources={sources} " if sources is not None else ""
    folders = {"data_dir": config.dir, "manual_dir": config.manual_dir}
    flags = "".join(f" --{flag}={folder}" for flag, folder in folders.items() if folder)
    raise FileNotFoundError(
        f"no prepared data {which}with {config.image_size} px and context {config.context:g} in {root}; to prepare"
        f" the data, run `python -m tfds_builders.prepare --dataset={config.name} --image_size={config.image_size}"
        f" --context={config.context:g}{flags}` (see its --help)"
    )


def open_part(folder: str) -> tfds.core.DatasetBuilder:
    """Opens the newest version of a prepared part; raises DamagedData if it cannot be read."""
    with reading(folder, "its description"):
        version = max(tfds.core.utils.version.list_all_versions(folder))
        return tfds.builder_from_directory(os.path.join(folder, str(version)))


def read_metadata(folder: str) -> dict[str, Any]:
    """Returns the metadata of a part; raises DamagedData if it cannot be read."""
    part = open_part(folder)
    with reading(folder, "its metadata"):
        return dict(part.info.metadata)


@contextlib.contextmanager
def reading(folder: str, content: str) -> Iterator[None]:
    """Converts any error while reading a prepared part into DamagedData, since TFDS and Pillow raise many types."""
    try:
        yield
    except DamagedData:
        raise
    except Exception as error:
        raise DamagedData(
            f"{folder}: {content} cannot be read ({type(error).__name__}: {reason(error)}); delete this folder, and"
            " the data will be prepared again"
        ) from error


def faces_source(folder: str) -> tuple[Any, int]:
    """Returns a sequence of face records (see `values`) and the image side length in pixels; raises DamagedData."""
    part = open_part(folder)
    with reading(folder, "its faces"):
        _check_count(part, "faces")
        return _records(part, "faces"), part.info.features["image"].shape[0]


def read_rows(folder: str, kind: str, split: str, faces: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns the `rows` and `labels` (see `splits.Split`) of one of a part's splits; `kind` is the part's kind.

    Raises:
        DamagedData: the files are damaged, or a row number is `faces` or larger.
    """
    part = open_part(folder)
    with reading(folder, f"split {split!r}"):
        _check_count(part, split)
        faces_of, label, dtype = _COLUMNS[kind]
        records = list(examples(folder, _records(part, split), *faces_of, *label))
        rows = np.array([record[: len(faces_of)] for record in records], np.int32)
        if not ((rows >= 0) & (rows < faces)).all():
            raise ValueError(f"it refers to faces that do not exist; only {faces} are stored")
        labels = np.array([record[-1] for record in records], dtype) if label else None
    return (rows[:, 0] if kind == "ranked" else rows), labels


def examples(folder: str, source: Any, *names: str) -> Iterator[list[Any]]:
    """Yields the `values` of all records; reading in chunks is twice as fast as reading one by one."""
    for start in range(0, len(source), 1024):
        with reading(folder, f"a record at index {start} or later"):
            chunk = source.__getitems__(range(start, min(start + 1024, len(source))))
            chunk = [values(record, *names) for record in chunk]
        yield from chunk


def values(record: bytes, *names: str) -> list[Any]:
    """Returns the named fields of a record as int, float or bytes; pictures and strings are still encoded.

    TFDS would decode every field of every record in Python, which takes four to ten times as long.

    Raises:
        ValueError, KeyError, google.protobuf.message.DecodeError: the record is damaged or lacks a field.
    """
    features = tf_example_pb2.Example.FromString(record).features.feature  # ty: ignore[missing-attribute]
    contents = []
    for name in names:
        if name not in features:
            raise KeyError(name)
        (value,) = getattr(features[name], features[name].WhichOneof("kind")).value
        contents.append(value)
    return contents


def _records(part: tfds.core.DatasetBuilder, split: str) -> Any:
    return part.as_data_source(split=split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES)


def _check_count(part: tfds.core.DatasetBuilder, split: str) -> None:
    """Raises ValueError if a split's record count differs from its description, which TFDS does not check."""
    info, count = part.info.splits[split], 0
    for path in info.filepaths:
        reader = ArrayRecordReader(os.fspath(path))
        count += reader.num_records()
        reader.close()
    if count != info.num_examples:
        raise ValueError(f"it contains {count} records but should contain {info.num_examples}")
