"""Reads faces from pictures on disk: decodes each picture once; crops, resizes and encodes its faces."""

import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from tqdm import tqdm

from blur_jax.data.pictures import read_image
from blur_jax.data.preprocessing import Box, Preprocessing, crop_and_resize


class Failure(NamedTuple):
    """Why a face is not available: a kind of `problems.KINDS`, and what was found."""

    kind: str
    found: str


def encode_png(image: np.ndarray) -> bytes:
    """Returns uint8 [S, S, 3] as PNG bytes; a lossy format would change the blur itself."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def in_threads(read: Callable[[Any], list], pictures: Iterable[Any], *, faces: int) -> Iterator[Any]:
    """Yields the items of the list that `read` returns for each picture, in order; shows a progress bar in a terminal.

    Args:
        read: decodes a picture and returns a list with an item for each face.
        pictures: the arguments of `read`.
        faces: number of items in all lists together.
    """
    bar = tqdm(total=faces, desc="reading faces", unit="face", disable=None)
    # Pillow releases the interpreter lock while it decodes.
    with bar, ThreadPoolExecutor(os.cpu_count()) as pool:
        for items in pool.map(read, pictures):
            bar.update(len(items))
            yield from items


def read_faces(
    wanted: Mapping[Path, Sequence[tuple[str, Box | None]]], preprocessing: Preprocessing
) -> dict[str, bytes | Failure]:
    """Reads faces; decodes a picture with several faces once.

    Args:
        wanted: {picture: (name, box) of each of its faces}; boxes as in `preprocessing.crop_square`.
        preprocessing: the crop and resize protocol.

    Returns:
        {name: PNG of the face, or why it is not available}.
    """
    total = sum(map(len, wanted.values()))
    return dict(in_threads(lambda item: list(_crop_faces(*item, preprocessing)), wanted.items(), faces=total))


def _crop_faces(
    path: Path, faces: Sequence[tuple[str, Box | None]], preprocessing: Preprocessing
) -> Iterator[tuple[str, bytes | Failure]]:
    failure = None
    try:
        image = read_image(path)
    except FileNotFoundError:
        failure = Failure("missing image", f"there is no {path}")
    except ValueError as error:
        failure = Failure("unreadable image", str(error))
    for name, box in faces:
        try:
            yield name, failure or encode_png(crop_and_resize(image, box, preprocessing))
        except ValueError as error:
            yield name, Failure("box outside", f"{path}: {error}")
