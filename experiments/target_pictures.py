"""Lists of the paper's release to which another folder's unlabeled pictures are added, as pictures of the target."""

import csv
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image

from blur_jax import run_dir
from tfds_builders.folder_face_blur.layout import IMAGES, UNLABELED
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
    names = sorted({name for pair in pairs for name in pair})
    paths = {name: _picture(Path(photos), name) for name in names}
    for name, path in paths.items():
        _link(path, own / pictures / name)
    boxes = _boxes(Path(photos), paths)
    crops = (f"{_FOLDER}>>{name}>>{' '.join(boxes[name])}>>{name}\n" for name in names)
    run_dir.write_atomically(str(own / crop_list), "".join(crops))
    lines = Path(lists, UNSUPERVISED).read_text(encoding="utf-8-sig").splitlines()
    lines += [f"{_FOLDER}/{left},{_FOLDER}/{right}" for left, right in pairs]
    run_dir.write_atomically(str(own / UNSUPERVISED), "\n".join(lines) + "\n")


def _link(target: Path, link: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(target.resolve())


def _picture(photos: Path, name: str) -> Path:
    for path in (photos / UNLABELED / name, photos / IMAGES / name, photos / name):
        if path.is_file():
            return path
    raise FileNotFoundError(f"{photos} has no picture {name!r} any more")


def _boxes(photos: Path, paths: dict[str, Path]) -> dict[str, Iterable[str]]:
    """Returns {name: x, y, width, height}, of the whole picture where there is no boxes.csv."""
    table = photos / "boxes.csv"
    if not table.exists():
        return {name: _whole(path) for name, path in paths.items()}
    with open(table, encoding="utf-8-sig", newline="") as file:
        return {row["name"]: [row[key] for key in ("x", "y", "width", "height")] for row in csv.DictReader(file)}


def _whole(path: Path) -> list[str]:
    with Image.open(path) as picture:
        return ["0", "0", *map(str, picture.size)]
