import io

import numpy as np
import pytest
from PIL import Image

from blur_jax.preprocessing import Preprocessing, crop_and_resize, crop_square, read_image


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


def test_the_crop_is_exact_where_nothing_is_resized():
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    found = crop_and_resize(Image.fromarray(pixels), (7, 3, 32, 32), Preprocessing(image_size=32))
    np.testing.assert_array_equal(found, pixels[3:35, 7:39])


def test_reduction_is_antialiased():
    # Lines one pixel wide average to gray; without a filter that grows they would stay black or white.
    lines = np.zeros((256, 256, 3), np.uint8)
    lines[:, ::2] = 255
    found = crop_and_resize(Image.fromarray(lines), None, Preprocessing(image_size=32))
    assert np.abs(found.astype(int) - 127).max() <= 16


def test_preprocessing_survives_a_round_trip():
    protocol = Preprocessing(image_size=96, context=1.5)
    assert Preprocessing.from_dict(protocol.to_dict()) == protocol


@pytest.mark.parametrize(
    "fields",
    [{}, {"image_size": 64}, {"image_size": 64, "context": 1.0, "resample": "bicubic", "extra": 1}, None, [1]],
)
def test_foreign_preprocessing_records_are_refused(fields):
    with pytest.raises(ValueError, match="preprocessing record"):
        Preprocessing.from_dict(fields)


@pytest.mark.parametrize(
    ("field", "value"),
    [("image_size", 8), ("image_size", 64.0), ("context", 0), ("context", "1"), ("resample", "nearest")],
)
def test_bad_protocols_name_the_field(field, value):
    with pytest.raises(ValueError, match=f"{field} must be .*{value}"):
        Preprocessing(**{field: value})


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGB", "RGBA", "CMYK", "1"])
def test_every_8_bit_mode_becomes_rgb(tmp_path, mode):
    path = tmp_path / "picture.tif"
    Image.new("RGB", (4, 3), (255, 255, 255)).convert(mode).save(path)
    image = read_image(path)
    assert image.mode == "RGB"
    assert image.size == (4, 3)
    assert np.asarray(image).min() == 255


def test_pictures_that_would_lose_range_are_refused(tmp_path):
    path = tmp_path / "deep.png"
    Image.fromarray(np.full((4, 4), 40000, np.uint16)).save(path)
    with pytest.raises(ValueError, match=r"deep\.png.*I;16.*8-bit"):
        read_image(path)


def test_damaged_pictures_name_the_file(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(buffer, "JPEG")
    whole = buffer.getvalue()
    for name, content in [("cut.jpg", whole[: len(whole) // 2]), ("text.jpg", b"not a picture"), ("empty.jpg", b"")]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{name}: not a readable picture"):
            read_image(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        read_image(tmp_path / "nowhere.jpg")


def test_a_crop_saved_on_its_own_gives_the_same_pixels():
    pixels = np.random.default_rng(0).integers(0, 256, (90, 70, 3), np.uint8)
    image, protocol = Image.fromarray(pixels), Preprocessing(image_size=32)
    whole = crop_and_resize(image, (5, 20, 50, 50), protocol)
    alone = crop_and_resize(image.crop((5, 20, 55, 70)), None, protocol)
    np.testing.assert_array_equal(whole, alone)
