"""What every blur data set shares: the schema, lossless storage, and metadata that travel with checkpoints.

A data set has three configs, whatever its source (DESIGN.md section 4): `labeled` pairs, `unlabeled` pairs and `ranked`
single images. A builder says where its pictures come from by yielding `(key, example)`; nothing here needs TensorFlow.
"""

import io
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from blur_jax.preprocessing import Preprocessing

KINDS = ("labeled", "unlabeled", "ranked")


def encode_png(image: np.ndarray) -> bytes:
    """Returns uint8 [S, S, 3] as PNG bytes: lossless, since a lossy save would change the blur itself."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def features(kind: str, image_size: int) -> tfds.features.FeaturesDict:
    """The schema of one kind of split.

    `order` is +1 where the right image is the blurrier, -1 where the left is, 0 where nobody could tell. `rank` is
    larger for blurrier images; `size` is the shorter side of the original face in pixels; `group` is the blur family,
    event or folder by which results are broken down, and may be empty.
    """

    def image():
        return tfds.features.Image(shape=(image_size, image_size, 3), dtype=np.uint8, encoding_format="png")

    text = tfds.features.Text
    pair = {"left": image(), "right": image(), "left_name": text(), "right_name": text()}
    if kind == "labeled":
        return tfds.features.FeaturesDict({**pair, "order": np.int8})
    if kind == "unlabeled":
        return tfds.features.FeaturesDict(pair)
    if kind == "ranked":
        scalars = {"rank": np.float32, "size": np.float32, "group": text()}
        return tfds.features.FeaturesDict({"image": image(), "name": text(), **scalars})
    raise ValueError(f"kind must be one of {KINDS}, not {kind!r}")


class BlurDataset(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Base of the builders: they add `VERSION`, `DEFAULT`, texts and `_split_generators`."""

    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(name="labeled", description="Pairs with the order that people (or physics) gave them."),
        tfds.core.BuilderConfig(name="unlabeled", description="Pairs without an order."),
        tfds.core.BuilderConfig(name="ranked", description="Single images with a rank, for testing."),
    ]
    DEFAULT = Preprocessing()
    DESCRIPTION = ""
    CITATION = ""
    NEEDS_MANUAL_DIR = False  # Whether it is built from files that the user has to bring.

    def __init__(self, *, preprocessing: Preprocessing | None = None, config: str = "labeled", **kwargs: Any):
        """Makes a builder of one config.

        Args:
            preprocessing: the crop and resize protocol; None takes the data set's own.
            config: "labeled", "unlabeled" or "ranked".
            **kwargs: as for any TFDS builder (`data_dir`, ...).
        """
        self.preprocessing = preprocessing or self.DEFAULT
        super().__init__(config=config, file_format="array_record", **kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        kind = self.builder_config.name
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.DESCRIPTION,
            citation=self.CITATION,
            features=features(kind, self.preprocessing.image_size),
            metadata=tfds.core.MetadataDict(kind=kind, preprocessing=self.preprocessing.to_dict()),
        )
