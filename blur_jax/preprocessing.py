"""From a picture and a face box to the square uint8 array that the scorer sees: the one crop and resize of the project.

Builders apply it once and store the result losslessly; the scorer applies the very same function to new pictures.
"""

import dataclasses
import os
import struct
from typing import Any

import numpy as np
from PIL import ExifTags, Image

Box = tuple[int, int, int, int]  # x, y, width and height, in pixels.

# What Pillow can turn into 8-bit RGB without losing range; 16-bit and float pictures are refused, not clipped.
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
# EXIF orientation -> what turns the stored pixels upright; 1 and anything unknown leave them.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """The crop and resize protocol; written into a data set's metadata and into every checkpoint.

    Attributes:
        image_size: side S of the stored square, in pixels.
        context: side of the square crop over the longer side of the face box; 1.0 is the box itself.
        upright: whether a picture's EXIF orientation is applied, so that boxes refer to the picture as it is shown.
            Runs of older versions took pixels as they are stored.
    """

    image_size: int = 64
    context: float = 1.0
    upright: bool = True

    def __post_init__(self) -> None:
        if type(self.image_size) is not int or not 16 <= self.image_size <= 1024:
            raise ValueError(f"image_size must be an integer from 16 to 1024, not {self.image_size!r}")
        if not isinstance(self.context, (int, float)) or not 0.25 <= self.context <= 8:
            raise ValueError(f"context must be a number from 0.25 to 8, not {self.context!r}")
        if not isinstance(self.upright, bool):
            raise ValueError(f"upright must be True or False, not {self.upright!r}")

    @property
    def tag(self) -> str:
        """The protocol in a file name, such as "128px-context1.25"; "-stored" where it is not upright."""
        return f"{self.image_size}px-context{self.context:g}{'' if self.upright else '-stored'}"

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as a JSON-serializable dict."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Preprocessing":
        """Rebuilds the protocol from `to_dict`, also of an older version.

        Raises:
            ValueError: a field is unknown or missing, or has a value that it cannot have.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        if isinstance(fields, dict) and fields.get("resample") == "bicubic" and "upright" not in fields:
            # Older versions recorded the one filter there is, and took pixels as they are stored.
            fields = {name: value for name, value in fields.items() if name != "resample"} | {"upright": False}
        if not isinstance(fields, dict) or set(fields) != known:
            raise ValueError(f"a preprocessing record must have the fields {sorted(known)}, found {fields!r}")
        return cls(**fields)


def read_image(path: str | os.PathLike, *, upright: bool) -> Image.Image:
    """Reads and fully decodes a picture file as 8-bit RGB.

    Args:
        path: the file.
        upright: see `Preprocessing`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not a readable 8-bit picture (damaged, cut short, 16-bit, not a picture).
    """
    try:
        with Image.open(path) as image:
            if image.mode not in _MODES:
                raise ValueError(f"{path}: {_unsupported(image)}")
            return to_rgb(image, upright=upright)
    except FileNotFoundError:
        raise
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path}: not a readable picture ({error}); replace the file or remove it") from error


def to_rgb(image: Image.Image, *, upright: bool) -> Image.Image:
    """Returns an image as 8-bit RGB; `upright` is that of `Preprocessing`.

    Raises:
        ValueError: its mode cannot become 8-bit RGB without losing range.
    """
    if image.mode not in _MODES:
        raise ValueError(_unsupported(image))
    rgb = image.convert("RGB")
    try:
        turn = _TURNS.get(rgb.getexif().get(ExifTags.Base.Orientation)) if upright else None
    except (SyntaxError, ValueError, TypeError, KeyError, struct.error):
        turn = None  # The EXIF block is damaged, the pixels are not: they stay as they are stored.
    return rgb if turn is None else rgb.transpose(turn)


def _unsupported(image: Image.Image) -> str:
    return f"pictures of mode {image.mode!r} are not supported; save it as 8-bit RGB"


def crop_square(size: tuple[int, int], box: Box | None, context: float) -> tuple[int, int, int]:
    """Returns the square that is cut out, as (left, top, side) in whole pixels.

    Its side is `context` times the longer side of the box, but no longer than the picture's shorter side; it is
    centered on the box and shifted to lie inside the picture. So no pixel is invented and no direction is stretched.

    Args:
        size: (width, height) of the picture.
        box: (x, y, width, height) of the face, inside the picture; None means that the picture as a whole is the face.
        context: see `Preprocessing`.

    Raises:
        ValueError: the box is empty or leaves the picture.
    """
    width, height = size
    x, y, w, h = box if box is not None else (0, 0, width, height)
    if w <= 0 or h <= 0 or x < 0 or y < 0 or x + w > width or y + h > height:
        raise ValueError(f"box x={x} y={y} w={w} h={h} is empty or leaves the picture of {width} x {height} pixels")
    side = max(1, min(round(context * max(w, h)), width, height))
    left = min(max(round(x + w / 2 - side / 2), 0), width - side)
    top = min(max(round(y + h / 2 - side / 2), 0), height - side)
    return left, top, side


def crop_and_resize(image: Image.Image, box: Box | None, preprocessing: Preprocessing) -> np.ndarray:
    """Cuts the face out and brings it to the working resolution.

    Args:
        image: an RGB picture, as from `read_image`.
        box: (x, y, width, height) in pixels; None means the whole picture.
        preprocessing: the protocol.

    Returns:
        uint8 [image_size, image_size, 3].

    Raises:
        ValueError: the box is empty or leaves the picture.
    """
    left, top, side = crop_square(image.size, box, preprocessing.context)
    target = (preprocessing.image_size, preprocessing.image_size)
    # Cut before resizing: the filter must not see pixels outside the crop, or a face saved as its own crop would
    # differ.
    # Bicubic, antialiased: its support grows with the reduction.
    crop = image.crop((left, top, left + side, top + side)).resize(target, Image.Resampling.BICUBIC)
    return np.asarray(crop, np.uint8)
