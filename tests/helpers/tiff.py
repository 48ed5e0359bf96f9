"""TIFF files that Pillow does not write, by hand, and a camera's raw file made of them."""

import io
import struct

import numpy as np
from PIL import Image

BYTE, ASCII, SHORT, LONG = 1, 2, 3, 4  # Types of tags.


def page(content, values, shape, tags):
    """Appends a page's values (bytes of [H, W] or [H, W, C]) and its directory of {tag: (type, number, ...)}.

    Returns the new content and the place of the directory; adds the tags of size and place.
    """
    height, width, channels = (*shape, 1)[:3]
    tags = {259: (SHORT, 1), 277: (SHORT, channels), 278: (LONG, height), **tags}
    tags |= {256: (LONG, width), 257: (LONG, height), 273: (LONG, len(content)), 279: (LONG, len(values))}
    content += values
    entries, rest, end = b"", b"", len(content) + 2 + 12 * len(tags) + 4
    for tag, (kind, *numbers) in sorted(tags.items()):
        packed = struct.pack(f"<{len(numbers)}{'BBHI'[kind - 1]}", *numbers)
        entries += struct.pack("<HHI", tag, kind, len(numbers))
        entries += packed.ljust(4, b"\0") if len(packed) <= 4 else struct.pack("<I", end + len(rest))
        rest += packed if len(packed) > 4 else b""
    return content + struct.pack("<H", len(tags)) + entries + bytes(4) + rest, len(content)


def start(content, place):
    """Writes the place of the first directory into the header."""
    return struct.pack("<2sHI", b"II", 42, place) + content[8:]


def tiff(values, shape, bits, photometric, more=()):
    """A TIFF of one page; `more` holds further {tag: number}."""
    depth = {258: (SHORT, *[bits] * (*shape, 1)[2]), 262: (SHORT, photometric)}
    return start(*page(bytes(8), values, shape, depth | {tag: (LONG, number) for tag, number in dict(more).items()}))


def dng(small, preview=None, orientation=1):
    """A DNG: uint8 [H, W, 3] as its first page, noise as its raw values, and perhaps a JPEG as a larger preview."""
    raw = np.random.default_rng(0).integers(0, 4096, (96, 128), np.uint16)
    pattern = {33421: (SHORT, 2, 2), 33422: (BYTE, 0, 1, 1, 2), 50717: (LONG, 4095)}
    content, place = page(bytes(8), raw.tobytes(), raw.shape, {258: (SHORT, 16), 262: (SHORT, 32803)} | pattern)
    others, rgb = [place], {254: (LONG, 1), 258: (SHORT, 8, 8, 8)}
    if preview:
        shape = (*Image.open(io.BytesIO(preview)).size[::-1], 3)
        content, place = page(content, preview, shape, rgb | {259: (SHORT, 7), 262: (SHORT, 6)})
        others.append(place)
    camera = (ASCII, *b"Camera\0")
    first = {271: camera, 272: camera, 274: (SHORT, orientation), 330: (LONG, *others), 50706: (BYTE, 1, 4, 0, 0)}
    return start(*page(content, small.tobytes(), small.shape, rgb | first | {262: (SHORT, 2), 50708: camera}))
