"""What every blur data set shares: faces once, pairs and ranks as rows of them, and metadata that travel along.

A data set has four parts, each a TFDS config, whatever its source (docs/data.md): `faces`, `labeled` pairs, `unlabeled`
pairs and `ranked` faces. The name of a prepared part holds the crop and resize protocol and a hash of what it was made
of, so that another size, or changed lists, are prepared beside it. Nothing here needs TensorFlow.
"""

import contextlib
import fcntl
import glob
import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from blur_jax.data import prepared
from blur_jax.data.preprocessing import Preprocessing

KINDS = ("faces", "labeled", "unlabeled", "ranked")

_DESCRIPTIONS = {
    "faces": "Every face once; example i is row i.",
    "labeled": "Pairs of faces with the order that people (or physics) gave them.",
    "unlabeled": "Pairs of faces without an order.",
    "ranked": "Faces with a rank, for testing.",
}


def features(kind: str, image_size: int) -> tfds.features.FeaturesDict:
    """Returns the schema of one part.

    `left`, `right` and `face` are rows of `faces`. `order` is +1 where the right face is the blurrier, -1 where the
    left is, 0 where nobody could tell. `rank` is larger for blurrier faces; `size` is the shorter side of the original
    face in pixels; `group` is the blur family, event or folder by which results are broken down, and may be empty.
    """
    text = tfds.features.Text
    pair = {"left": np.int32, "right": np.int32, "left_name": text(), "right_name": text()}
    if kind == "faces":
        image = tfds.features.Image(shape=(image_size, image_size, 3), dtype=np.uint8, encoding_format="png")
        return tfds.features.FeaturesDict({"image": image, "name": text(), "size": np.float32, "group": text()})
    if kind == "labeled":
        return tfds.features.FeaturesDict({**pair, "order": np.int8})
    if kind == "unlabeled":
        return tfds.features.FeaturesDict(pair)
    if kind == "ranked":
        return tfds.features.FeaturesDict({"face": np.int32, "rank": np.float32})
    raise ValueError(f"kind must be one of {KINDS}, not {kind!r}")


def digest(facts: Any) -> str:
    """Returns 8 hexadecimal digits that stand for a JSON-serializable value."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:8]


@contextlib.contextmanager
def _writing_in(folder: str) -> Iterator[None]:
    """Marks a folder as being written in, and removes first what killed preparations have left there.

    The mark is a shared lock, which ends with its process; an exclusive one can be had where nobody is writing. Where
    the disk has no locks, nobody knows, and all stays.
    """
    os.makedirs(folder, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for path in glob.glob(os.path.join(glob.escape(folder), "incomplete.*")):  # As TFDS calls them.
                shutil.rmtree(path, ignore_errors=True)
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


class BlurDataset(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Base of the builders.

    They add `VERSION`, texts, the two fingerprints, `face_examples` and `row_splits`; whoever makes one prepares its
    `faces` first. Where sources may lack a part, they say so in `has`.
    """

    DEFAULT = Preprocessing()
    DESCRIPTION = ""
    CITATION = ""
    NEEDS_MANUAL_DIR = False  # Whether it is built from files that the user has to bring.

    def __init__(self, *, config: str, preprocessing: Preprocessing | None = None, **kwargs: Any) -> None:
        """Makes a builder of one part.

        Args:
            config: one of `KINDS`.
            preprocessing: the crop and resize protocol; None takes the data set's own.
            **kwargs: as for any TFDS builder (`data_dir`, ...).

        Raises:
            ValueError: there is no such part.
            prepared.DamagedData: it lies below `data_dir`, and cannot be read.
        """
        if config not in KINDS:
            raise ValueError(f"config must be one of {KINDS}, not {config!r}")
        self.kind, self.preprocessing = config, preprocessing or self.DEFAULT
        part = tfds.core.BuilderConfig(name=self.part_name(config), description=_DESCRIPTIONS[config])
        folder = os.path.join(os.fspath(kwargs["data_dir"]), self.name, part.name)
        with prepared.reading(folder, "its description"):  # TFDS does at once what lies there.
            super().__init__(config=part, file_format="array_record", **kwargs)

    def faces_fingerprint(self) -> str:
        """Returns a hash of the pictures, as `digest`."""
        raise NotImplementedError

    def sources_fingerprint(self) -> str:
        """Returns a hash of the pictures and of the pairs and ranks, as `digest`."""
        raise NotImplementedError

    def has(self, kind: str) -> bool:
        """Whether the sources hold anything for a part other than `faces`."""
        del kind
        return True

    def check(self, required: Collection[str] = ()) -> None:
        """Raises ValueError for what is wrong with the sources, before anything is written.

        Args:
            required: the parts that cannot be done without; there must be one at least.
        """

    def face_examples(self) -> Iterator[dict[str, Any]]:
        """Yields the examples of `faces`, row by row; "image" as PNG bytes."""
        raise NotImplementedError

    def row_splits(self) -> dict[str, Iterable[tuple[int, dict[str, Any]]]]:
        """Returns {split: (key, example)} of one of the other parts."""
        raise NotImplementedError

    def facts(self) -> dict[str, Any]:
        """Returns what else to write down: `headline_splits`, `size_bins`, acknowledgement, ..."""
        raise NotImplementedError

    def part(self, kind: str) -> "BlurDataset":
        """Returns the builder of another part of the same data set."""
        return type(self)(config=kind, preprocessing=self.preprocessing, data_dir=self._data_dir_root)

    def part_name(self, kind: str) -> str:
        """Returns the name of a prepared part, such as "labeled-64px-context1-0123abcd"."""
        fingerprint = self.faces_fingerprint() if kind == "faces" else self.sources_fingerprint()
        return f"{kind}-{self.preprocessing.tag}-{fingerprint}"

    def download_and_prepare(self, **kwargs: Any) -> None:
        """Prepares the part, or finds it prepared, also by another process at the same time."""
        with _writing_in(os.path.dirname(self.data_path)):
            try:
                super().download_and_prepare(**kwargs)
            except OSError:  # TFDS cannot rename its folder onto the one that another process has just finished.
                if not os.path.exists(os.path.join(self.data_path, "dataset_info.json")):
                    raise

    def prepared_metadata(self) -> dict[str, Any]:
        """Returns the metadata on disk, whichever process wrote them."""
        return prepared.read_metadata(os.path.dirname(self.data_path))

    def _create_builder_config(self, builder_config: tfds.core.BuilderConfig, version: Any) -> tfds.core.BuilderConfig:
        del version
        return builder_config  # TFDS would warn of a config that is not in a list fixed beforehand.

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
        del dl_manager  # Nothing is downloaded: pictures come with a package, or from their licensees.
        splits = {"faces": enumerate(self.face_examples())} if self.kind == "faces" else self.row_splits()
        self.info.metadata.update(self.facts())
        if self.kind != "faces":
            self.info.metadata["parts"] = [kind for kind in KINDS if kind != "faces" and self.has(kind)]
        return {split: self._generate_examples(examples) for split, examples in splits.items()}

    def _generate_examples(self, examples: Iterable[tuple[int, dict[str, Any]]]) -> Iterator[tuple[int, dict]]:
        yield from examples
