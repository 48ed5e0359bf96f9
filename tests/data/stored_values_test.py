"""The range of 16-bit values: what a file states is used, and what nobody states is refused."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from blur_jax.data.pictures import decode, from_array, to_rgb
from tests.helpers import bad_pictures
from tests.helpers.tiff import tiff

GRAY = np.random.default_rng(0).integers(0, 256, (40, 50), np.uint16)
COLOR = np.random.default_rng(1).integers(0, 256, (40, 50, 3), np.uint16)
DARK = GRAY // 16  # Below a sixteenth of white.
COLORS = ("color array", "color PNG", "color TIFF", "color PPM")


def saved(values, name, **options):
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, name, **options)
    return buffer.getvalue()


def packed_12(values):
    """Two 12-bit values in three bytes, as TIFF packs them."""
    first, second = values[:, ::2], values[:, 1::2]
    return np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], -1).astype(np.uint8).tobytes()


def jp2_12(values):
    """A JPEG 2000 file of 12-bit values: one of 16 bits, moved by the difference of their middles, then renamed."""
    content = bytearray(saved((values + 32768 - 2048).astype(np.uint16), "JPEG2000"))
    content[content.index(b"ihdr") + 14] = content[content.index(b"\xff\x4f\xff\x51") + 42] = 12 - 1
    return bytes(content)


def png(values, *, bits=None, color_type=2):
    content = bad_pictures.png_16(values, color_type)
    if bits is None:
        return content
    chunk = b"sBIT" + bytes([bits] * values.shape[2])
    chunk = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return content[:33] + chunk + content[33:]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (tiff(packed_12(GRAY << 4), GRAY.shape, 12, 1), GRAY),
        (tiff((GRAY << 4).tobytes(), GRAY.shape, 16, 1, {281: 4095}), GRAY),
        (tiff((DARK << 2).tobytes(), GRAY.shape, 16, 1, {281: 1000}), DARK),  # The largest value, not 2**n - 1.
        (tiff((COLOR << 4).tobytes(), COLOR.shape, 16, 2, {281: 4095}), COLOR),
        (jp2_12(GRAY << 4), GRAY),
        (jp2_12(DARK << 4), DARK),
        (png(GRAY[..., None] << 2, bits=10, color_type=0), GRAY),
        (png(COLOR << 6, bits=14), COLOR),
        (png(COLOR * 257, bits=8), COLOR),  # As the standard asks.
        (b"P5 50 40 4095\n" + (GRAY << 4).astype(">u2").tobytes(), GRAY),
        (b"P5 50 40 4095\n" + (DARK << 4).astype(">u2").tobytes(), DARK),
    ],
    ids=range(11),
)
def test_the_depth_that_a_file_states_is_its_range(content, expected):
    shown = np.broadcast_to(expected.reshape(40, 50, -1), COLOR.shape)
    with Image.open(io.BytesIO(content)) as lazy:
        for image in (decode(content), to_rgb(lazy), to_rgb(lazy)):  # Pillow forgets what it does not need later.
            np.testing.assert_array_equal(np.asarray(image), shown)


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM", "JPEG2000", "image", "array", *COLORS])
def test_fewer_bits_that_nobody_states_are_refused(kind, bits):
    values = (COLOR if "color" in kind else GRAY) << bits - 8
    with pytest.raises(ValueError, match=f"above {2**bits - 1}, .* {bits} bits; multiply them by {2 ** (16 - bits)}"):
        match kind:
            case "array" | "color array":
                from_array(values)
            case "image":
                to_rgb(Image.fromarray(values))
            case "color PNG":
                decode(png(values))
            case "color TIFF":
                decode(tiff(values.tobytes(), values.shape, 16, 2))
            case "color PPM":
                decode(b"P6 50 40 65535\n" + values.astype(">u2").tobytes())
            case _:
                decode(saved(values, kind))


def test_color_is_refused_where_only_its_high_bytes_can_be_read():
    values = np.dstack([GRAY << 4, np.full_like(GRAY, 65535)])  # Gray and alpha.
    with pytest.raises(ValueError, match="12 bits; multiply them by 16"):
        decode(png(values, color_type=4))


@pytest.mark.parametrize("values", [DARK * 257, DARK << 8, DARK * 0, COLOR // 16 * 257, COLOR * 0])
def test_dark_8_bit_pictures_may_be_widened_to_16_bits(values):
    expected = np.broadcast_to((values >> 8).reshape(40, 50, -1), COLOR.shape)
    file = saved(values, "PNG") if values.ndim == 2 else png(values)
    for image in (from_array(values), decode(file)):
        np.testing.assert_array_equal(np.asarray(image), expected)


@pytest.mark.parametrize("compression", ["raw", "tiff_deflate"])
def test_zero_is_white_in_a_tiff_that_says_so(compression):
    content = saved(65535 - GRAY * 257, "TIFF", tiffinfo={262: 0}, compression=compression)
    with Image.open(io.BytesIO(content)) as lazy:
        for image in (decode(content), to_rgb(lazy), to_rgb(lazy)):
            np.testing.assert_array_equal(np.asarray(image)[..., 0], GRAY)
    low = tiff((4095 - (GRAY << 4)).tobytes(), GRAY.shape, 16, 0, {281: 4095})
    np.testing.assert_array_equal(np.asarray(decode(low))[..., 0], GRAY)


def test_planes_of_16_bit_color_are_refused():
    """Pillow would read every other byte of each plane."""
    content = tiff((COLOR * 257).tobytes(), COLOR.shape, 16, 2, {284: 2})
    with pytest.raises(ValueError, match="separate planes"):
        decode(content)


def test_dark_16_bit_color_stays_upright():
    exif = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    chunk = struct.pack(">I", len(exif)) + b"eXIf" + exif + struct.pack(">I", zlib.crc32(b"eXIf" + exif))
    content = png(COLOR << 4, bits=12)
    image = decode(content[:33] + chunk + content[33:])
    np.testing.assert_array_equal(np.asarray(image), np.rot90(COLOR, -1))
