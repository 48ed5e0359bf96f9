"""Creates a folder of JPEGs for benchmarks.scoring; 1% of them are corrupted, in ten different ways."""

import io
import os
import pathlib
import struct
import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

READABLE = ("16-bit",)  # The kinds that can still be scored.


def make(folder: str, count: int, side: int, *, faces: bool = False) -> tuple[list[str], dict[str, str]]:
    """Creates `count` files of `side` pixels in `folder`/pictures, in subfolders of 1,000 files each.

    With `faces`, each picture shows a face, whose height is 7% to 22% of the side; this needs scikit-image.

    Returns the paths of the intact files, and {path within the folder: kind} for the corrupted files.
    """
    jpegs = [_jpeg(index, side, face=faces) for index in range(64)]
    good, bad, kinds = [], {}, list(KINDS)
    for index in range(count):
        name = f"pictures/{index // 1000:03}/{index:06}.jpg"
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if index % 100 == 50:
            bad[name] = kinds[index // 100 % len(kinds)]
            KINDS[bad[name]](path, jpegs[index % len(jpegs)])
        else:
            good.append(path)
            _write(path, jpegs[index % len(jpegs)])
    return good, bad


def _jpeg(index: int, side: int, *, face: bool) -> bytes:
    """Returns smooth shapes with fine noise, about the same number of bytes as a photograph."""
    rng = np.random.default_rng(index)
    shapes = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).resize((side, side), Image.Resampling.BICUBIC)
    noise = Image.fromarray(rng.integers(0, 256, (side, side, 3), np.uint8)).filter(ImageFilter.GaussianBlur(1))
    picture = Image.blend(shapes, noise, 0.3)
    if face:
        from skimage import data

        portrait = Image.fromarray(data.astronaut())
        portrait = portrait.resize([int(rng.integers(side // 3, side))] * 2, Image.Resampling.BICUBIC)
        picture.paste(portrait, tuple(rng.integers(0, side - np.array(portrait.size) + 1).tolist()))
    return _encode(picture, "JPEG", quality=90)


def _encode(image: Image.Image, kind: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _write(path: str, content: bytes) -> None:
    pathlib.Path(path).write_bytes(content)


def _no_permission(path: str, jpeg: bytes) -> None:
    _write(path, jpeg)
    os.chmod(path, 0)


def _bomb(path: str, _: bytes) -> None:
    """Writes a PNG whose header claims 30,000 x 30,000 pixels."""
    png = _encode(Image.new("L", (1, 1)), "PNG")
    header = b"IHDR" + struct.pack(">II", 30000, 30000) + png[24:29]
    _write(path, png[:12] + header + struct.pack(">I", zlib.crc32(header)) + png[33:])


def _deep(path: str, jpeg: bytes) -> None:
    gray = np.asarray(Image.open(io.BytesIO(jpeg)).convert("L"), np.uint16) * 257
    _write(path, _encode(Image.fromarray(gray), "PNG"))


KINDS: dict[str, Callable[[str, bytes], None]] = {
    "truncated": lambda path, jpeg: _write(path, jpeg[: len(jpeg) // 2]),
    "empty": lambda path, _: _write(path, b""),
    "text": lambda path, _: _write(path, b"not a picture\n"),
    "a folder": lambda path, _: os.mkdir(path),
    "no permission": _no_permission,
    "bomb": _bomb,
    "link loop": lambda path, _: os.symlink(os.path.basename(path), path),
    "1 x 1": lambda path, _: _write(path, _encode(Image.new("RGB", (1, 1)), "JPEG")),
    "20,000 x 1": lambda path, _: _write(path, _encode(Image.new("RGB", (20000, 1)), "JPEG")),
    "16-bit": _deep,
}
