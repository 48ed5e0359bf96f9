import io

import numpy as np
import pytest
from PIL import Image

from blur_jax.preprocessing import Preprocessing, crop_and_resize, crop_square, read_image, to_rgb


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
    for upright in (True, False):
        protocol = Preprocessing(image_size=96, context=1.5, upright=upright)
        assert Preprocessing.from_dict(protocol.to_dict()) == protocol


def test_older_records_keep_the_stored_orientation():
    old = {"image_size": 96, "context": 1.5, "resample": "bicubic"}
    assert Preprocessing.from_dict(old) == Preprocessing(image_size=96, context=1.5, upright=False)


@pytest.mark.parametrize(
    ("protocol", "tag"),
    [
        (Preprocessing(image_size=128), "128px-context1"),
        (Preprocessing(image_size=64, context=1.25), "64px-context1.25"),
        (Preprocessing(image_size=64, context=2.0, upright=False), "64px-context2-stored"),
    ],
)
def test_the_tag_names_the_protocol(protocol, tag):
    assert protocol.tag == tag


OLD = {"image_size": 64, "context": 1.0, "resample": "bicubic"}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"image_size": 64},
        {"image_size": 64, "context": 1.0},
        {"image_size": 64, "resample": "bicubic"},
        OLD | {"extra": 1},
        OLD | {"upright": True},
        OLD | {"resample": "nearest"},
        None,
        [1],
    ],
)
def test_foreign_preprocessing_records_are_refused(fields):
    with pytest.raises(ValueError, match="preprocessing record"):
        Preprocessing.from_dict(fields)


@pytest.mark.parametrize(
    ("field", "value"),
    [("image_size", 8), ("image_size", 64.0), ("context", 0), ("context", "1"), ("upright", 1)],
)
def test_bad_protocols_name_the_field(field, value):
    with pytest.raises(ValueError, match=f"{field} must be .*{value}"):
        Preprocessing(**{field: value})


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGB", "RGBA", "CMYK", "1"])
def test_every_8_bit_mode_becomes_rgb(tmp_path, mode):
    path = tmp_path / "picture.tif"
    Image.new("RGB", (4, 3), (255, 255, 255)).convert(mode).save(path)
    image = read_image(path, upright=True)
    assert image.mode == "RGB"
    assert image.size == (4, 3)
    assert np.asarray(image).min() == 255


def test_pictures_that_would_lose_range_are_refused(tmp_path):
    path = tmp_path / "deep.png"
    Image.fromarray(np.full((4, 4), 40000, np.uint16)).save(path)
    with pytest.raises(ValueError, match=r"deep\.png.*I;16.*8-bit"):
        read_image(path, upright=True)


def test_damaged_pictures_name_the_file(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(buffer, "JPEG")
    whole = buffer.getvalue()
    for name, content in [("cut.jpg", whole[: len(whole) // 2]), ("text.jpg", b"not a picture"), ("empty.jpg", b"")]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{name}: not a readable picture"):
            read_image(tmp_path / name, upright=True)
    with pytest.raises(FileNotFoundError):
        read_image(tmp_path / "nowhere.jpg", upright=True)


def test_a_crop_saved_on_its_own_gives_the_same_pixels():
    pixels = np.random.default_rng(0).integers(0, 256, (90, 70, 3), np.uint8)
    image, protocol = Image.fromarray(pixels), Preprocessing(image_size=32)
    whole = crop_and_resize(image, (5, 20, 50, 50), protocol)
    alone = crop_and_resize(image.crop((5, 20, 55, 70)), None, protocol)
    np.testing.assert_array_equal(whole, alone)


# EXIF orientation -> the corner of the shown picture that holds the first stored pixel (row, column of 0 or -1), and
# whether rows and columns change places; from the table of the EXIF standard (JEITA CP-3451, tag 0x0112).
ORIENTATIONS = {
    1: ((0, 0), False),
    2: ((0, -1), False),
    3: ((-1, -1), False),
    4: ((-1, 0), False),
    5: ((0, 0), True),
    6: ((0, -1), True),
    7: ((-1, -1), True),
    8: ((-1, 0), True),
}


def oriented(path, orientation):
    """Saves 16 x 32 black pixels (width x height), whose first 8 x 8 are white, as a JPEG of an orientation."""
    pixels = np.zeros((32, 16, 3), np.uint8)
    pixels[:8, :8] = 255
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(pixels).save(path, quality=95, exif=exif)
    return path


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_an_upright_picture_is_as_it_is_shown(tmp_path, orientation):
    path = oriented(tmp_path / "picture.jpg", orientation)
    corner, turned = ORIENTATIONS[orientation]
    shown = read_image(path, upright=True)
    assert shown.size == ((32, 16) if turned else (16, 32))
    pixels = np.asarray(shown)
    assert [place for place in ((0, 0), (0, -1), (-1, 0), (-1, -1)) if pixels[place].min() > 200] == [corner]
    stored = read_image(path, upright=False)
    assert stored.size == (16, 32) and np.asarray(stored)[0, 0].min() > 200


def test_a_box_cuts_the_face_where_it_is_shown(tmp_path):
    path = oriented(tmp_path / "picture.jpg", 6)  # The white square is shown at the top right: x 24 to 32, y 0 to 8.
    protocol = Preprocessing(image_size=16)
    face = crop_and_resize(read_image(path, upright=protocol.upright), (24, 0, 8, 8), protocol)
    assert face.min() > 200
    old = Preprocessing.from_dict({"image_size": 16, "context": 1.0, "resample": "bicubic"})
    face = crop_and_resize(read_image(path, upright=old.upright), (0, 0, 8, 8), old)
    assert face.min() > 200


def test_pictures_in_memory_are_turned_too(tmp_path):
    with Image.open(oriented(tmp_path / "picture.jpg", 8)) as picture:
        assert to_rgb(picture, upright=True).size == (32, 16)
        assert to_rgb(picture, upright=False).size == (16, 32)
    assert to_rgb(Image.new("L", (5, 7)), upright=True).mode == "RGB"


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning", "ignore:Truncated File Read:UserWarning")
@pytest.mark.parametrize("damage", [b"XX", b"\xff\xff"])
def test_a_damaged_exif_block_does_not_lose_the_picture(tmp_path, damage):
    path = oriented(tmp_path / "picture.jpg", 6)
    content = path.read_bytes()
    start = content.index(b"Exif") + 6
    path.write_bytes(content[:start] + damage + content[start + 2 :])
    assert read_image(path, upright=True).size == (16, 32)
