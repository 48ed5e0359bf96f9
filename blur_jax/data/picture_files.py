"""Decides which files are pictures and walks folders, for training and scoring."""

import contextlib
import enum
import os
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

# `picture_formats` names the packages that HEIC, JPEG XL and camera raw need.
ENDINGS = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".tif", ".tiff",
    ".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".avif", ".heic", ".heif",
    ".jxl", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf",
)  # fmt: skip
# The picture folders of a training set; the names in its tables do not include them.
IMAGES, UNLABELED = "images", "unlabeled"
_THUMBNAILS = ("@eaDir", "__MACOSX")  # Folders that network disks and archives add.


class Kind(enum.Enum):
    """The kinds of `Entry`."""

    PICTURE = "a file or folder with a picture extension"
    FOLDER = "a folder, before its contents"
    END = "a folder, after its contents"
    LINK = "a link to a folder that is not followed"
    UNREADABLE = "a folder that cannot be opened"


class Entry(NamedTuple):
    """An item that `walk` yields; the path begins with the walked folder, unless that is "."."""

    path: str
    kind: Kind


def is_picture(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in ENDINGS


def compose(name: str) -> str:
    """Normalizes the Unicode of a name for comparisons; macOS may store an accent as a separate character."""
    return unicodedata.normalize("NFC", name)


def walk(folder: str, *, follow_links: bool = True, _above: tuple[tuple[int, int], ...] = ()) -> Iterator[Entry]:
    """Yields a folder's pictures and folders at any depth, sorted by name within each folder; skips hidden ones.

    Links to a parent folder are never followed. Only one branch's names are held in memory.
    """
    try:
        status = os.stat(folder)
        names, folders = _names(folder)
    except OSError:
        yield Entry(folder, Kind.UNREADABLE)
        return
    here = (status.st_dev, status.st_ino)
    if here in _above:
        return
    yield Entry(folder, Kind.FOLDER)
    for name in names:
        path = name if folder == os.curdir else os.path.join(folder, name)
        if is_picture(name):
            yield Entry(path, Kind.PICTURE)
        elif name in folders and not follow_links and os.path.islink(path):
            yield Entry(path, Kind.LINK)
        elif name in folders:
            yield from walk(path, follow_links=follow_links, _above=(*_above, here))
    yield Entry(folder, Kind.END)


def _names(folder: str) -> tuple[list[str], set[str]]:
    """Returns the sorted names of pictures and folders, and the names of folders."""
    names, folders = [], set()
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.name in _THUMBNAILS:
                continue
            with contextlib.suppress(OSError):  # A link to itself.
                if entry.is_dir():
                    folders.add(entry.name)
            if entry.name in folders or is_picture(entry.name):
                names.append(entry.name)
    return sorted(names), folders
