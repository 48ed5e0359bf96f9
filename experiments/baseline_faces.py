"""The faces of a prepared data set, each once: pairs repeat 2,000 faces 20,000 times."""

import dataclasses

import ml_collections
import numpy as np
from PIL import Image
from tqdm import tqdm

from blur_jax import data
from blur_jax.preprocessing import Preprocessing, crop_and_resize
from tfds_builders.ssranking_face_blur.builder import photograph


@dataclasses.dataclass(frozen=True)
class RankedTest:
    """One ranked split of m faces, without its images.

    Attributes:
        names: of the faces.
        ranks, sizes: float [m]; larger ranks are blurrier; shorter side of the original face in pixels.
    """

    names: list[str]
    ranks: np.ndarray
    sizes: np.ndarray


@dataclasses.dataclass(frozen=True)
class Faces:
    """All n faces of the labeled training pairs and of the tests.

    Attributes:
        images: uint8 [n, S, S, 3].
        names: n different names.
        pairs: int [m, 2], indices (sharper face, blurrier face) of the `train` pairs; ties are left out.
    """

    images: np.ndarray
    names: list[str]
    pairs: np.ndarray

    @property
    def photographs(self) -> list[str]:
        """The photograph (or person) that each face comes from."""
        return [photograph(name) for name in self.names]

    def resized(self, side: int) -> np.ndarray:
        """The images at another side, uint8 [n, side, side, 3], by the antialiasing filter that made them."""
        protocol = Preprocessing(image_size=side)
        return np.stack([crop_and_resize(Image.fromarray(image), None, protocol) for image in self.images])


def read_tests(config: ml_collections.ConfigDict) -> dict[str, RankedTest]:
    """The ranked splits of the data set that `config` (as `config.data`) names, by name."""
    tests = {}
    for split in data.split_names(config, "ranked"):
        examples = _examples(config, "ranked", split)
        names, ranks, sizes = zip(*((example["name"], example["rank"], example["size"]) for example in examples))
        tests[split] = RankedTest(list(names), np.array(ranks), np.array(sizes))
    return tests


def read_faces(config: ml_collections.ConfigDict) -> Faces:
    """Reads the labeled `train` pairs and the ranked splits, and keeps each face once."""
    labeled = tqdm(_examples(config, "labeled", "train"), desc="reading pairs", disable=None, leave=False)
    names, images, pairs, order = data.unique_faces(labeled)
    faces = dict(zip(names, images))
    for split in data.split_names(config, "ranked"):
        for example in _examples(config, "ranked", split):
            faces.setdefault(example["name"], example["image"])
    pairs = np.where(order[:, None] > 0, pairs, pairs[:, ::-1])[order != 0]
    return Faces(np.stack(list(faces.values())), list(faces), pairs)


def _examples(config, kind, split):
    """The decoded examples of one split, one after the other: nothing needs to be kept."""
    examples = data.open_split(config, kind, split).examples
    return (examples[i] for i in range(len(examples)))
