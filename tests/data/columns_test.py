"""Headers of tables: which columns are read, and which are never dropped."""

import io
import time

import pytest

from blur_jax.data import columns
from blur_jax.data.csv_tables import read_table
from blur_jax.data.left_out import LeftOut
from blur_jax.data.picture_lists import read_paths

LIST = (("name",), columns.BOX_COLUMNS)


@pytest.mark.parametrize(
    "boxes",
    [
        "x1,y1,x2,y2",
        "xmin,ymin,xmax,ymax",
        "XMin,XMax,YMin,YMax",
        "left,top,right,bottom",
        "x,y,w,h",
        "left,upper,right,lower",
        "bbox",
        "face_x,face_y,face_w,face_h",
        "bbox_x1,bbox_y1,bbox_x2,bbox_y2",
        "BoundingBox.Left,BoundingBox.Top,BoundingBox.Width,BoundingBox.Height",
        "Roi.X1,Roi.Y1,Roi.X2,Roi.Y2",
        "x_1,y_1",
        "bbox-0,bbox-1,bbox-2,bbox-3",
        "center_x,center_y",
        "upper_left_x,upper_left_y",
        "FaceRectangle",
    ],
)
@pytest.mark.parametrize("table", [LIST, (("left", "right", "similarity", "mated"), ()), (("name", "label"), ())])
def test_columns_that_look_like_boxes_are_refused_with_a_remedy(table, boxes):
    if "left" in table[0]:  # There, "left" is a picture.
        boxes = boxes.replace("left,", "x1,").replace("right,", "x2,")
    with pytest.raises(ValueError, match="look like a box, but .* delete"):
        columns.match([*table[0], *boxes.split(",")], *table)


@pytest.mark.parametrize(
    "others",
    [
        "status,reason,blur,keep",
        "image_width,image_height",
        "box_id,n_boxes,bbox_score",
        "lat,lon,time",
        "left_eye_x,left_eye_y",
        "focal_length,iso,who",
        "max,min,center,region",
    ],
)
def test_other_columns_are_counted(others):
    left_out = LeftOut()
    file = io.BytesIO(f"name,{others}\n".encode())
    assert list(read_table(file, "list.csv", *LIST, left_out=left_out)) == []
    assert left_out.columns == {"list.csv": others.split(",")}
    assert left_out.sentences() == [f"list.csv: ignored columns: {others.replace(',', ', ')}"]


def test_letter_case_and_blanks_do_not_matter():
    assert columns.match([" Name", "X", "Y ", "WIDTH", "Height", ""], *LIST) == ["name", *columns.BOX_COLUMNS, ""]
    assert columns.match(["name", "Quality", "quality"], ("name", "quality")) == ["name", "Quality", "quality"]
    with pytest.raises(ValueError, match="duplicate"):
        columns.match(["name", "X", "X "], *LIST)


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        (b"filename,who\na.jpg,b\n", "rename the column 'filename' to 'name'"),
        (b"image_path\na.jpg\n", "rename the column 'image_path' to 'name'"),
        (b"name;who\na.jpg;b\n", "separated by ';'; save the file with commas"),
        (b"Name\twho\na.jpg\tb\n", "separated by '.t'; save the file with commas"),
        ("name\na.jpg\n".encode("utf-16"), "the file is encoded in UTF-16; save it as UTF-8 CSV"),
    ],
)
def test_a_header_that_is_nearly_right_gets_a_hint_and_is_never_a_path(data, hint):
    with pytest.raises(ValueError, match=hint):
        list(read_paths(io.BytesIO(data), "standard input"))


def test_a_path_may_be_called_image(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "image").touch()
    assert [row.name for row in read_paths(io.BytesIO(b"./file\nb.jpg\n"), "standard input")] == ["./file", "b.jpg"]
    assert [row.name for row in read_paths(io.BytesIO(b"image\nb.jpg\n"), "standard input")] == ["image", "b.jpg"]


def test_a_header_of_rubbish_takes_no_time():
    start = time.process_time()
    for text in ("b", "box", "bbox", "left", "x", "c", "1"):
        columns.box_columns([text * 10_000])
    columns.match(["name", *(f"b{index}" for index in range(20_000))], *LIST)
    assert time.process_time() - start < 1
