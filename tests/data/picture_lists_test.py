"""Lists of pictures, and what is wrong with them."""

import io
import time

import pytest

from blur_jax.data import picture_lists as lists
from blur_jax.data.left_out import LeftOut
from blur_jax.data.picture_lists import Row

MEGABYTES = 10**7
BOXED = "name,x,y,width,height\n"


def read(text, parse=lists.read_csv):
    return list(parse(io.BytesIO(text.encode()), "list.csv"))


@pytest.mark.parametrize("parse", [lists.read_csv, lists.read_boxes])
def test_rows_have_boxes(parse):
    expected = [Row("a, b.jpg", (1, -2, 30, 40)), Row(" c.jpg", (0, 0, 5, 6))]
    assert read(BOXED + '"a, b.jpg",1,-2, 30 ,40\n\n c.jpg,0,0,5,6\n', parse) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOXED + "a.jpg,1,2,3,4\na.jpg\n", "list.csv:3: the row has 1 fields but the header has 5"),
        (BOXED + "a, b.jpg,1,2,3,4\n", "list.csv:2: the row has 6 fields but the header has 5; quote names"),
        (BOXED + "a.jpg,1,2,3,4.5\n", "list.csv:2: the box '1,2,3,4.5' must be four whole numbers"),
        (BOXED + "a.jpg,,2,3,4\n", "list.csv:2: the box ',2,3,4' must be four whole numbers"),
        (BOXED + ",1,2,3,4\n", "list.csv:2: '' is not a valid file name"),
    ],
)
@pytest.mark.parametrize("parse", [lists.read_csv, lists.read_boxes])
def test_a_bad_row_is_named(parse, text, message):
    with pytest.raises(ValueError, match=message):
        read(text, parse)


@pytest.mark.parametrize("parse", [lists.read_csv, lists.read_boxes])
def test_the_scores_of_found_boxes_are_not_read(parse):
    left_out = LeftOut()
    rows = lists.read_csv(io.BytesIO(b"name,x,y,width,height,face_score\na.jpg,1,2,3,4,0.9\n"), "list.csv", left_out)
    assert list(rows) == read(BOXED.strip() + ",face_score\na.jpg,1,2,3,4,\n", parse) == [Row("a.jpg", (1, 2, 3, 4))]
    assert left_out.sentences() == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name\na.jpg\n", "list.csv:1: the header must have the columns name, x, y, width, height; found 'name'"),
        (BOXED.strip() + ",x1,y2\na.jpg,1,2,3,4,5,6\n", "list.csv:1: the columns 'x1,y2' look like a box"),
        (BOXED + "a.jpg,,,,\n", "list.csv:2: 'a.jpg' has no box"),
    ],
)
def test_boxes_csv_has_a_box_in_each_row(text, message):
    with pytest.raises(ValueError, match=message):
        read(text, lists.read_boxes)


def test_boxes_csv_may_say_more_about_a_picture():
    assert read(BOXED.strip() + ",license\na.jpg,1,2,3,4,CC0\n", lists.read_boxes) == [Row("a.jpg", (1, 2, 3, 4))]


def test_a_list_may_have_other_columns_and_whole_pictures():
    assert read("who,height,width,y,x,name\nAnn,4,3,2,1,b.jpg\nBob,,,,,c.jpg\n") == [
        Row("b.jpg", (1, 2, 3, 4)),
        Row("c.jpg", None),
    ]


@pytest.mark.parametrize("text", [f"{BOXED}a,{'1' * 50_000},2,3,4", f"name,{',' * 30_000}\n{'a' * 50_000}"])
def test_long_values_of_a_list_are_not_echoed(text):
    with pytest.raises(ValueError, match="list.csv:2") as caught:
        read(text)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("end", [b"\n", b"\0"])
def test_a_path_without_end_is_refused_at_once(end):
    start = time.process_time()
    with pytest.raises(ValueError, match="standard input: b'xxx.*it is not a path") as caught:
        list(lists.read_paths(io.BytesIO(b"a.jpg" + end + b"x" * 5 * MEGABYTES), "standard input"))
    assert len(str(caught.value)) < 500
    assert time.process_time() - start < 1


def test_paths_longer_than_what_is_read_at_a_time():
    paths = [f"{'x' * 200}{index}.jpg" for index in range(1000)]
    found = lists.read_paths(io.BytesIO("\n".join(paths).encode()), "standard input")
    assert [row.name for row in found] == paths
