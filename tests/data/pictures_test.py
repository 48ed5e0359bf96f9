"""Any picture as 8-bit RGB: the same picture gives the same pixels as a file, a PIL image and an array."""

import io
import os
import struct
import sys

import numpy as np
import pytest
from PIL import Image

from blur_jax.data.pictures import from_array, read_image, to_rgb
from tests.helpers import bad_pictures

GRAY = np.random.default_rng(0).integers(0, 256, (40, 50), np.uint8)
COLOR = np.random.default_rng(1).integers(0, 256, (40, 50, 3), np.uint8)


def pixels(image):
    assert image.mode == "RGB"
    return np.asarray(image)


def saved(path, image, **options):
    image.save(path, **options)
    return path


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGB", "RGBA", "CMYK", "1", "YCbCr"])
def test_every_8_bit_mode_becomes_rgb(tmp_path, mode):
    path = saved(tmp_path / "picture.tif", Image.new("RGB", (4, 3), (255, 255, 255)).convert(mode))
    image = read_image(path)
    assert image.size == (4, 3)
    assert pixels(image).min() >= 254  # YCbCr rounds.


@pytest.mark.parametrize("ending", ["png", "bmp", "tif", "ppm", "gif", "webp", "jp2"])
def test_lossless_formats_keep_every_pixel(tmp_path, ending):
    options = {"lossless": True} if ending == "webp" else {}
    source = GRAY if ending == "gif" else COLOR  # A GIF has 256 colors.
    path = saved(tmp_path / f"picture.{ending}", Image.fromarray(source), **options)
    expected = np.stack([GRAY] * 3, -1) if ending == "gif" else COLOR
    np.testing.assert_array_equal(pixels(read_image(path)), expected)


def test_gray_scores_alike_in_8_and_16_bits_as_file_image_and_array(tmp_path):
    deep = GRAY.astype(np.uint16) * 257  # 0 to 65535, as whoever widens a picture does.
    expected = np.stack([GRAY] * 3, -1)
    found = {
        "array": from_array(GRAY),
        "deep array": from_array(deep),
        "array in color": from_array(expected),
        "image": to_rgb(Image.fromarray(GRAY)),
        "deep image": to_rgb(Image.fromarray(deep)),
        "png": read_image(saved(tmp_path / "a.png", Image.fromarray(GRAY))),
        "deep png": read_image(saved(tmp_path / "b.png", Image.fromarray(deep))),
        "deep tiff": read_image(saved(tmp_path / "c.tif", Image.fromarray(deep))),
    }
    (tmp_path / "d.pgm").write_bytes(b"P5 50 40 65535\n" + deep.astype(">u2").tobytes())
    found["deep pgm"] = read_image(tmp_path / "d.pgm")
    for name, image in found.items():
        np.testing.assert_array_equal(pixels(image), expected, err_msg=name)


def test_16_bit_color_keeps_the_high_byte(tmp_path):
    deep = np.random.default_rng(2).integers(0, 65536, (9, 7, 3)).astype(np.uint16)
    (tmp_path / "deep.png").write_bytes(bad_pictures.png_16(deep, 2))
    np.testing.assert_array_equal(pixels(read_image(tmp_path / "deep.png")), deep // 256)
    np.testing.assert_array_equal(pixels(from_array(deep)), deep // 256)


def test_transparent_parts_lie_over_white(tmp_path):
    rgba = np.zeros((3, 3, 4), np.uint8)  # Black, and wholly transparent ...
    rgba[0, 0] = 10, 20, 30, 255  # ... but for one pixel that is not at all
    rgba[1, 1] = 0, 0, 0, 51  # and one that is a fifth: 4/5 of white shine through, 204.
    deep = rgba.astype(np.uint16) * 257
    (tmp_path / "deep.png").write_bytes(bad_pictures.png_16(deep, 6))
    for image in (
        from_array(rgba),
        from_array(deep),
        to_rgb(Image.fromarray(rgba)),
        read_image(saved(tmp_path / "a.png", Image.fromarray(rgba))),
        read_image(tmp_path / "deep.png"),
    ):
        found = pixels(image)
        assert found[0, 0].tolist() == [10, 20, 30]
        assert found[1, 1].tolist() == [204, 204, 204]
        assert found[2, 2].tolist() == [255, 255, 255]


def test_a_transparent_color_of_a_palette_or_of_gray_is_white(tmp_path):
    indices = Image.new("P", (2, 1))
    indices.putpalette([0, 0, 0, 50, 60, 70])
    indices.putpixel((1, 0), 1)
    path = saved(tmp_path / "palette.png", indices, transparency=0)
    assert pixels(read_image(path))[0].tolist() == [[255, 255, 255], [50, 60, 70]]
    path = saved(tmp_path / "gray.png", Image.fromarray(np.array([[9, 8]], np.uint8)), transparency=9)
    assert pixels(read_image(path))[0].tolist() == [[255, 255, 255], [8, 8, 8]]


@pytest.mark.parametrize("mode", ["F", "I", "LAB", "HSV"])
def test_images_of_unknown_range_are_refused(mode):
    with pytest.raises(ValueError, match=f"mode '{mode}' are not supported; save the picture as 8-bit or 16-bit"):
        to_rgb(Image.new(mode, (40, 40)))


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.zeros((8, 8, 3), np.float32), r"float32 \[8, 8, 3\]"),
        (np.zeros((8, 8, 2), np.uint8), r"uint8 \[8, 8, 2\]"),
        (np.zeros(8, np.uint8), r"uint8 \[8\]"),
        (np.zeros((1, 8, 8, 3), np.uint8), r"uint8 \[1, 8, 8, 3\]"),
        (np.zeros((0, 8, 3), np.uint8), "has no pixels"),
    ],
)
def test_arrays_of_another_kind_are_refused(array, found):
    with pytest.raises(ValueError, match=found):
        from_array(array)


