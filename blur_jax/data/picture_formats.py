"""Opens picture files based on their content; HEIC, JPEG XL and camera raw each require an optional package."""

import contextlib
import importlib
import io
from typing import IO, Any

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "JPEG2000", "AVIF")
_AVIF_BRANDS = (b"avif", b"avis")
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx")
_SHARED_BRANDS = (b"mif1", b"msf1")  # Used by both AVIF and HEIC.
_JPEG_XL_STARTS = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")
_TIFF_STARTS = (b"II*\0", b"MM\0*")
_SUBFILE_TYPE, _SUB_IFDS, _DNG_VERSION = 254, 330, 50706  # TIFF tags.
_QUARTER_TURNS = {3: 2, 5: 1, 6: 3}  # {LibRaw's `flip`: counterclockwise quarter turns}.


def open_image(file: IO[bytes]) -> Image.Image:
    """Opens a picture, or a camera raw file's embedded preview. The image may be lazy, so keep the file open.

    Raises:
        ValueError: the file is empty, is not a picture, or needs a package that is not installed.
        Exception: the file is damaged; Pillow and the optional packages raise many types.
    """
    start = file.read(12)
    if not start:
        raise ValueError("the file is empty")
    brands = _brands(start, file)
    raw = b"crx " in brands or _is_raw(start, file)
    file.seek(0)
    if raw:
        return _preview(file)
    if start.startswith(_JPEG_XL_STARTS):
        return _open_jpeg_xl(file)
    formats = _FORMATS
    # The first brand that is specific to one format decides. Pillow itself checks only the first brand.
    named = next((brand for brand in brands if brand in _AVIF_BRANDS + _HEIC_BRANDS), None)
    if named in _HEIC_BRANDS or (named is None and any(brand in _SHARED_BRANDS for brand in brands)):
        _package("pillow_heif", "pillow-heif", "HEIC").register_heif_opener()
        formats = ("HEIF",)
    try:
        return Image.open(file, formats=formats)
    except Image.UnidentifiedImageError as error:
        names = ", ".join((*_FORMATS, "HEIC", "JPEG XL", "camera raw"))
        raise ValueError(f"it is damaged or not in a supported format: {names}") from error


def _package(module: str, package: str, pictures: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ValueError(f"{pictures} pictures require {package}; run: pip install {package}") from error


def _brands(start: bytes, file: IO[bytes]) -> list[bytes]:
    """Returns the major and compatible brands of an ISO container file, or []; continues reading at byte 12."""
    if start[4:8] != b"ftyp":
        return []
    more = file.read(max(0, min(int.from_bytes(start[:4], "big"), 1024) - 12))[4:]  # Skips the version.
    return [start[8:], *(more[at : at + 4] for at in range(0, len(more), 4))]


def _is_raw(start: bytes, file: IO[bytes]) -> bool:
    """Returns whether a file is Fujifilm RAF, Canon CR2, or a TIFF that starts with a small copy of a raw picture."""
    if start.startswith(b"FUJIFILMCCD-") or (start.startswith(_TIFF_STARTS) and start[8:10] == b"CR"):
        return True
    if start.startswith(_TIFF_STARTS):
        with contextlib.suppress(Exception):  # Pillow reports what is wrong with a damaged TIFF.
            tags = ImageFileDirectory_v2(start[:8])
            file.seek(tags.next)
            tags.load(file)
            return _DNG_VERSION in tags or (_SUB_IFDS in tags and bool(tags.get(_SUBFILE_TYPE, 0) & 1))
    return False


def _preview(file: IO[bytes]) -> Image.Image:
    """Returns the largest preview that the camera stored in the raw file; it is as sharp as a JPEG from that camera."""
    rawpy = _package("rawpy", "rawpy", "camera raw")
    try:
        with rawpy.imread(file) as raw:
            preview, turns = raw.extract_thumb(), _QUARTER_TURNS.get(raw.sizes.flip, 0)
    except rawpy.LibRawError as error:
        raise ValueError("this camera raw file has no preview that LibRaw can find; export it as JPEG") from error
    if preview.format == rawpy.ThumbFormat.JPEG:  # LibRaw adds the orientation.
        return Image.open(io.BytesIO(preview.data), formats=("JPEG",))
    return Image.fromarray(np.ascontiguousarray(np.rot90(preview.data, turns)))


def _open_jpeg_xl(file: IO[bytes]) -> Image.Image:
    _package("pillow_jxl", "pillow-jxl-plugin", "JPEG XL")
    try:
        return Image.open(file, formats=("JXL",))
    except RuntimeError as error:  # The package's own message tells users to build a library.
        raise ValueError("it is a damaged JPEG XL picture") from error
