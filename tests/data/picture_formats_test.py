"""Which package decodes a file: by its content, whatever its name and whatever brand comes first."""

import io
import sys

import numpy as np
import pytest
from PIL import Image

from blur_jax.data.pictures import decode
from tests.helpers.tiff import dng

LINES = np.arange(96)[:, None] * (2, 1, 0) + np.zeros((64, 1, 1))  # No corner is like another.
SHOWN = np.clip(LINES + 60 * (np.arange(64) > 40)[:, None, None], 0, 255).astype(np.uint8)
RAW_STARTS = {
    "CR2": b"II*\0\x10\0\0\0CR\2\0",
    "CR3": b"\0\0\0\x18ftypcrx \0\0\0\1crx isom",
    "RAF": b"FUJIFILMCCD-RAW 0201",
}


def encoded(name, **options):
    buffer = io.BytesIO()
    Image.fromarray(SHOWN).save(buffer, name, **options)
    return buffer.getvalue()


def branded(content, major, *compatible):
    """A file of the MPEG family whose brands are others; as many compatible ones as it had."""
    size = int.from_bytes(content[:4], "big")
    brands = b"".join(compatible) or content[16:size]
    assert len(brands) == size - 16
    return content[:8] + major + content[12:16] + brands + content[size:]


def closeness(content):
    return np.abs(np.asarray(decode(content)).astype(int) - SHOWN).mean()


def test_an_avif_file_is_one_whichever_brand_comes_first():
    content = encoded("AVIF", quality=95)
    several = encoded("AVIF", save_all=True, append_images=[Image.new("RGB", (96, 64))], quality=95)
    files = [
        content,
        branded(content, b"mif1"),
        branded(content, b"msf1"),
        branded(content, b"mif1", b"miaf", b"MA1B", b"mif1", b"avif"),
        branded(several, b"avis"),
        branded(several, b"msf1"),
    ]
    assert max(map(closeness, files)) < 6


def test_a_heic_file_is_one_whichever_brand_comes_first(monkeypatch):
    pytest.importorskip("pillow_heif", reason="needs the extra `heif`").register_heif_opener()
    content = encoded("HEIF", quality=95)
    files = [branded(content, major) for major in (b"heic", b"heix", b"mif1", b"msf1")]
    assert max(map(closeness, files)) < 6
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    for file in files:
        with pytest.raises(ValueError, match="HEIC pictures require pillow-heif; run: pip install pillow-heif"):
            decode(file)


@pytest.mark.parametrize("container", [False, True])
def test_jpeg_xl_is_read(container):
    pytest.importorskip("pillow_jxl", reason="needs the extra `jxl`")
    content = encoded("JXL", lossless=True, use_container=container)
    assert closeness(content) == 0
    with pytest.raises(ValueError, match="damaged JPEG XL"):
        decode(content[: len(content) // 2])


@pytest.mark.parametrize("start", [b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"])
def test_without_its_package_jpeg_xl_names_the_command(start, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_jxl", None)
    with pytest.raises(ValueError, match="run: pip install pillow-jxl-plugin"):
        decode(start + bytes(99))


# EXIF orientation -> counterclockwise quarter turns to the upright picture.
@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_camera_raw_is_its_upright_embedded_preview(orientation, turns):
    pytest.importorskip("rawpy", reason="needs the extra `raw`")
    small = np.ascontiguousarray(SHOWN[::2, ::2])
    np.testing.assert_array_equal(np.asarray(decode(dng(small, orientation=orientation))), np.rot90(small, turns))
    larger = np.asarray(decode(dng(small, encoded("JPEG", quality=95), orientation)))
    assert np.abs(larger.astype(int) - np.rot90(SHOWN, turns)).mean() < 6


@pytest.mark.parametrize("kind", RAW_STARTS)
def test_camera_raw_without_a_preview_is_an_error(kind):
    pytest.importorskip("rawpy", reason="needs the extra `raw`")
    with pytest.raises(ValueError, match="no preview.* export it as JPEG"):
        decode(RAW_STARTS[kind] + bytes(300))


@pytest.mark.parametrize("kind", [*RAW_STARTS, "DNG"])
def test_without_its_package_camera_raw_names_the_command(kind, monkeypatch):
    """Pillow would read a DNG, NEF or ARW as the tiny picture on its first page."""
    monkeypatch.setitem(sys.modules, "rawpy", None)
    content = dng(np.zeros((30, 40, 3), np.uint8)) if kind == "DNG" else RAW_STARTS[kind] + bytes(300)
    with pytest.raises(ValueError, match="camera raw pictures require rawpy; run: pip install rawpy"):
        decode(content)


def test_a_tiff_of_several_pages_is_not_camera_raw():
    assert closeness(encoded("TIFF", save_all=True, append_images=[Image.new("RGB", (96, 64))])) == 0