def test_a_truncated_image_in_memory_is_a_clear_error():
    with pytest.raises(ValueError, match="cannot be decoded: .*truncat"):
        to_rgb(Image.open(io.BytesIO(bad_pictures.jpeg()[:900])))


def test_a_closed_image_is_a_clear_error(tmp_path):
    image = Image.open(saved(tmp_path / "a.jpg", Image.fromarray(COLOR)))
    image.close()
    with pytest.raises(ValueError, match="cannot be decoded"):
        to_rgb(image)


def test_bad_files_say_why_and_leave_nothing_open(tmp_path):
    before = os.listdir("/proc/self/fd") if sys.platform == "linux" else None
    for name, reason in bad_pictures.make(tmp_path).items():
        with pytest.raises(ValueError, match=rf"{name}: not a readable picture \(.*({reason})"):
            read_image(tmp_path / name)
    if before is not None:
        assert len(os.listdir("/proc/self/fd")) == len(before)


@pytest.mark.parametrize("error", [NotImplementedError, struct.error, SyntaxError, RecursionError, MemoryError])
@pytest.mark.parametrize("where", ["PIL.Image.open", "PIL.PngImagePlugin.PngImageFile.load", "PIL.Image.Image.convert"])
def test_whatever_pillow_raises_a_bad_file_is_one_kind_of_error(tmp_path, monkeypatch, where, error):
    path = saved(tmp_path / "a.png", Image.fromarray(GRAY))

    def fail(*_, **__):
        raise error("odd")

    monkeypatch.setattr(where, fail)
    with pytest.raises(ValueError, match=r"a\.png: not a readable picture \(.*odd"):
        read_image(path)


@pytest.mark.parametrize(
    ("name", "reason"), [("a" * 300, "File name too long"), ("a\0b", "null byte"), ("\ud800", "surrogates not allowed")]
)
def test_a_name_that_no_file_can_have_is_said(name, reason):
    with pytest.raises(ValueError, match=f"not a readable picture .*{reason}"):
        read_image(name)


def test_a_missing_file_is_named(tmp_path):
    (tmp_path / "nowhere.jpg").symlink_to("gone.jpg")
    for name in ("nowhere.jpg", "none.jpg"):
        with pytest.raises(FileNotFoundError, match=f"{name}: the file does not exist"):
            read_image(tmp_path / name)


def test_no_permission_is_said(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.png", Image.fromarray(COLOR))

    def refuse(*_, **__):  # Root, whom tests often run as, may read anything.
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(ValueError, match="you do not have permission to read it"):
        read_image(path)


def test_heic_is_read_where_its_package_is_installed(tmp_path, monkeypatch):
    heif = pytest.importorskip("pillow_heif", reason="needs the package pillow-heif")
    smooth = np.repeat(np.arange(0, 256, 4, dtype=np.uint8)[None, :, None], 64, 0) * np.ones(3, np.uint8)
    heif.from_pillow(Image.fromarray(smooth)).save(tmp_path / "a.heic", quality=95)
    found = pixels(read_image(tmp_path / "a.heic"))
    assert np.abs(found.astype(int) - smooth).mean() < 4
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(ValueError, match="pip install pillow-heif"):
        read_image(tmp_path / "a.heic")


# EXIF orientation -> the corner of the shown picture that holds the first stored pixel (row, column of 0 or -1); rows
# and columns change places from 5 on. From the table of the EXIF standard (JEITA CP-3451, tag 0x0112).
CORNERS = {1: (0, 0), 2: (0, -1), 3: (-1, -1), 4: (-1, 0), 5: (0, 0), 6: (0, -1), 7: (-1, -1), 8: (-1, 0)}


def oriented(path, orientation):
    """Saves 16 x 32 black pixels (width x height), whose first 8 x 8 are white, as a picture of an orientation."""
    stored = np.zeros((32, 16, 3), np.uint8)
    stored[:8, :8] = 255
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(stored).save(path, quality=95, exif=exif)
    return path


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", CORNERS)
def test_an_upright_picture_is_as_it_is_shown(tmp_path, orientation, ending):
    path = oriented(tmp_path / f"picture.{ending}", orientation)
    with Image.open(path) as lazy:
        for shown in (read_image(path), to_rgb(lazy)):
            assert shown.size == ((32, 16) if orientation >= 5 else (16, 32))
            found = pixels(shown)
            assert [place for place in set(CORNERS.values()) if found[place].min() > 200] == [CORNERS[orientation]]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning", "ignore:Truncated File Read:UserWarning")
@pytest.mark.parametrize("damage", [b"XX", b"\xff\xff"])
def test_a_damaged_exif_block_does_not_lose_the_picture(tmp_path, damage):
    path = oriented(tmp_path / "picture.jpg", 6)
    content = path.read_bytes()
    start = content.index(b"Exif") + 6
    path.write_bytes(content[:start] + damage + content[start + 2 :])
    assert read_image(path).size == (16, 32)


def test_images_are_not_changed_by_being_looked_at():
    image = Image.fromarray(np.dstack([COLOR, GRAY]))
    before = image.tobytes()
    to_rgb(image)
    assert (image.mode, image.tobytes()) == ("RGBA", before)
