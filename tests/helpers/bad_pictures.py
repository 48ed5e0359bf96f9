"""Pictures that Pillow does not write, and files that are no pictures."""

import io
import os
import struct
import zlib

import numpy as np
from PIL import Image

COLOR = np.random.default_rng(1).integers(0, 256, (40, 50, 3), np.uint8)


def png_16(values, color_type):
    """A 16-bit PNG by hand, since Pillow writes none in color: uint16 [H, W, channels]."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    height, width = values.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0)
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in values)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def jpeg():
    buffer = io.BytesIO()
    Image.fromarray(COLOR).save(buffer, "JPEG")
    return buffer.getvalue()


def make(folder):
    """{file: reason} of bad files of every kind, made in `folder`."""
    (folder / "cut.jpg").write_bytes(jpeg()[:900])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("not a picture")
    # Ghostscript would run.
    (folder / "program.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n")
    (folder / "dds.jpg").write_bytes(  # Of an unknown pixel format: Pillow would raise NotImplementedError.
        b"DDS " + struct.pack("<7I44x2I4s40x", 124, 0x1007, 8, 8, 0, 0, 0, 32, 4, b"ABCD")
    )
    (folder / "folder.jpg").mkdir()
    (folder / "loop.jpg").symlink_to("loop.jpg")
    os.mkfifo(folder / "pipe.jpg")
    bomb = png_16(np.zeros((1, 1, 1), np.uint16), 0)
    size = struct.pack(">II", 30000, 30000)
    header = b"IHDR" + size + bomb[24:29]
    (folder / "bomb.png").write_bytes(bomb[:12] + header + struct.pack(">I", zlib.crc32(header)) + bomb[33:])
    (folder / "half.png").write_bytes(png_16(COLOR.astype(np.uint16), 2)[:2000])
    return {
        "cut.jpg": "truncated",
        "empty.jpg": "the file is empty",
        "text.jpg": "damaged or not in a supported format: JPEG",
        "program.jpg": "damaged or not in a supported format",
        "dds.jpg": "damaged or not in a supported format",
        "folder.jpg": "it is a folder",
        "loop.jpg": "symbolic links form a loop",
        "pipe.jpg": "not a regular file",
        "bomb.png": "900000000 pixels",
        "half.png": "cannot be decoded|damaged",
    }
