"""Prepared data sets on disk: which one a config means, and what is in its parts."""

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

import ml_collections
import numpy as np
import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordReader
from tensorflow_datasets.proto import tf_example_pb2

from blur_jax.data.preprocessing import Preprocessing
from blur_jax.data.untrusted import reason
from blur_jax.data.user_cache import default_dir

_PARTS = ("labeled", "unlabeled", "ranked")
_LABELS = {"labeled": ("order", np.int8), "ranked": ("rank", np.float32)}


class DamagedData(ValueError):
    """Prepared data that cannot be read; the message names the folder and says what to do."""


def find_parts(config: ml_collections.ConfigDict) -> dict[str, str]:
    """Finds the prepared data set that `config`, a run's `config.data`, means.

    Args:
        config: name, sources, image_size, context, and dir; where dir is not set, prepared data live in `default_dir`.

    Returns:
        {kind: folder} of all parts that it has; "faces", which they refer to, is not among them.

    Raises:
        FileNotFoundError: there is none; says how to prepare it.
        ValueError: there are several and `config.sources` is not set.
    """
    root = os.path.join(os.path.abspath(os.path.expanduser(config.dir or default_dir())), config.name)
    tag = Preprocessing(image_size=config.image_size, context=config.context).tag
    sources = config.sources
    pattern = rf"(\w+)-{re.escape(tag)}-({'[0-9a-f]{8}' if sources is None else re.escape(sources)})"
    found = {}
    for name in sorted(os.listdir(root)) if os.path.isdir(root) else []:
        match, folder = re.fullmatch(pattern, name), os.path.join(root, name)
        if match and match[1] in _PARTS and tfds.core.utils.version.list_all_versions(folder):
            found.setdefault(match[2], {})[match[1]] = folder
    found = {of: parts for of, parts in found.items() if _is_whole(parts)}
    if len(found) > 1:
        hashes = ", ".join(sorted(found))
        raise ValueError(f"{root} has data prepared from several sources, {hashes}; choose with --config.data.sources=")
    if found:
        return found.popitem()[1]
    which = f"of config.data.sources={sources} " if sources is not None else ""
    folders = {"data_dir": config.dir, "manual_dir": config.manual_dir}
    flags = "".join(f" --{flag}={folder}" for flag, folder in folders.items() if folder)
    raise FileNotFoundError(
        f"no prepared data {which}of {config.image_size} px and context {config.context:g} in {root}; prepare them"
        f" with `python -m tfds_builders.prepare --dataset={config.name} --image_size={config.image_size}"
        f" --context={config.context:g}{flags}` (see its --help)"
    )


def _is_whole(parts: dict[str, str]) -> bool:
    """Whether all parts of a data set are there: its preparation may have been cut short."""
    folder = next(iter(parts.values()))
    metadata = read_metadata(folder)
    with reading(folder, "its metadata"):
        return set(parts) == set(metadata["parts"])


def open_part(folder: str) -> tfds.core.DatasetBuilder:
    """Opens the newest version of a prepared part; raises DamagedData."""
    with reading(folder, "its description"):
        version = max(tfds.core.utils.version.list_all_versions(folder))
        return tfds.builder_from_directory(os.path.join(folder, str(version)))


def read_metadata(folder: str) -> dict[str, Any]:
    """Returns all that the builder of a part wrote down about it; raises DamagedData."""
    part = open_part(folder)
    with reading(folder, "its metadata"):
        return dict(part.info.metadata)


@contextlib.contextmanager
def reading(folder: str, what: str) -> Iterator[None]:
    """Turns every error of reading `what` in a prepared part into DamagedData.

    TFDS, array_record and Pillow raise many types; in files that this project wrote, all mean the same.
    """
    try:
        yield
    except DamagedData:
        raise
    except Exception as error:
        raise DamagedData(
            f"{folder}: {what} cannot be read ({type(error).__name__}: {reason(error)}); delete this folder, and the"
            " data are prepared again"
        ) from error


def faces_source(folder: str) -> tuple[Sequence[bytes], int]:
    """Opens the faces of a data set: random access to their records, see `values`, and the pictures' side in pixels."""
    part = open_part(folder)
    with reading(folder, "its faces"):
        _check_count(part, "faces")
        return _records(part, "faces"), part.info.features["image"].shape[0]


def read_rows(folder: str, kind: str, split: str, faces: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Reads a split of pairs or ranked faces.

    Args:
        folder: of the part.
        kind: "labeled", "unlabeled" or "ranked".
        split: its name.
        faces: how many faces there are to refer to.

    Returns:
        rows and labels as of `data.Split`.

    Raises:
        DamagedData: the files are damaged, or refer to faces that are not there.
    """
    part = open_part(folder)
    with reading(folder, f"the split {split!r}"):
        _check_count(part, split)
        keys = ("face",) if kind == "ranked" else ("left", "right")
        label, dtype = _LABELS.get(kind, (None, None))
        found = list(examples(folder, _records(part, split), *keys, *[label] * (label is not None)))
        rows = np.array([example[: len(keys)] for example in found], np.int32)
        if not ((rows >= 0) & (rows < faces)).all():
            raise ValueError(f"it refers to faces that are not among the {faces}")
        labels = np.array([example[-1] for example in found], dtype) if label else None
    return (rows[:, 0] if kind == "ranked" else rows), labels


def examples(folder: str, source: Sequence[bytes], *names: str) -> Iterator[list[Any]]:
    """Yields the `values` of all records; read in chunks, which takes half the time of reading one by one."""
    for start in range(0, len(source), 1024):
        with reading(folder, f"records from {start} on"):
            chunk = source.__getitems__(range(start, min(start + 1024, len(source))))
            chunk = [values(record, *names) for record in chunk]
        yield from chunk


def values(record: bytes, *names: str) -> list[Any]:
    """Returns fields of a record, each an int, a float or bytes; pictures and texts are still encoded.

    TFDS, which looks at each field of each record in Python, takes four to ten times as long.

    Raises:
        ValueError, KeyError, google.protobuf.message.DecodeError: it has no such field, or is no such record.
    """
    features = tf_example_pb2.Example.FromString(record).features.feature
    found = []
    for name in names:
        if name not in features:
            raise KeyError(name)
        (value,) = getattr(features[name], features[name].WhichOneof("kind")).value
        found.append(value)
    return found


def _records(part: tfds.core.DatasetBuilder, split: str) -> Sequence[bytes]:
    return part.as_data_source(split=split, deserialize_method=tfds.decode.DeserializeMethod.RAW_BYTES)


def _check_count(part: tfds.core.DatasetBuilder, split: str) -> None:
    """TFDS reads as many records as the description says, however many there are."""
    info = part.info.splits[split]
    found = 0
    for path in info.filepaths:
        reader = ArrayRecordReader(os.fspath(path))
        found += reader.num_records()
        reader.close()
    if found != info.num_examples:
        raise ValueError(f"it holds {found} records, and should {info.num_examples}")
