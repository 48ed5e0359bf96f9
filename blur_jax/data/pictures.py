"""Converts files, PIL images and arrays to 8-bit RGB with the same rules, so scores do not depend on the input type."""

import contextlib
import errno
import io
import os
import stat
import threading
from typing import IO

import numpy as np
from PIL import ExifTags, Image, ImageOps

from blur_jax.data import stored_values
from blur_jax.data.picture_formats import open_image

Picture = str | os.PathLike | bytes | Image.Image | np.ndarray  # A path, file contents, or a picture.
MISSING = "the file does not exist"

_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
_OS_REASONS = {errno.EACCES: "you do not have permission to read it", errno.ELOOP: "its symbolic links form a loop"}
_LOADING = threading.Lock()
if hasattr(os, "register_at_fork"):  # A forked process must not inherit a lock that another thread holds.
    os.register_at_fork(before=_LOADING.acquire, after_in_parent=_LOADING.release, after_in_child=_LOADING.release)


def why_unusable(error: Exception) -> str:
    """Returns the reason that a picture cannot be used, given what was raised while it was read or searched."""
    if isinstance(error, FileNotFoundError):
        return MISSING
    return str(error) if isinstance(error, ValueError) else f"unexpected error: {type(error).__name__}: {error}"


def read_image(path: str | os.PathLike) -> Image.Image:
    """Reads and fully decodes a picture file as 8-bit RGB, following the rules of `to_rgb`.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: the file is not a readable picture; the message includes the path.
    """
    try:
        return decode(path)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path}: {MISSING}") from error
    except ValueError as error:
        raise ValueError(f"{path}: not a readable picture ({error}); replace or remove the file") from error


def to_rgb(image: Image.Image) -> Image.Image:
    """Converts a PIL image to 8-bit RGB and turns it upright according to its EXIF orientation.

    Gray is copied to all channels. 16-bit values are reduced to their high byte or, if the file states a smaller bit
    depth, to the highest 8 of those bits. The stated depth is known only for images that Pillow has not loaded yet.
    Transparent areas become white. Pillow converts CMYK and YCbCr. Color profiles are not applied. The image is loaded
    in place; an upright RGB image is returned without a copy.

    Raises:
        ValueError: the image cannot be decoded, its mode is not supported, or its values seem to use fewer than 16
            bits (see `stored_values.to_8_bits`). The range of float, 32-bit integer, Lab and HSV modes is unknown, so
            they are not supported.
    """
    with _LOADING:  # Two threads may load the same lazy image.
        image = _loaded(image)
    return _rgb(image)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode not in _MODES:
        raise ValueError(
            f"pictures in mode {image.mode!r} are not supported; save the picture as 8-bit or 16-bit gray or RGB"
        )
    if image.has_transparency_data:
        rgba, rgb = image.convert("RGBA"), Image.new("RGB", image.size, "white")
        rgb.paste(rgba, mask=rgba.getchannel("A"))
        return rgb
    return image if image.mode == "RGB" else image.convert("RGB")


def from_array(array: np.ndarray) -> Image.Image:
    """Converts uint8 or uint16 [H, W] (gray), [H, W, 3] (RGB) or [H, W, 4] (RGBA) to an 8-bit RGB image; see `to_rgb`.

    Raises:
        ValueError: the array has a different dtype or shape, or its 16-bit values seem to use fewer bits (see
            `stored_values.to_8_bits`).
    """
    channels = array.shape[2:]
    if array.dtype not in (np.uint8, np.uint16) or array.ndim not in (2, 3) or channels not in ((), (3,), (4,)):
        raise ValueError(
            "a picture array must be uint8 or uint16 with shape [H, W], [H, W, 3] or [H, W, 4], not"
            f" {array.dtype} {list(array.shape)}"
        )
    if 0 in array.shape:
        raise ValueError(f"a picture array with shape {list(array.shape)} has no pixels")
    if array.dtype == np.uint16:
        array = stored_values.to_8_bits(array)
    return to_rgb(Image.fromarray(array))


def decode(source: str | os.PathLike | bytes) -> Image.Image:
    """Decodes a file or its bytes like `read_image`, but error messages do not include the path."""
    try:
        with _opened(source) as file, open_image(file) as image:
            return _rgb(_loaded(image))
    except (FileNotFoundError, ValueError):
        raise
    except OSError as error:
        raise ValueError(_OS_REASONS.get(error.errno) or error.strerror or str(error)) from error
    except Exception as error:  # As in `_loaded`, or the picture has more pixels than Pillow considers safe.
        raise ValueError(str(error) or type(error).__name__) from error


def _opened(source: str | os.PathLike | bytes) -> IO[bytes]:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    kind = os.stat(source).st_mode
    if stat.S_ISDIR(kind):
        raise ValueError("it is a folder")
    if not stat.S_ISREG(kind):  # Reading a pipe or a device could block forever.
        raise ValueError("it is not a regular file")
    return open(source, "rb")


def _loaded(image: Image.Image) -> Image.Image:
    """Loads an image and returns it upright, with 8 bits per value."""
    try:
        stored = stored_values.stored(image)
        image.load()
    except Exception as error:  # Pillow's decoders raise many types for a damaged file.
        raise ValueError(f"its pixels cannot be decoded: {str(error) or type(error).__name__}") from error
    image = stored_values.reduced(image, stored)
    with contextlib.suppress(Exception):  # If the EXIF block is damaged, keep the stored orientation.
        if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
            image = ImageOps.exif_transpose(image)
    return image
