"""Pictures that change after their data have been prepared."""

import os

import pytest
from PIL import Image

from tests.helpers import photos, releases
from tests.helpers.photos import SMALL, files, picture
from tfds_builders import prepare as command


def replace(path, image):
    """Replaces a picture by another of the same size in bytes; keeps its times, as `cp -p` does."""
    before = path.stat()
    image.save(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


@pytest.mark.parametrize("ending", ["bmp", "tif", "ppm"])
def test_a_replaced_picture_of_a_folder_is_noticed(tmp_path, ending, capsys):
    root = tmp_path / "photos"
    for seed in range(4):
        photos.save(root, f"p{seed}.{ending}", seed)
    photos.write(root, "pairs.csv", "left,right,order", *(f"p{i}.{ending},p{i + 1}.{ending},1" for i in range(3)))
    first = photos.prepare(root)
    replace(root / f"p0.{ending}", picture(9))
    options = {"manual_dir": str(root), "preprocessing": SMALL, "data_dir": str(tmp_path / "tfds")}
    capsys.readouterr()
    command.check("folder_face_blur", **options)
    assert "reading 4 pictures" in capsys.readouterr().err
    replace(root / f"p0.{ending}", picture(0))
    command.check("folder_face_blur", **options)
    assert "reading" not in capsys.readouterr().err
    assert photos.prepare(root) == first


def test_a_replaced_picture_of_a_release_is_noticed(tmp_path):
    root = releases.make(tmp_path)
    path = root / "LFW" / "A_0001.bmp"
    (root / "LFW" / "A_0001.png").unlink()
    lines = (root / releases.LFW).read_text().replace("LFW>>A_0001.png", "LFW>>A_0001.bmp").splitlines()
    releases.write(root, releases.LFW, *lines)
    Image.new("RGB", (60, 40), "red").save(path)
    first = releases.prepare_all(root)
    replace(path, Image.new("RGB", (60, 40), "blue"))
    assert releases.prepare_all(root).sources != first.sources


def test_new_times_prepare_nothing_again(tmp_path):
    """As after a checkout, or a copy of the folder."""
    root = photos.make(tmp_path / "photos")
    first = photos.prepare(root)
    before = files(root)
    for path in root.glob("*.png"):
        os.utime(path, (1, 1))
    assert photos.prepare(root) == first and files(root) == before
