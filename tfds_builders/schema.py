"""The base class of blur data sets; stores each face once, pairs and ranks as row numbers of faces, and metadata.

A data set has four parts, each a TFDS config (docs/data.md): `faces`, `labeled` pairs, `unlabeled` pairs and `ranked`
faces. The name of a prepared part contains the crop and resize protocol and a hash of its sources, so data with a
different size or from changed lists are stored next to it. This module does not need TensorFlow.
"""

import contextlib
import fcntl
import glob
import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from blur_jax.data import prepared
from blur_jax.data.preprocessing import Preprocessing

_DESCRIPTIONS = {
    "faces": "All faces, each stored once; example i is row i.",
    "labeled": "Pairs of faces with an order assigned by people (or by physics).",
    "unlabeled": "Pairs of faces without an order.",
    "ranked": "Faces with a rank, for testing.",
}
KINDS = tuple(_DESCRIPTIONS)
Rows = Iterable[tuple[int, dict[str, Any]]]  # (key, example) pairs of a split.


def features(kind: str, image_size: int) -> tfds.features.FeaturesDict:
    """Returns the feature schema of one part.

    `left`, `right` and `face` are row numbers of `faces`. `order` is +1 if the right face is blurrier, -1 if the left
    face is, and 0 for a tie. `rank` is larger for blurrier faces; `size` is the shorter side of the original face in
    pixels; `group` (a blur family, event or folder) is used to group results and may be empty.
    """
    text = tfds.features.Text()
    image = tfds.features.Image(shape=(image_size, image_size, 3), dtype=np.uint8, encoding_format="png")
    pair = {"left": np.int32, "right": np.int32, "left_name": text, "right_name": text}
    by_kind = {
        "faces": {"image": image, "name": text, "size": np.float32, "group": text},
        "labeled": pair | {"order": np.int8},
        "unlabeled": pair,
        "ranked": {"face": np.int32, "rank": np.float32},
    }
    return tfds.features.FeaturesDict(by_kind[kind])


def digest(facts: Any) -> str:
    """Returns 8 hexadecimal digits of the SHA-256 of a JSON-serializable value."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:8]


def shuffled(names: Iterable[str], salt: str = "") -> list[str]:
    """Sorts names by the SHA-256 of `salt` and the name, which gives a fixed but random-looking order."""
    return sorted(names, key=lambda name: hashlib.sha256(f"{salt}{name}".encode()).digest())


@contextlib.contextmanager
def _writing_in(folder: str) -> Iterator[None]:
    """Holds a shared lock on a folder; first removes files left behind by killed runs if no other process has a lock.

    If the disk does not support locks, these files are not removed.
    """
    os.makedirs(folder, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for path in glob.glob(os.path.join(glob.escape(folder), "incomplete.*")):  # TFDS's name for leftovers.
                shutil.rmtree(path, ignore_errors=True)
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


class BlurDataset(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """The base class of the builders; the caller must prepare `faces` before the other parts."""

    DEFAULT = Preprocessing()
    DESCRIPTION = ""
    CITATION = ""
    NEEDS_MANUAL_DIR = False  # Whether the user supplies the pictures and lists.
    READS_BOXES = False  # Whether the lists may include a `boxes.csv`, with one face in each picture.
    _shared: Mapping[str, Any] = {}  # Arguments shared by all parts of a data set.

    def __init__(self, *, config: str, preprocessing: Preprocessing | None = None, **kwargs: Any) -> None:
        """Creates the builder for the part `config`, one of `KINDS`; `preprocessing` defaults to `DEFAULT`.

        Raises:
            ValueError: `config` is not one of `KINDS`.
            prepared.DamagedData: the part is prepared but cannot be read.
        """
        if config not in KINDS:
            raise ValueError(f"config must be one of {KINDS}, not {config!r}")
        self.kind, self.preprocessing = config, preprocessing or self.DEFAULT
        part = tfds.core.BuilderConfig(name=self.part_name(config), description=_DESCRIPTIONS[config])
        folder = os.path.join(os.fspath(kwargs["data_dir"]), self.name, part.name)
        with prepared.reading(folder, "its description"):  # TFDS reads the description of a prepared part here.
            super().__init__(config=part, file_format="array_record", **kwargs)

    def faces_fingerprint(self) -> str:
        """Returns the `digest` of the pictures and boxes."""
        raise NotImplementedError

    def sources_fingerprint(self) -> str:
        """Returns the `digest` of the pictures, boxes, pairs and ranks."""
        raise NotImplementedError

    def has(self, kind: str) -> bool:
        """Returns whether the sources contain any data for a part other than `faces`."""
        return True

    def check(self, required: Collection[str] = ()) -> None:
        """Raises ValueError if the sources have problems or a required part is empty; writes nothing."""

    def face_examples(self) -> Iterator[dict[str, Any]]:
        """Yields the examples of `faces` in row order, with "image" as PNG bytes."""
        raise NotImplementedError

    def row_splits(self) -> dict[str, Rows]:
        """Returns the splits of a part other than `faces`."""
        raise NotImplementedError

    def facts(self) -> dict[str, Any]:
        """Returns additional metadata: `headline_splits`, `size_bins`, acknowledgement, ..."""
        raise NotImplementedError

    def part(self, kind: str) -> "BlurDataset":
        """Returns the builder for another part of the same data set."""
        return type(self)(config=kind, preprocessing=self.preprocessing, data_dir=self._data_dir_root, **self._shared)

    def part_name(self, kind: str) -> str:
        """Returns the name of a prepared part, such as "labeled-64px-context1-0123abcd"."""
        fingerprint = self.faces_fingerprint() if kind == "faces" else self.sources_fingerprint()
        return f"{kind}-{self.preprocessing.tag}-{fingerprint}"

    def download_and_prepare(self, **kwargs: Any) -> None:
        """Prepares the part unless it already exists; several processes may call this at the same time."""
        with _writing_in(os.path.dirname(self.data_path)):
            try:
                super().download_and_prepare(**kwargs)
            except OSError:  # Another process has just finished the same folder, so TFDS cannot rename its own.
                if not os.path.exists(os.path.join(self.data_path, "dataset_info.json")):
                    raise

    def prepared_metadata(self) -> dict[str, Any]:
        """Reads the metadata from disk, which another process may have written."""
        return prepared.read_metadata(os.path.dirname(self.data_path))

    def _create_builder_config(self, builder_config: tfds.core.BuilderConfig, version: Any) -> tfds.core.BuilderConfig:
        return builder_config  # Otherwise, TFDS warns about configs that are not in a fixed list.

    def _info(self) -> tfds.core.DatasetInfo:
        metadata = {"kind": self.kind, "preprocessing": self.preprocessing.to_dict()}
        if self.kind != "faces":
            metadata["faces"] = self.part_name("faces")
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.DESCRIPTION,
            citation=self.CITATION,
            features=features(self.kind, self.preprocessing.image_size),
            metadata=tfds.core.MetadataDict(metadata),
            disable_shuffling=self.kind == "faces",  # Example i is row i.
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        splits = {"faces": enumerate(self.face_examples())} if self.kind == "faces" else self.row_splits()
        self.info.metadata.update(self.facts())
        if self.kind != "faces":
            self.info.metadata["parts"] = [kind for kind in KINDS if kind != "faces" and self.has(kind)]
        return {split: self._generate_examples(examples) for split, examples in splits.items()}

    def _generate_examples(self, examples: Rows) -> Rows:
        yield from examples
