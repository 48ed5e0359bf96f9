"""Which pictures are offered: none that would stop the builder once it is compared."""

import os
import unicodedata

import pytest

from blur_jax.label.endpoints import Gone, check_version
from blur_jax.label.photos import Photos, version
from tests.helpers import photos
from tfds_builders.folder_face_blur.layout import read_layout


def names_of(root):
    return [photo.name for photo in Photos(str(root)).photos]


def saved(root, *names):
    for seed, name in enumerate(names):
        photos.save(root, name, seed)
    return root


def test_names_are_those_of_the_builder(tmp_path):
    saved(tmp_path, "b.png", "a/é.png", 'c, "d" <b>.png')
    (tmp_path / "notes.txt").touch()
    saved(tmp_path, ".hidden.png")
    found = Photos(str(tmp_path))
    assert {photo.name: photo.path for photo in found.photos} == {
        name: str(path) for name, path in read_layout(tmp_path).paths.items()
    }
    assert [found.row_of_id[photo.id] for photo in found.photos] == [0, 1, 2]


def test_images_and_unlabeled_are_read_like_the_builder_does(tmp_path):
    saved(tmp_path, "images/a.png", "unlabeled/b.png", "unlabeled/a.png", "c.png", "other/d.png")
    found = Photos(str(tmp_path))
    assert {photo.name: photo.path for photo in found.photos} == {
        "a.png": str(tmp_path / "images/a.png"),
        "b.png": str(tmp_path / "unlabeled/b.png"),
    }
    assert found.find("images/a.png") == found.find(str(tmp_path / "a.png")) == "a.png"
    assert found.find("unlabeled/./b.png") == "b.png" and found.find("c.png") is None
    assert len(found.sentences()) == 2 and "2 pictures: neither in images/" in found.sentences()[0]


def test_test_pictures_and_pictures_without_a_box_are_not_offered(tmp_path):
    saved(tmp_path, "a.png", "b.png", "c.png", "d.png")
    photos.write(tmp_path, "ranked.csv", "name,rank", "./b.png,1", "gone.png,2")
    photos.write(tmp_path, "boxes.csv", "name,x,y,width,height", "a.png,1,2,20,30", "b.png,1,2,3,4", "c.png,5,6,17,18")
    found = Photos(str(tmp_path))
    assert [(photo.name, photo.box) for photo in found.photos] == [("a.png", (1, 2, 20, 30)), ("c.png", (5, 6, 17, 18))]
    assert found.left_out == {"without a box in boxes.csv": 1, "test pictures in ranked.csv": 1}


def test_names_that_a_table_cannot_hold_are_left_out(tmp_path):
    saved(tmp_path, "a.png", "b.png", "c\nd.png", " e.png", "f\x85.png")
    photos.save(tmp_path, os.fsdecode(b"\xff.png"), 9)
    assert names_of(tmp_path) == ["a.png", "b.png"]
    assert Photos(str(tmp_path)).left_out["names that a line of pairs.csv cannot hold; rename them"] == 4


def test_what_is_no_picture_is_not_offered(tmp_path):
    saved(tmp_path, "a.png", "b.png", "c.png/d.png")
    (tmp_path / "gone.png").symlink_to("no.png")
    assert names_of(tmp_path) == ["a.png", "b.png"]


def test_a_version_is_of_one_file_and_one_box(tmp_path):
    photo = Photos(str(saved(tmp_path, "a.png", "b.png"))).photos[0]
    first = version(photo)
    check_version(photo, first)
    assert version(photo._replace(box=(0, 0, 20, 20))) != first
    os.replace(tmp_path / "b.png", tmp_path / "a.png")
    with pytest.raises(Gone, match="a.png was replaced"):
        check_version(photo, first)
    os.unlink(tmp_path / "a.png")
    assert version(photo) == ""
    with pytest.raises(Gone, match="a.png was deleted"):
        check_version(photo, "")


def test_a_table_may_spell_a_name_in_the_other_unicode_form(tmp_path):
    saved(tmp_path, "é.png", "b.png")
    assert Photos(str(tmp_path)).find(unicodedata.normalize("NFD", "é.png")) == "é.png"


@pytest.mark.parametrize(
    ("files", "error"),
    [
        ({}, "no two pictures"),
        (
            {"boxes.csv": ["name,x,y,width,height", "a.png,1,2,3,4", "./a.png,1,2,3,4"]},
            "boxes.csv:3: .*already has a box; .*with --faces",
        ),
        ({"boxes.csv": ["name,x,y,width,height", "a.png,1,2,3,x"]}, "boxes.csv:2: the box"),
        ({"ranked.csv": ["name", "a.png"]}, "columns name, rank"),
        ({"ranked.csv": ["name,rank", ",1"]}, "ranked.csv:2: the line has no name"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, files, error):
    saved(tmp_path, "a.png", *["b.png"] * bool(files))
    for file, lines in files.items():
        photos.write(tmp_path, file, *lines)
    with pytest.raises(ValueError, match=error):
        Photos(str(tmp_path))
    with pytest.raises(ValueError, match="not a folder"):
        Photos(str(tmp_path / "a.png"))
