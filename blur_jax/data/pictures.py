"""Any picture, a file, a PIL image or an array, as 8-bit RGB: by the same rules, so that it scores the same as each."""

import errno
import io
import os
import stat
import threading
from typing import IO

import numpy as np
from PIL import ExifTags, Image, ImageOps

Picture = str | os.PathLike | bytes | Image.Image | np.ndarray  # A file, what is in one, or a picture in memory.
MISSING = "there is no such file"

# 8-bit modes; beside them, 16-bit gray is supported.
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "JPEG2000", "AVIF")
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_OS_REASONS = {errno.EACCES: "there is no permission to read it", errno.ELOOP: "its symbolic links go round in a loop"}
_LOADING = threading.Lock()


def read_image(path: str | os.PathLike) -> Image.Image:
    """Reads and fully decodes a picture file as 8-bit RGB, by the rules of `to_rgb`.

    Args:
        path: the file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not a readable picture; the message names it.
    """
    try:
        return decode(path)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path}: {MISSING}") from error
    except ValueError as error:
        raise ValueError(f"{path}: not a readable picture ({error}); replace the file or remove it") from error


def to_rgb(image: Image.Image) -> Image.Image:
    """Brings a PIL image to 8-bit RGB, upright by its EXIF orientation.

    Gray values are repeated; 16-bit values keep their high byte, as Pillow does where it reads 16-bit color itself;
    transparent parts lie over white; CMYK and YCbCr are converted by Pillow; color profiles are not applied.

    Args:
        image: of any mode but float, 32-bit integer, Lab and HSV, whose range cannot be known. It is loaded.

    Returns:
        the picture; the image itself where nothing had to be done.

    Raises:
        ValueError: it cannot be decoded, or its mode is not supported.
    """
    with _LOADING:  # The same lazy image may be asked for twice, by two threads.
        _load(image)
        orientation = _orientation(image)
    if orientation != 1:
        image = _turned(image)
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        rgb = from_array(np.asarray(image).astype(np.uint16))
    elif image.mode not in _MODES:
        raise ValueError(f"pictures of mode {image.mode!r} are not supported; save it as 8-bit or 16-bit gray or RGB")
    elif image.has_transparency_data:
        rgba, rgb = image.convert("RGBA"), Image.new("RGB", image.size, "white")
        rgb.paste(rgba, mask=rgba.getchannel("A"))
    else:
        rgb = image if image.mode == "RGB" else image.convert("RGB")
    return rgb


def from_array(array: np.ndarray) -> Image.Image:
    """Makes an 8-bit RGB image of uint8 or uint16 [H, W] (gray), [H, W, 3] (RGB) or [H, W, 4] (with alpha).

    The rules are those of `to_rgb`: a uint16 value keeps its high byte, transparent parts lie over white.

    Raises:
        ValueError: the array has another dtype or shape.
    """
    channels = array.shape[2:]
    if array.dtype not in (np.uint8, np.uint16) or array.ndim not in (2, 3) or channels not in ((), (3,), (4,)):
        raise ValueError(
            "an array picture must be uint8 or uint16 of shape [H, W], [H, W, 3] or [H, W, 4], not"
            f" {array.dtype} {list(array.shape)}"
        )
    if 0 in array.shape:
        raise ValueError(f"an array picture of shape {list(array.shape)} has no pixels")
    if array.dtype == np.uint16:
        array = (array >> 8).astype(np.uint8)
    return to_rgb(Image.fromarray(array))


def decode(source: str | os.PathLike | bytes) -> Image.Image:
    """As `read_image`, also of the bytes of a file; the messages of its errors do not name it."""
    try:
        with _opened(source) as file:
            formats = _formats(file.read(12))
            file.seek(0)
            with Image.open(file, formats=formats) as image:
                _load(image)  # Not under the lock.
                return to_rgb(image)
    except (FileNotFoundError, ValueError):
        raise
    except Image.UnidentifiedImageError as error:
        raise ValueError(
            f"it is damaged, or not a picture in one of the formats {', '.join(_FORMATS)}, HEIC"
        ) from error
    except OSError as error:
        raise ValueError(_OS_REASONS.get(error.errno) or error.strerror or str(error)) from error
    except Exception as error:  # As in `_load`; and a picture with more pixels than Pillow thinks safe.
        raise ValueError(f"{error or type(error).__name__}") from error


def _opened(source: str | os.PathLike | bytes) -> IO[bytes]:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    kind = os.stat(source).st_mode
    if stat.S_ISDIR(kind):
        raise ValueError("it is a folder")
    if not stat.S_ISREG(kind):  # Reading a pipe or a device could wait forever.
        raise ValueError("it is not a regular file")
    return open(source, "rb")


def _formats(start: bytes) -> tuple[str, ...]:
    """Returns the formats to try on a file with these first bytes; other ones may run programs, as EPS does."""
    if not start:
        raise ValueError("the file is empty")
    if start[4:8] != b"ftyp" or start[8:12] not in _HEIF_BRANDS:
        return _FORMATS
    try:
        import pillow_heif
    except ImportError as error:
        raise ValueError("a HEIC picture, which needs a package: pip install pillow-heif") from error
    pillow_heif.register_heif_opener()
    return ("HEIF",)


def _load(image: Image.Image) -> None:
    try:
        image.load()
    except Exception as error:  # A damaged file makes Pillow's decoders raise nearly anything.
        raise ValueError(f"its pixels cannot be decoded: {error or type(error).__name__}") from error


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # The EXIF block is damaged, the pixels are not: they stay as they are stored.
        return 1


def _turned(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # As in `_orientation`.
        return image
