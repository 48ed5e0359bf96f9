"""Decodes pictures, and crops, resizes and encodes their faces."""

import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from tqdm import tqdm

from blur_jax.data import contents
from blur_jax.data.pictures import read_image
from blur_jax.data.preprocessing import Box, Preprocessing, crop_and_resize


class Failure(NamedTuple):
    """The reason that a face is not available: a kind from `problems.KINDS`, and details."""

    kind: str
    details: str


def encode_png(image: np.ndarray) -> bytes:
    """Returns uint8 [S, S, 3] as PNG bytes; a lossy format would change the blur itself."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def content_of(paths: Iterable[Path]) -> dict[Path, str | None]:
    """Returns {path: hash of the picture file's content}; see `contents.content`."""
    paths = list(dict.fromkeys(paths))
    hashes = contents.contents(paths)
    return dict(zip(paths, tqdm(hashes, "looking for changes", len(paths), unit="picture", disable=None)))


def in_threads(read: Callable[[Any], list], pictures: Iterable[Any], *, faces: int) -> Iterator[Any]:
    """Yields, in order, the faces that `read` returns for each picture; `faces` is the total for the progress bar."""
    bar = tqdm(total=faces, desc="reading faces", unit="face", disable=None)
    with bar, ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow releases the interpreter lock while it decodes.
        for items in pool.map(read, pictures):
            bar.update(len(items))
            yield from items


def read_faces(
    wanted: Mapping[Path, Sequence[tuple[str, Box | None]]], preprocessing: Preprocessing
) -> dict[str, bytes | Failure]:
    """Returns {name: face as PNG, or failure}, given {picture: [(name, box) of each face]}."""
    total = sum(map(len, wanted.values()))
    return dict(in_threads(lambda item: list(_crop_faces(*item, preprocessing)), wanted.items(), faces=total))


def _crop_faces(
    path: Path, faces: Sequence[tuple[str, Box | None]], preprocessing: Preprocessing
) -> Iterator[tuple[str, bytes | Failure]]:
    try:
        image = read_image(path)
    except (FileNotFoundError, ValueError) as error:
        kind = "missing image" if isinstance(error, FileNotFoundError) else "unreadable image"
        yield from ((name, Failure(kind, str(error))) for name, _ in faces)
        return
    for name, box in faces:
        try:
            yield name, encode_png(crop_and_resize(image, box, preprocessing))
        except ValueError as error:
            yield name, Failure("box outside", f"{path}: {error}")
