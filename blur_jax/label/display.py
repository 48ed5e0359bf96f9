"""Renders the part of a picture that is compared, as bytes for the page."""

import io

from PIL import Image

from blur_jax.data import preprocessing
from blur_jax.label.photos import Photo

FIT, PIXELS = "fit", "pixels"  # The whole crop, reduced if it is large; its center, pixel by pixel.
VIEWS = (FIT, PIXELS)
_SIDES = {FIT: 960, PIXELS: 800}  # The longest side of each view in pixels.
_LOSSLESS = 256  # Crops up to this side are sent as PNG.
_CONTEXT = 1.0  # As in the default `Preprocessing`.


def render(photo: Photo, view: str) -> tuple[bytes, str]:
    """Returns (the square crop of a picture, its media type); `view` is one of `VIEWS`.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: the picture cannot be read, or its box extends beyond it.
    """
    image = preprocessing.to_image(photo.path)
    left, top, side = preprocessing.crop_square(image.size, photo.box, _CONTEXT)
    longest = _SIDES[view]
    if view == PIXELS and side > longest:
        left, top, side = left + (side - longest) // 2, top + (side - longest) // 2, longest
    image = image.crop((left, top, left + side, top + side))
    if side > longest:
        image = image.resize((longest, longest), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    if min(side, longest) <= _LOSSLESS:
        image.save(buffer, "PNG", compress_level=1)
        return buffer.getvalue(), "image/png"
    image.save(buffer, "JPEG", quality=95, subsampling=0)  # The chroma, too, must not be blurred.
    return buffer.getvalue(), "image/jpeg"
