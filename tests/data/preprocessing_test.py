import numpy as np
import pytest
from PIL import Image

from blur_jax.data.pictures import read_image
from blur_jax.data.preprocessing import Preprocessing, check_judgeable, crop_and_resize, crop_square, prepare


@pytest.mark.parametrize(
    ("size", "box", "context", "expected"),
    [
        ((100, 80), (10, 20, 30, 30), 1.0, (10, 20, 30)),  # a square box is itself
        ((100, 80), (10, 20, 20, 40), 1.0, (0, 20, 40)),  # longer side, centered on x = 20
        ((100, 80), (30, 20, 20, 20), 2.0, (20, 10, 40)),  # twice as wide, same center (40, 30)
        ((100, 80), (0, 0, 20, 40), 1.0, (0, 0, 40)),  # would begin at x = -10: shifted inside
        ((100, 80), (80, 50, 20, 30), 1.0, (70, 50, 30)),  # would end at x = 105: shifted inside
        ((100, 80), (10, 0, 90, 80), 1.0, (15, 0, 80)),  # no longer than the picture's shorter side
        ((92, 112), None, 1.0, (0, 10, 92)),  # no box: the central square
    ],
)
def test_crop_square_by_hand(size, box, context, expected):
    assert crop_square(size, box, context) == expected


@pytest.mark.parametrize("box", [(-1, 0, 5, 5), (0, 0, 0, 5), (0, 0, 5, -5), (96, 0, 5, 5), (0, 76, 5, 5)])
def test_boxes_that_are_empty_or_leave_the_picture_are_refused(box):
    with pytest.raises(ValueError, match=f"x={box[0]} y={box[1]} w={box[2]} h={box[3]}.*100 x 80"):
        crop_square((100, 80), box, 1.0)


def test_reduction_is_antialiased():
    # Lines one pixel wide average to gray; without a filter that grows they would stay black or white.
    lines = np.zeros((256, 256, 3), np.uint8)
    lines[:, ::2] = 255
    found = crop_and_resize(Image.fromarray(lines), None, Preprocessing(image_size=32))
    assert np.abs(found.astype(int) - 127).max() <= 16


def test_preprocessing_survives_a_round_trip():
    protocol = Preprocessing(image_size=96, context=1.5)
    assert Preprocessing.from_dict(protocol.to_dict()) == protocol


def test_the_tag_names_the_protocol():
    assert Preprocessing(image_size=128).tag == "128px-context1"
    assert Preprocessing(image_size=64, context=1.25).tag == "64px-context1.25"


@pytest.mark.parametrize("fields", [{"image_size": 64}, {"image_size": 64, "context": 1.0, "extra": 1}, None, [1]])
def test_foreign_preprocessing_records_are_refused(fields):
    with pytest.raises(ValueError, match="preprocessing record"):
        Preprocessing.from_dict(fields)


@pytest.mark.parametrize(
    ("field", "value"), [("image_size", 8), ("image_size", 64.0), ("context", 0), ("context", "1")]
)
def test_bad_protocols_name_the_field(field, value):
    with pytest.raises(ValueError, match=f"{field} must be .*{value}"):
        Preprocessing(**{field: value})


def test_a_crop_saved_on_its_own_gives_the_same_pixels():
    pixels = np.random.default_rng(0).integers(0, 256, (90, 70, 3), np.uint8)
    image, protocol = Image.fromarray(pixels), Preprocessing(image_size=32)
    whole = crop_and_resize(image, (5, 20, 50, 50), protocol)
    alone = crop_and_resize(image.crop((5, 20, 55, 70)), None, protocol)
    np.testing.assert_array_equal(whole, alone)


def test_a_box_cuts_the_face_where_it_is_shown(tmp_path):
    stored, exif = np.zeros((32, 16, 3), np.uint8), Image.Exif()
    stored[:8, :8], exif[274] = 255, 6  # Orientation 6 shows the white square at the top right: x 24 to 32, y 0 to 8.
    path = tmp_path / "picture.jpg"
    Image.fromarray(stored).save(path, quality=95, exif=exif)
    assert crop_and_resize(read_image(path), (24, 0, 8, 8), Preprocessing(image_size=16)).min() > 200


@pytest.mark.parametrize(
    ("size", "box", "reason"),
    [
        ((1, 1), None, "it uses only 1 x 1 pixels of the 1 x 1 picture; at least 16 x 16 are needed"),
        ((15, 40), None, "15 x 15 pixels of the 15 x 40 picture"),
        ((20000, 1), None, "1 x 1 pixels of the 20000 x 1 picture"),
        ((161, 40), None, "the 161 x 40 picture is too elongated to judge as a whole"),
        ((40, 161), None, "one side is more than 4 times the other; supply a face box"),
        ((100, 80), (10, 10, 15, 8), "the crop around the box of 15 x 8 is too small to judge: it uses only 15 x 15"),
        ((100, 80), (90, 10, 15, 8), "extends beyond the 100 x 80 picture"),
    ],
)
def test_what_shows_too_little_is_refused(size, box, reason):
    with pytest.raises(ValueError, match=reason):
        check_judgeable(size, box, Preprocessing(image_size=64))
    with pytest.raises(ValueError, match=reason):
        prepare(Image.new("RGB", size), box, Preprocessing(image_size=64))


@pytest.mark.parametrize(
    ("size", "box", "context"),
    [
        ((16, 16), None, 1.0),
        ((160, 40), None, 1.0),
        ((40, 160), None, 1.0),
        ((20000, 40), (500, 0, 20, 20), 1.0),  # A box says where the face is, however long the picture.
        ((100, 80), (10, 10, 8, 8), 2.0),  # Context counts.
    ],
)
def test_what_shows_enough_is_taken(size, box, context):
    check_judgeable(size, box, Preprocessing(image_size=64, context=context))


def test_a_picture_is_prepared_alike_as_path_image_and_array(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    path = tmp_path / "a.png"
    Image.fromarray(pixels).save(path)
    for picture in (str(path), path, path.read_bytes(), Image.fromarray(pixels), pixels):
        found = prepare(picture, (7, 3, 32, 32), Preprocessing(image_size=32))
        np.testing.assert_array_equal(found, pixels[3:35, 7:39])


def test_what_is_no_picture_is_refused():
    with pytest.raises(ValueError, match="must be a path, bytes, a PIL image or an array, not int"):
        prepare(7, None, Preprocessing())
