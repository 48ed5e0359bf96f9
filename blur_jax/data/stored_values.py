"""Reduces 16-bit pictures to 8 bits, using the value range that the file states or that the values suggest.

A file with 16 bits per value often contains 10-, 12- or 14-bit values from a camera or microscope. If this is ignored,
the picture looks almost black and gets a different score.
"""

import io
import sys
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

_DEPTHS = (8, 10, 12, 14)  # Bit depths that devices and programs store in 16-bit values.
_WIDENING = (256, 257)  # The factors that programs use to store 8-bit values in 16 bits.
_BITS_PER_SAMPLE, _PHOTOMETRIC, _MAX_SAMPLE_VALUE = 258, 262, 281  # TIFF tags.
_PLANES = "planes"
_EXACT = ("RGB", "RGBX", "RGBA", "CMYK", "P6")  # The raw modes whose low bytes can also be read.
_LOW_BYTE = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}  # {byte order: the opposite order}.
_KEPT = "_blur_jax_stored"


class Stored(NamedTuple):
    """A file's metadata about its pixel values."""

    bits: int | None = None  # 1 to 16, or None if not stated; also 16 if Pillow scales the stated range to 16 bits.
    white_is_zero: bool = False
    rawmode: str = ""  # Pillow's name for the 16-bit color layout; Pillow reads only the high bytes.
    source: Any = None  # The path or open file, for 16-bit color.


def to_8_bits(values: np.ndarray, bits: int | None = None) -> np.ndarray:
    """Reduces uint16 [H, W], [H, W, 3] (RGB) or [H, W, 4] (RGBA) to uint8 of the same shape, by dropping low bits.

    Args:
        values: in [0, 65535], or in [0, 2**bits - 1].
        bits: the number of bits that the file states, 1 to 16; None if it does not state any.

    Raises:
        ValueError: no value needs more than 14 bits, the file does not state fewer than 16 bits, and the values are not
            8-bit values widened to 16 bits. A black picture is accepted.
    """
    color = values[..., :3] if values.ndim == 3 else values
    largest = int(color.max())
    if bits is None or largest >> bits:
        if not any((color % factor == 0).all() for factor in _WIDENING):
            _check(largest)
        bits = 16
    return (values << (16 - bits) >> 8).astype(np.uint8)


def stored(image: Image.Image) -> Stored:
    """Returns an image's stored metadata. Call this before Pillow loads the image; later calls return the same."""
    if getattr(image, "tile", None) or not hasattr(image, _KEPT):  # Pillow empties `tile` when it loads an image.
        setattr(image, _KEPT, _read(image))
    return getattr(image, _KEPT)


def reduced(image: Image.Image, stored: Stored) -> Image.Image:
    """Returns a loaded image with 8 bits per value: the same image, or a new one for 16-bit gray or dark 16-bit color.

    Raises:
        ValueError: the range of the values is unknown; see `to_8_bits`.
    """
    if stored.rawmode == _PLANES:
        raise ValueError("it stores 16-bit color in separate planes, which Pillow misreads; interleave its channels")
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM"):
        mode, values = "L", np.asarray(image).astype(np.uint16)
    elif stored.rawmode and (high := _brightest(image)) <= 1 << _DEPTHS[-1] - 8:
        if stored.rawmode.partition(";16")[0] not in _EXACT:
            if high:
                _check(high << 8)
            return image
        with Image.open(stored.source, formats=[str(image.format)]) as again:
            mode, values = image.mode, _deep_color(image, again, stored.rawmode)
    else:
        return image
    array = to_8_bits(values if mode != "CMYK" else values.reshape(len(values), -1), stored.bits)
    new = Image.frombytes(mode, image.size, (255 - array if stored.white_is_zero else array).tobytes())
    new.info = {key: value for key, value in image.info.items() if key != "transparency"}  # Keeps the orientation.
    return new


def _check(largest: int) -> None:
    """Raises ValueError if values up to `largest` leave the top two of 16 bits unused."""
    for bits in _DEPTHS:
        if largest < 1 << bits:
            raise ValueError(
                f"none of its 16-bit values are above {(1 << bits) - 1}, so they probably have {bits} bits; multiply"
                f" them by {1 << 16 - bits}, or save the picture with 8 bits"
            )


