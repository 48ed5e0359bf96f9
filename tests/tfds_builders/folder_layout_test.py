import os

import pytest

from tests.helpers.photos import save
from tfds_builders.folder_face_blur.layout import read_layout


@pytest.fixture
def root(tmp_path):
    return tmp_path / "photos"


def left_out(layout):
    return [(problem.kind, problem.file) for problem in layout.warnings]


def test_pictures_of_every_format_lie_at_any_depth(root):
    names = {"b.JPG", "a/b/c.png", "unlabeled/d.webp", "e.bmp", "f.tiff", "name with , and \u202f.png"}
    names |= {"g.gif", "h.jp2", "i.avif", "j.ppm"}
    for name in names:
        save(root, name, 0)
    (root / "notes.txt").write_text("no picture")
    layout = read_layout(root)
    assert list(layout.paths) == sorted(names)
    assert layout.paths["a/b/c.png"] == root / "a/b/c.png"
    assert layout.problems == layout.warnings == []


def test_names_are_relative_to_images_and_unlabeled_where_there_is_images(root):
    for name in ("images/a.png", "images/x/b.png", "unlabeled/c.png", "elsewhere/d.png", "e.png"):
        save(root, name, 0)
    assert list(read_layout(root).paths) == ["a.png", "c.png", "x/b.png"]


def test_hidden_files_and_thumbnails_are_left_out(root):
    for name in (".a.png", "x/.git/b.png", "@eaDir/c.png", "__MACOSX/d.png", "e.png"):
        save(root, name, 0)
    assert list(read_layout(root).paths) == ["e.png"]


def test_links_may_point_within_the_folder_and_be_the_folder_itself(root, tmp_path):
    save(tmp_path, "store/a.png", 0)
    root.mkdir()
    os.symlink(tmp_path / "store", root / "images")
    os.symlink("a.png", tmp_path / "store" / "again.png")
    layout = read_layout(root)
    assert list(layout.paths) == ["a.png", "again.png"] and layout.warnings == []


def test_links_out_of_the_folder_are_left_out_and_told(root, tmp_path):
    save(tmp_path, "store/a.png", 0)
    save(root, "b.png", 0)
    os.symlink(tmp_path / "store" / "a.png", root / "link.png")
    os.symlink(tmp_path / "store", root / "folder")
    os.symlink(root, root / "loop")
    layout = read_layout(root)
    assert list(layout.paths) == ["b.png"]
    assert sorted(left_out(layout)) == [("left out", "folder"), ("left out", "link.png"), ("left out", "loop")]
    assert layout.find("link.png") is None and layout.why_not("link.png")[0] == "unsafe path"


def test_links_that_lead_nowhere_are_left_out_and_told(root):
    save(root, "a.png", 0)
    (root / "gone.png").symlink_to("no.png")
    (root / "loop.png").symlink_to("loop.png")
    layout = read_layout(root)
    assert list(layout.paths) == ["a.png"]
    assert sorted(left_out(layout)) == [("left out", "gone.png"), ("left out", "loop.png")]
    assert layout.why_not("loop.png") == ("unknown picture", "'loop.png' is a link to a missing file")


@pytest.mark.parametrize("name", ["a" * 300 + ".png", "a/" * 2000 + "b.png", "a\0.png", "\ud800.png"])
def test_a_name_that_no_file_can_have_is_an_unknown_picture(root, name):
    save(root, "a.png", 0)
    assert read_layout(root).why_not(name)[0] == "unknown picture"


def test_a_name_that_is_no_text_is_left_out(root):
    save(root, "a.png", 0)
    os.rename(root / "a.png", os.fsencode(root) + b"/\xff.png")
    layout = read_layout(root)
    assert layout.paths == {} and left_out(layout) == [("left out", r"\udcff.png")]


def test_a_file_that_is_no_picture_says_so(root):
    save(root, "a.png", 0)
    (root / "b.txt").write_bytes(b"")
    assert "does not have a picture file extension" in read_layout(root).why_not("b.txt")[1]


def test_a_folder_that_cannot_be_opened_is_told(root, monkeypatch):
    save(root, "a.png", 0)
    save(root, "deep/b.png", 0)
    scandir = os.scandir

    def refuse(path):  # Root may open any.
        if path.endswith("deep"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    layout = read_layout(root)
    assert list(layout.paths) == ["a.png"] and left_out(layout) == [("left out", "deep")]
