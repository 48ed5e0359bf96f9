"""Which files are pictures, and the walk through a folder."""

import pytest
from PIL import Image

from blur_jax.data import picture_files, pictures
from blur_jax.data.picture_files import Kind

RAW = (".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf")  # Nothing writes them: picture_formats_test.py makes a DNG.


@pytest.mark.parametrize("ending", [ending for ending in picture_files.ENDINGS if ending not in RAW])
def test_every_ending_is_that_of_a_format_that_is_decoded(tmp_path, ending):
    if ending in (".heic", ".heif"):
        pytest.importorskip("pillow_heif", reason="needs the extra `heif`").register_heif_opener()
    if ending == ".jxl":
        pytest.importorskip("pillow_jxl", reason="needs the extra `jxl`")
    path = tmp_path / f"picture{ending}"
    image = Image.new("1" if ending == ".pbm" else "L" if ending == ".pgm" else "RGB", (20, 30), "white")
    image.save(path, "BMP" if ending == ".dib" else None)  # Pillow leaves out the file header that Windows writes.
    assert picture_files.is_picture(path.name) and picture_files.is_picture(path.name.upper())
    image = pictures.read_image(path)
    assert image.size == (20, 30) and image.getpixel((5, 5)) == (255, 255, 255)


@pytest.mark.parametrize("name", ["notes.txt", ".hidden.jpg", "jpg", "a.jpg.part", ""])
def test_other_files_are_not_pictures(name):
    assert not picture_files.is_picture(name)


def make(folder):
    for name in ("b.jpg", "a/c.png", "a/.hidden/d.png", "@eaDir/e.jpg", "notes.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (folder / "z").symlink_to(folder / "a")
    (folder / "up").symlink_to(folder)
    (folder / "gone").symlink_to("gone")


def test_a_walk_enters_and_leaves_each_folder_and_no_circle(tmp_path, monkeypatch):
    make(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert list(picture_files.walk(".")) == [
        (".", Kind.FOLDER),
        ("a", Kind.FOLDER),
        ("a/c.png", Kind.PICTURE),
        ("a", Kind.END),
        ("b.jpg", Kind.PICTURE),
        ("gone", Kind.LINK),
        ("notes.txt", Kind.OTHER),
        ("up", Kind.LINK),
        ("z", Kind.FOLDER),
        ("z/c.png", Kind.PICTURE),
        ("z", Kind.END),
        (".", Kind.END),
    ]


def test_a_folder_that_is_not_there_cannot_be_opened(tmp_path):
    gone = str(tmp_path / "gone")
    assert list(picture_files.walk(gone)) == [(gone, Kind.UNREADABLE)]
