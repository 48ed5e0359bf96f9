"""Lists of the paper's release to which another folder's unlabeled pictures are added, as pictures of the target."""

import os
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from blur_jax.data.preprocessing import Box
from blur_jax.runs import run_dir
from tfds_builders.folder_face_blur.layout import read_layout
from tfds_builders.folder_face_blur.tables import read_tables
from tfds_builders.ssranking_face_blur.lists import FOLDERS, UNSUPERVISED

_FOLDER = "MegaFace"  # The target's pictures take the place of these: the release knows no other folder.


def add(lists: str, photos: str, pairs: Sequence[tuple[str, str]], folder: str) -> None:
    """Writes a folder in the release's layout: what is in `lists`, by links, and the target's pictures and pairs.

    Args:
        lists: the release's lists and photographs (docs/data.md).
        photos: a folder of the user's own pictures.
        pairs: of names of its pictures, unlabeled.
        folder: where to write; what it holds of an earlier call stays valid and is written again.

    Raises:
        ValueError: `lists` has MegaFace pictures.
        FileNotFoundError: `lists` has no unlabeled pairs, or a picture is gone.
    """
    crop_list, pictures = FOLDERS[_FOLDER]
    if os.path.exists(os.path.join(lists, crop_list)):
        raise ValueError(f"{lists} has {crop_list}, whose place the pictures of {photos} would take; leave out --far")
    own = Path(folder)
    (own / pictures).mkdir(parents=True, exist_ok=True)
    for name in os.listdir(lists):
        if name != UNSUPERVISED:
            _link(Path(lists, name), own / name)
    layout, crops = read_layout(photos), []
    boxes = read_tables(layout).boxes
    for name in sorted({name for pair in pairs for name in pair}):
        if name not in layout.paths:
            raise FileNotFoundError(f"{photos} has no picture {name!r} any more")
        path = layout.paths[name]
        _link(path, own / pictures / name)
        box = _whole(path) if boxes is None else boxes[name].box
        crops.append(f"{_FOLDER}>>{name}>>{' '.join(map(str, box))}>>{name}\n")
    run_dir.write_atomically(str(own / crop_list), "".join(crops))
    lines = Path(lists, UNSUPERVISED).read_text(encoding="utf-8-sig").splitlines()
    lines += [f"{_FOLDER}/{left},{_FOLDER}/{right}" for left, right in pairs]
    run_dir.write_atomically(str(own / UNSUPERVISED), "\n".join(lines) + "\n")


def _link(target: Path, link: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(target.resolve())


def _whole(path: Path) -> Box:
    with Image.open(path) as picture:
        return (0, 0, *picture.size)
