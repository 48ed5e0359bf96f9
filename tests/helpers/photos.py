"""A folder of pictures of one's own, in the layout that folder_face_blur reads."""

import io

import numpy as np
from PIL import Image

from blur_jax.data.preprocessing import Preprocessing
from configs import default
from tfds_builders import prepare as command

SMALL = Preprocessing(image_size=16)


def picture(seed, size=(60, 48)):
    """A picture that looks like no other: coarse noise, drawn by `seed`."""
    coarse = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def resaved(image, quality):
    """The picture as a JPEG of this quality shows it."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


def save(root, name, seed, **options):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(seed, **options).save(path)
    return path


def write(root, file, *lines):
    (root / file).write_text("\n".join(lines) + "\n", encoding="utf-8")


def make(root, count=6):
    """Pictures p0.png, p1.png, ..., and pairs of neighbors, of which the right one is blurrier."""
    for seed in range(count):
        save(root, f"p{seed}.png", seed)
    write(root, "pairs.csv", "left,right,order", *(f"p{i}.png,p{i + 1}.png,1" for i in range(count - 1)))
    return root


def prepare(root, *, required=("labeled",), **options):
    """Prepares the folder beside it, as launch.py does."""
    options = {"preprocessing": SMALL, "data_dir": str(root.parent / "tfds"), **options}
    return command.prepare("folder_face_blur", manual_dir=str(root), required=required, **options)


def configured(root, **fields):
    """`config.data` of a run on the prepared folder, without the folder."""
    config = default.get_config().data
    config.update(name="folder_face_blur", dir=str(root.parent / "tfds"), image_size=16, **fields)
    return config


def files(root):
    """File of the prepared data -> (time of the last change, bytes)."""
    below = (root.parent / "tfds").rglob("*")
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in below if path.is_file()}
