"""Which pictures are scored, in which order, and each once. The files need not be pictures here: none is opened."""

import io
import os

import pytest

from blur_jax.score.inputs import Input, Inputs

BOXED = "name,x,y,width,height\n"
PHOTOS = ("b.jpg", "a.PNG", "notes.txt", "scores.csv", ".hidden.jpg", "deep/er/c.webp", ".git/d.jpg", "page.html")
ODD = (
    'comma, "quote".jpg',
    "line\nbreak.jpg",
    "carriage\rreturn.jpg",
    "tab\t.jpg",
    "ünï.jpg",
    os.fsdecode(b"\xff.jpg"),
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Files in and below the working directory."""
    monkeypatch.chdir(tmp_path)
    for name in PHOTOS:
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path / "photos"


def names(*paths, **options):
    return [found.name for found in Inputs(paths, **options)]


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def test_a_folder_gives_its_pictures_at_any_depth_sorted(folder):
    assert names("photos") == ["photos/a.PNG", "photos/b.jpg", "photos/deep/er/c.webp"]
    assert names("photos/") == names("photos")
    os.chdir("photos")
    assert names(".") == ["a.PNG", "b.jpg", "deep/er/c.webp"]
    for name in ODD:
        write(folder / "odd" / name, "x")
    assert sorted(names("odd")) == sorted(f"odd/{name}" for name in ODD)
    (folder / "empty").mkdir()
    with pytest.raises(ValueError, match=r"no pictures found in empty; their names must end in \.jpg"):
        names("empty")


def test_a_file_that_is_named_is_taken_whatever_its_name(folder):
    write(folder / "[1].jpg", "x")
    given = ("photos/notes.txt", "photos/.hidden.jpg", "photos/[1].jpg", "gone.jpg", "gone.csv")
    assert names(*given) == list(given)


def test_a_glob_gives_pictures_and_folders(folder):
    assert names("photos/*") == ["photos/a.PNG", "photos/b.jpg", "photos/deep/er/c.webp"]
    assert names("photos/**/*.webp") == ["photos/deep/er/c.webp"]
    # "**" matches folders, whose pictures come, and these pictures, too.
    assert sorted(names("photos/**")) == ["photos/a.PNG", "photos/b.jpg", "photos/deep/er/c.webp"]
    with pytest.raises(ValueError, match=r"photos/\*\.tif: no file matches"):
        names("photos/*.tif")


def test_the_same_file_given_twice_comes_once_each_time_they_are_gone_through(folder):
    found = Inputs(["photos/b.jpg", "photos", "./photos/b.jpg", str(folder / "a.PNG")])
    for _ in range(2):
        assert [one.name for one in found] == ["photos/b.jpg", "photos/a.PNG", "photos/deep/er/c.webp"]


def test_links_are_followed_but_not_in_circles(folder):
    (folder / "deep" / "up").symlink_to(folder)
    (folder / "loop").symlink_to("loop")
    (folder / "loop.jpg").symlink_to("loop.jpg")
    write(folder.parent / "other" / "e.jpg", "x")
    (folder / "linked").symlink_to(folder.parent / "other")
    assert names("photos") == [
        "photos/a.PNG",
        "photos/b.jpg",
        "photos/deep/er/c.webp",
        "photos/linked/e.jpg",
        "photos/loop.jpg",  # Reading it fails, and its row says so.
    ]


def test_a_folder_that_looks_like_a_picture_is_an_input(folder):
    write(folder / "x.jpg" / "inside.jpg", "x")
    assert "photos/x.jpg" in names("photos")
    assert "photos/x.jpg/inside.jpg" not in names("photos")
    assert names("photos/x.jpg") == ["photos/x.jpg/inside.jpg"]


def test_a_folder_that_cannot_be_opened_is_an_input(folder, monkeypatch):
    scandir = os.scandir

    def refuse(path):  # Root may open any.
        if path.endswith("er"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert names("photos")[-1] == "photos/deep/er"


# --- lists ---


def test_a_list_has_names_relative_to_itself_several_boxes_of_a_picture_and_columns_in_any_order(folder):
    path = write(folder / "list.csv", BOXED + "b.jpg,1,2,30,40\nb.jpg,5,6,70,80\na.PNG,,,,\nb.jpg,1,2,30,40\n")
    assert list(Inputs([path])) == [
        Input(str(folder / "b.jpg"), (1, 2, 30, 40)),
        Input(str(folder / "b.jpg"), (5, 6, 70, 80)),
        Input(str(folder / "a.PNG"), None),
    ]
    path = write(folder / "list.csv", "\ufeffwho,height,width,y,x,name\nAnn,4,3,2,1,b.jpg\n")
    assert list(Inputs([path])) == [Input(str(folder / "b.jpg"), (1, 2, 3, 4))]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.jpg\nb.jpg\n", r"list\.csv:1: the header must have the columns name; found 'a.jpg'"),
        ("name,x,y\na.jpg,1,2\n", "the header must have all of x,y,width,height or none of them; it has only x,y"),
        (BOXED + "a.jpg,1,2,3,4\nb.jpg,1,2,3,4.5\n", r"list\.csv:3: the box '1,2,3,4.5' must be four whole"),
        (BOXED + "a.jpg,1,2\n", r"list\.csv:2: the row has 3 fields but the header has 5"),
        ('name\na.jpg\n""\n', r"list\.csv:3: '' is not a valid file name"),
        ("", "the header must have the columns"),
    ],
)
def test_a_damaged_list_names_the_line_before_anything_is_scored(folder, text, message):
    with pytest.raises(ValueError, match=message):
        Inputs([write(folder / "list.csv", text)])


# --- boxes of a folder ---


def test_a_folder_uses_its_boxes(folder):
    write(folder / "u\u0308.jpg", "x")  # Listed in the other form of Unicode.
    write(folder / "boxes.csv", BOXED + "deep/er/c.webp,1,2,3,4\nb.jpg,5,6,7,8\nb.jpg,1,1,1,1\n\u00fc.jpg,2,2,2,2\n")
    assert list(Inputs(["photos"])) == [
        Input("photos/a.PNG", None),
        Input("photos/b.jpg", (5, 6, 7, 8)),
        Input("photos/b.jpg", (1, 1, 1, 1)),
        Input("photos/deep/er/c.webp", (1, 2, 3, 4)),
        Input("photos/u\u0308.jpg", (2, 2, 2, 2)),
    ]


def test_names_of_boxes_may_be_relative_to_images_and_unlabeled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("images/a.jpg", "images/deep/b.jpg", "unlabeled/c.jpg"):
        write(tmp_path / "own" / name, "x")
    boxes = write(tmp_path / "own" / "boxes.csv", BOXED + "a.jpg,1,1,1,1\ndeep/b.jpg,2,2,2,2\nc.jpg,3,3,3,3\n")
    expected = [
        Input("own/images/a.jpg", (1, 1, 1, 1)),
        Input("own/images/deep/b.jpg", (2, 2, 2, 2)),
        Input("own/unlabeled/c.jpg", (3, 3, 3, 3)),
    ]
    assert list(Inputs(["own"])) == expected
    assert list(Inputs([os.path.relpath(boxes)])) == expected  # As a list, too.


def test_the_nearest_boxes_count(folder):
    write(folder / "boxes.csv", BOXED + "b.jpg,1,1,1,1\n")
    write(folder / "deep" / "boxes.csv", BOXED + "er/c.webp,2,2,2,2\n")
    assert [found.box for found in Inputs(["photos"])] == [None, (1, 1, 1, 1), (2, 2, 2, 2)]


def test_boxes_without_a_picture_are_inputs_in_the_order_of_the_file(folder):
    rows = ["z.jpg,1,1,1,1", "b.jpg,4,4,4,4", "B.jpg,2,2,2,2", "z.jpg,3,3,3,3", "z.jpg,1,1,1,1"]
    write(folder / "boxes.csv", BOXED + "\n".join(rows))
    assert list(Inputs(["photos"]))[-3:] == [
        Input("photos/z.jpg", (1, 1, 1, 1)),
        Input("photos/B.jpg", (2, 2, 2, 2)),
        Input("photos/z.jpg", (3, 3, 3, 3)),
    ]


# --- standard input ---


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"a.jpg\r\nsome, where/b.jpg\n\nc.jpg", ["a.jpg", "some, where/b.jpg", "c.jpg"]),
        (b"a.jpg\0line\nbreak.jpg\0\xff.jpg\0", ["a.jpg", "line\nbreak.jpg", os.fsdecode(b"\xff.jpg")]),
        (b'name\na.jpg\n"b,c.jpg"\n', ["a.jpg", "b,c.jpg"]),
        (b"a.jpg\na.jpg\n./a.jpg\n", ["a.jpg"]),
    ],
)
def test_standard_input_is_lines_or_ended_by_nul_or_csv(text, expected):
    found = Inputs(["-"], standard_input=io.BytesIO(text))
    assert [one.name for one in found] == expected
    assert [one.name for one in found] == expected  # It can be read once, but is kept.
    text = (BOXED + "a.jpg,1,2,3,4\n").encode()
    assert list(Inputs(["-"], standard_input=io.BytesIO(text))) == [Input("a.jpg", (1, 2, 3, 4))]


# --- shards ---


def test_every_input_is_in_exactly_one_shard_which_a_new_picture_does_not_change(folder):
    for index in range(50):
        write(folder / f"{index}.jpg", "x")
    shards = [names("photos", shard=(index, 8)) for index in range(8)]
    assert all(shards)
    assert sorted(sum(shards, [])) == sorted(names("photos"))
    assert sorted(names("photos/b.jpg", shard=(index, 8)) for index in range(8)) == [[]] * 7 + [["photos/b.jpg"]]
    write(folder / "00new.jpg", "x")
    assert [name for name in names("photos", shard=(0, 8)) if "new" not in name] == shards[0]
    for index, count in ((4, 4), (-1, 4), (0, 0)):
        with pytest.raises(ValueError, match=f"numbered 0/{count} to"):
            Inputs(["photos"], shard=(index, count))
