"""Crops and resizes a picture to the square uint8 array that the scorer sees in training and scoring."""

import dataclasses
import os
from typing import Any

import numpy as np
from PIL import Image

from blur_jax.data import pictures
from blur_jax.data.pictures import Picture
from blur_jax.data.untrusted import excerpt

Box = tuple[int, int, int, int]  # x, y, width and height, in pixels.

IMAGE_SIZES = (16, 1024)  # The smallest and largest `Preprocessing.image_size`.
CONTEXTS = (0.25, 8)  # The smallest and largest `Preprocessing.context`.
MIN_SIDE = 16  # In pixels; a smaller crop shows too little to judge its blur.
MAX_ASPECT = 4  # Longer side / shorter side of a whole picture; above this, its central square shows too little.


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """The crop and resize protocol, recorded in a data set's metadata and in every checkpoint.

    Attributes:
        image_size: side S of the stored square, in pixels.
        context: side of the square crop divided by the longer side of the face box; 1.0 is the box itself.
    """

    image_size: int = 64
    context: float = 1.0

    def __post_init__(self) -> None:
        if type(self.image_size) is not int or not IMAGE_SIZES[0] <= self.image_size <= IMAGE_SIZES[1]:
            least, most = IMAGE_SIZES
            raise ValueError(f"image_size must be an integer from {least} to {most}, not {excerpt(self.image_size)}")
        if not isinstance(self.context, (int, float)) or not CONTEXTS[0] <= self.context <= CONTEXTS[1]:
            raise ValueError(
                f"context must be a number from {CONTEXTS[0]} to {CONTEXTS[1]}, not {excerpt(self.context)}"
            )

    @property
    def tag(self) -> str:
        """The protocol as it appears in file names, such as "128px-context1.25"."""
        return f"{self.image_size}px-context{self.context:g}"

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Preprocessing":
        """Reverses `to_dict`; raises ValueError for an unknown, missing or invalid field."""
        known = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(fields, dict) or set(fields) != known:
            raise ValueError(f"a preprocessing record must have the fields {sorted(known)}, found {excerpt(fields)}")
        return cls(**fields)


def crop_square(size: tuple[int, int], box: Box | None, context: float) -> tuple[int, int, int]:
    """Returns the square to crop from a picture of `size` (width, height), as (left, top, side) in whole pixels.

    Its side is `context` times the longer side of the box, but at most the picture's shorter side. It is centered on
    the box, then shifted to fit inside the picture, so nothing is padded or stretched. A box of None means the whole
    picture.

    Raises:
        ValueError: the box is empty or extends beyond the picture.
    """
    width, height = size
    x, y, w, h = box if box is not None else (0, 0, width, height)
    if w <= 0 or h <= 0 or x < 0 or y < 0 or x + w > width or y + h > height:
        raise ValueError(f"box x={x} y={y} w={w} h={h} is empty or extends beyond the {width} x {height} picture")
    side = max(1, min(round(context * max(w, h)), width, height))
    left = min(max(round(x + w / 2 - side / 2), 0), width - side)
    top = min(max(round(y + h / 2 - side / 2), 0), height - side)
    return left, top, side


def crop_and_resize(image: Image.Image, box: Box | None, preprocessing: Preprocessing) -> np.ndarray:
    """Crops the face from an RGB picture and resizes it to uint8 [image_size, image_size, 3]; see `crop_square`."""
    left, top, side = crop_square(image.size, box, preprocessing.context)
    target = (preprocessing.image_size, preprocessing.image_size)
    # `resize(box=...)` would read pixels outside the crop, so a face from a cropped file would get a different result.
    # Pillow's bicubic filter is antialiased: its support grows with the reduction factor.
    crop = image.crop((left, top, left + side, top + side)).resize(target, Image.Resampling.BICUBIC)
    return np.asarray(crop, np.uint8)


def reduction(size: tuple[int, int], box: Box | None, preprocessing: Preprocessing) -> float:
    """Returns how many picture pixels, along each side, are reduced to one pixel of the prepared image.

    `size` is the picture's (width, height). The result is below 1 if the crop is enlarged. Blur narrower than this
    number of pixels hardly changes the image.
    """
    return crop_square(size, box, preprocessing.context)[2] / preprocessing.image_size


def prepare(picture: Picture, box: Box | None, preprocessing: Preprocessing) -> np.ndarray:
    """Prepares a new picture for the scorer; returns uint8 [image_size, image_size, 3].

    See `to_image` for the supported picture types. The box is in pixels of the upright picture.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: the picture is unreadable, too small or too elongated to judge, or the box extends beyond it. The
            message does not include the path.
    """
    image = to_image(picture)
    check_judgeable(image.size, box, preprocessing)
    return crop_and_resize(image, box, preprocessing)


def to_image(picture: Picture) -> Image.Image:
    """Returns a picture as upright 8-bit RGB; see `pictures.to_rgb` and, for arrays, `pictures.from_array`.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: the picture is unreadable; the message does not include the path.
    """
    if isinstance(picture, np.ndarray):
        return pictures.from_array(picture)
    if isinstance(picture, Image.Image):
        return pictures.to_rgb(picture)
    if isinstance(picture, (str, os.PathLike, bytes)):
        return pictures.decode(picture)
    raise ValueError(f"a picture must be a path, bytes, a PIL image or an array, not {type(picture).__name__}")


def check_judgeable(size: tuple[int, int], box: Box | None, preprocessing: Preprocessing) -> None:
    """Raises ValueError for a picture of `size` (width, height) whose crop would show too little to judge its blur."""
    width, height = size
    side = crop_square(size, box, preprocessing.context)[2]
    if side < MIN_SIDE:
        region = "the picture" if box is None else f"the crop around the box of {box[2]} x {box[3]}"
        raise ValueError(
            f"{region} is too small to judge: it uses only {side} x {side} pixels of the {width} x {height} picture;"
            f" at least {MIN_SIDE} x {MIN_SIDE} are needed"
        )
    if box is None and max(size) > MAX_ASPECT * min(size):
        raise ValueError(
            f"the {width} x {height} picture is too elongated to judge as a whole: one side is more than"
            f" {MAX_ASPECT} times the other; supply a face box"
        )
