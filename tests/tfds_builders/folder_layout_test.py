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
    for name in ("k.HEIC", "notes.txt"):
        (root / name).touch()
    layout = read_layout(root)
    assert list(layout.paths) == sorted(names | {"k.HEIC"})
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


def test_links_out_of_the_folder_are_followed_but_not_in_circles(root, tmp_path):
    save(tmp_path, "store/a.png", 0)
    save(root, "b.png", 0)
    os.symlink(tmp_path / "store" / "a.png", root / "link.png")
    os.symlink(tmp_path / "store", root / "folder")
    os.symlink(root, root / "loop")
    os.symlink(root, tmp_path / "store" / "back")
    layout = read_layout(root)
    assert list(layout.paths) == ["b.png", "folder/a.png", "link.png"]
    assert left_out(layout) == [("left out", "folder/back"), ("left out", "loop")]
    assert "'loop' is a link to a folder above it" in layout.why_not("loop/b.png")[1]


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


def test_a_folder_with_a_picture_extension_is_left_out_and_told(root):
    save(root, "a.png", 0)
    save(root, "b.png/c.png", 0)
    layout = read_layout(root)
    assert list(layout.paths) == ["a.png"] and left_out(layout) == [("left out", "b.png")]


def test_names_of_folders_count_only_where_names_are_relative_to_them(root):
    save(root, "images.png", 0)
    assert read_layout(root).find("images/images.png") is None


def test_a_name_that_is_no_text_is_left_out(root):
    save(root, "a.png", 0)
    os.rename(root / "a.png", os.fsencode(root) + b"/\xff.png")
    layout = read_layout(root)
    assert layout.paths == {} and left_out(layout) == [("left out", r"\udcff.png")]


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


def test_files_that_are_not_pictures_are_counted_but_not_those_that_accompany_pictures(root):
    for name in ("images/a.png", "elsewhere/b.png", "c.png"):
        save(root, name, 0)
    for name in (
        "a.XCF",
        "b.xcf",
        "images/c.psd",
        "d.zip",
        "README",
        "pairs.csv",
        "a.png.xmp",
        "Thumbs.db",
        ".DS_Store",
    ):
        (root / name).touch()
    files, outside = (problem.details for problem in read_layout(root).warnings[::-1])
    assert outside == "2 pictures that are neither in images/ nor in unlabeled/"
    assert files.startswith("left out 5 files that are not pictures, by extension: 2 .xcf,")
    assert all(text in files for text in ("1 .psd", "1 .zip", "1 without an extension"))


@pytest.mark.parametrize("name", ["./sub/é.png", "sub//é.png", "sub\\é.png", "x/../sub/é.png", " sub/e\u0301.png "])
def test_a_picture_is_found_however_its_name_is_spelled(root, name):
    save(root, "sub/é.png", 0)
    layout = read_layout(root)
    assert layout.find(name) == layout.find(f"{root}/{name}") == "sub/é.png"


def test_names_may_begin_with_the_folder_that_they_are_relative_to(root):
    save(root, "images/a.png", 0)
    assert read_layout(root).find("images/a.png") == "a.png"
    assert read_layout(root).find("unlabeled/a.png") == "a.png"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (".hidden/a.png", "'.hidden' is hidden"),
        ("@eaDir/a.png", "'@eaDir' is hidden"),
        ("sub/.a.png", "'sub/.a.png' is hidden"),
        ("sub.png/a.png", "the folder 'sub.png' has a picture extension"),
        ("sub", "'sub' is a folder, not a picture"),
        ("notes.heif2", "does not have a picture extension"),
        ("./SUB/A.png", "did you mean 'sub/a.png'?"),
    ],
)
def test_the_reason_why_a_picture_is_unknown_is_true(root, name, reason):
    for path in ("sub/a.png", ".hidden/a.png", "@eaDir/a.png", "sub/.a.png", "sub.png/a.png"):
        save(root, path, 0)
    (root / "notes.heif2").touch()
    kind, details = read_layout(root).why_not(name)
    assert kind == "unknown picture" and reason in details


def test_a_picture_outside_images_says_so(root):
    save(root, "images/a.png", 0)
    save(root, "b.png", 0)
    assert "'b.png' is neither in images/ nor in unlabeled/" in read_layout(root).why_not("b.png")[1]


def test_a_table_in_other_letter_case_is_not_passed_over(root):
    save(root, "a.png", 0)
    (root / "Boxes.CSV").touch()
    ((kind, file, _, text),) = read_layout(root).problems
    assert (kind, file) == ("missing list", "boxes.csv") and "rename the file to boxes.csv" in text