def _brightest(image: Any) -> int:
    """Returns the largest 8-bit value in all channels except alpha."""
    return max(image.getchannel(band).getextrema()[1] for band in image.getbands() if band != "A")


def _deep_color(high: Any, low: Any, rawmode: str) -> np.ndarray:
    """Combines a loaded image and the same file, opened again, into uint16 [H, W, C]; see `Stored.rawmode`."""
    family, _, order = rawmode.partition(";16")
    if family == "P6":
        low.fp.seek(low.tile[0].offset)
        values = np.frombuffer(low.fp.read(), ">u2", 3 * low.width * low.height)
        return values.reshape(low.height, low.width, 3).astype(np.uint16)
    low.seek(high.tell())
    swapped = f"{family};16{_LOW_BYTE[order]}"
    rest = [() if isinstance(tile.args, str) else tile.args[1:] for tile in low.tile]
    low.tile = [tile._replace(args=(swapped, *more) if more else swapped) for tile, more in zip(low.tile, rest)]
    return np.asarray(high).astype(np.uint16) << 8 | np.asarray(low)


def _read(image: Any) -> Stored:
    if image.format == "HEIF":  # At most 12 bits, which pillow-heif scales.
        return Stored(16)
    reader = {"TIFF": _tiff, "PNG": _png, "PPM": _ppm, "JPEG2000": _jpeg2000}.get(image.format)
    if reader is None or not image.tile:
        return Stored()
    return reader(image)._replace(source=image.filename or image.fp)


def _color(rawmode: str) -> str:
    return rawmode if ";16" in rawmode and not rawmode.startswith("I") else ""


def _tiff(image: Any) -> Stored:
    tags, rawmode = image.tag_v2, image.tile[0].args[0]
    bits = max(tags.get(_BITS_PER_SAMPLE, (1,)))
    if bits == 16 and len(rawmode) == 1:
        return Stored(rawmode=_PLANES)
    # The tag may contain the picture's largest value rather than its range, so it is rounded up to whole bits.
    stated = max((value for value in tags.get(_MAX_SAMPLE_VALUE, ()) if isinstance(value, int)), default=0).bit_length()
    bits = min(bits, stated or bits)
    return Stored(bits if bits < 16 else None, tags.get(_PHOTOMETRIC) == 0, _color(rawmode))


def _png(image: Any) -> Stored:
    """Reads the sBIT chunk, which Pillow skips. The standard requires scaled values, but some programs do not scale."""
    rawmode, file, bits = image.tile[0].args, image.fp, None
    if ";16" not in rawmode:
        return Stored()
    position = file.tell()
    file.seek(8)
    while len(header := file.read(8)) == 8 and header[4:] != b"IDAT":
        length = int.from_bytes(header[:4], "big")
        if header[4:] == b"sBIT":
            bits = int.from_bytes(file.read(1), "big")
            break
        file.seek(length + 4, io.SEEK_CUR)
    file.seek(position)
    return Stored(bits if bits and bits < 16 else None, rawmode=_color(rawmode))


def _ppm(image: Any) -> Stored:
    codec, args = image.tile[0].codec_name, image.tile[0].args
    if not codec.startswith("ppm") or isinstance(args, str):
        return Stored()
    if args[1] < 65535:
        return Stored(16)
    return Stored(rawmode="" if image.mode == "I" else "P6;16" if codec == "ppm" else "P3;16")


def _jpeg2000(image: Any) -> Stored:
    """Reads the precision from a file's ihdr box or a bare codestream's SIZ marker."""
    position = image.fp.tell()
    image.fp.seek(0)
    start = image.fp.read(4096)
    image.fp.seek(position)
    stated = start[42:43] if start.startswith(b"\xff\x4f") else start.partition(b"ihdr")[2][10:11]
    if stated and (stated[0] & 0x7F) + 1 < 16:  # The top bit is the sign.
        return Stored(16)
    return Stored(rawmode="" if image.mode == "I;16" else "JPEG2000;16")
