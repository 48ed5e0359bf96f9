"""Scoring pictures with a trained run: what a notebook or a program calls.

scorer = blur_jax.load_scorer("runs/demo")
scores = scorer.score(["a.jpg", "b.jpg"])
"""

import os
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from blur_jax import checkpoints, distributed, inference, models
from blur_jax.preprocessing import Box, Preprocessing, crop_and_resize, read_image, to_rgb

Picture = str | os.PathLike | Image.Image | np.ndarray


class Scorer:
    """Gives each picture a score from 0 (sharp) to 1 (blurred) that depends on that picture alone.

    It uses all devices. In a program of several processes, all of them must make the same calls.

    Attributes:
        preprocessing: the crop and resize protocol of the training data; applied to every picture.
        config: the config of the run.
        step: the number of updates behind the parameters.
    """

    def __init__(self, saved: checkpoints.Saved) -> None:
        """Reads the parameters; raises `checkpoints.CheckpointError` where they cannot be used."""
        model, params = distributed.everywhere(load_network, saved)
        self.preprocessing: Preprocessing = saved.preprocessing
        self.config, self.step = saved.config, saved.step
        self._params, self._score = distributed.replicate(params), inference.make_score(model)

    def score(
        self, pictures: Sequence[Picture], *, boxes: Sequence[Box | None] | None = None, batch_size: int = 64
    ) -> np.ndarray:
        """Scores pictures.

        Args:
            pictures: file paths, PIL images, or uint8 arrays [H, W, 3] in RGB, of any sizes.
            boxes: (x, y, width, height) of the face in each picture, in pixels of the upright picture; None takes
                whole pictures.
            batch_size: pictures in memory at a time.

        Returns:
            float32 [n], in [0, 1], larger is blurrier.

        Raises:
            FileNotFoundError: a picture is missing.
            ValueError: a picture is unreadable, or a box leaves it.
        """
        if isinstance(pictures, (str, os.PathLike)):
            raise ValueError(
                "score takes a list of pictures: [picture] for a single one,"
                " sorted(pathlib.Path(folder).glob('*.jpg')) for a folder"
            )
        boxes = [None] * len(pictures) if boxes is None else list(boxes)
        if len(boxes) != len(pictures):
            raise ValueError(f"there are {len(boxes)} boxes for {len(pictures)} pictures")
        scores = [np.zeros(0, np.float32)]
        for start in range(0, len(pictures), batch_size):
            chunk = slice(start, start + batch_size)
            images = []
            for index, (picture, box) in enumerate(zip(pictures[chunk], boxes[chunk]), start):
                try:
                    images.append(self.prepare(picture, box))
                except ValueError as error:
                    which = f" ({picture})" if isinstance(picture, (str, os.PathLike)) else ""
                    raise ValueError(f"picture {index}{which}: {error}") from error
            scores.append(self.score_images(np.stack(images)))
        return np.concatenate(scores)

    def prepare(self, picture: Picture, box: Box | None = None) -> np.ndarray:
        """Does to a picture what was done to the training pictures; returns uint8 [S, S, 3]."""
        if isinstance(picture, np.ndarray):
            if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
                raise ValueError(f"an array picture must be uint8 [H, W, 3], not {picture.dtype} {list(picture.shape)}")
            picture = Image.fromarray(picture)
        elif isinstance(picture, Image.Image):
            picture = to_rgb(picture, upright=self.preprocessing.upright)
        else:
            picture = read_image(picture, upright=self.preprocessing.upright)
        return crop_and_resize(picture, box, self.preprocessing)

    def score_images(self, images: np.ndarray, *, batch_size: int = 256, progress: str | None = None) -> np.ndarray:
        """Scores images that are cropped and resized already.

        Args:
            images: uint8 [n, S, S, 3].
            batch_size: images in a batch over all devices.
            progress: label of a progress bar; None shows none.

        Returns:
            float32 [n], in [0, 1], larger is blurrier.

        Raises:
            ValueError: the images have another dtype or size.
        """
        side = self.preprocessing.image_size
        if images.dtype != np.uint8 or images.shape[1:] != (side, side, 3):
            raise ValueError(
                f"images must be uint8 [n, {side}, {side}, 3], not {images.dtype} {list(images.shape)}; `prepare` makes"
                " one from a picture"
            )
        if not len(images):
            return np.zeros(0, np.float32)
        return self._score(self._params, images, batch_size=batch_size, progress=progress)


def load_network(saved: checkpoints.Saved) -> tuple[models.Network, models.Params]:
    """Builds the network that a checkpoint's config describes and reads its parameters; returns (network, params)."""
    model = models.from_config(saved.config.model)
    size = saved.preprocessing.image_size
    shapes = jax.eval_shape(model.init, jax.random.key(0), jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32))
    template = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes["params"])
    return model, saved.load_params(template)


def load_scorer(path: str | os.PathLike) -> Scorer:
    """Loads a scorer on any machine, whatever devices trained it.

    Args:
        path: a run directory (its best checkpoint by validation is taken) or one checkpoint, `checkpoints/<step>`.

    Raises:
        checkpoints.CheckpointError: there is no usable checkpoint.
    """
    return Scorer(checkpoints.find(path))
