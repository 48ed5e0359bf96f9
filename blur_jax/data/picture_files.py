"""Walks folders and decides which files are pictures, for both training and scoring."""

import contextlib
import enum
import os
from collections.abc import Iterator
from typing import NamedTuple

# HEIC, JPEG XL and camera raw need extra packages; see `picture_formats`.
ENDINGS = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".tif", ".tiff",
    ".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".avif", ".heic", ".heif",
    ".jxl", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf",
)  # fmt: skip
# The picture folders of a training set; the names in its tables do not include them.
IMAGES, UNLABELED = "images", "unlabeled"
_THUMBNAILS = ("@eaDir", "__MACOSX")  # Folders added by network disks and archives.


class Kind(enum.Enum):
    """The kinds of `Entry`."""

    PICTURE = "a file or folder with a picture extension"
    FOLDER = "a folder, before its contents"
    END = "a folder, after its contents"
    OTHER = "a file without a picture extension"
    LINK = "a link that is not followed, because it is broken or leads back to a folder above it"
    UNREADABLE = "a folder that cannot be opened"


class Entry(NamedTuple):
    """An item that `walk` yields; the path begins with the walked folder, unless that is "."."""

    path: str
    kind: Kind


def is_picture(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in ENDINGS


def is_hidden(name: str) -> bool:
    """Returns whether `walk` silently skips files and folders with this name."""
    return name.startswith(".") or name in _THUMBNAILS


def walk(folder: str, *, _above: tuple[tuple[int, int], ...] = ()) -> Iterator[Entry]:
    """Yields a folder's files and folders at any depth, sorted by name within each folder; skips hidden ones.

    Links to folders are followed, unless they lead back to a folder above them. Only one branch's names are held in
    memory.
    """
    try:
        here = _identity(folder)
        names, folders = _names(folder)
    except OSError:
        yield Entry(folder, Kind.UNREADABLE)
        return
    if here in _above:
        yield Entry(folder, Kind.LINK)
        return
    yield Entry(folder, Kind.FOLDER)
    for name in names:
        path = name if folder == os.curdir else os.path.join(folder, name)
        if is_picture(name):
            yield Entry(path, Kind.PICTURE)
        elif name in folders:
            yield from walk(path, _above=(*_above, here))
        else:
            yield Entry(path, Kind.OTHER if os.path.exists(path) else Kind.LINK)
    yield Entry(folder, Kind.END)


def why_skipped(folder: str, name: str) -> str | None:
    """Returns why `walk(folder)` does not yield the file `name`, or None if it does or the file does not exist."""
    path, above = folder, []
    for part in name.split("/"):
        parent, path = path, os.path.join(path, part)
        if not os.path.lexists(path):
            return None
        above.append(_identity(parent))
        shown = os.path.relpath(path, folder)
        if is_hidden(part):
            return f"is skipped because {shown!r} is hidden; rename it"
        if not os.path.exists(path):
            return "is a link to a missing file"
        if os.path.isdir(path) and _identity(path) in above:
            return f"is skipped because {shown!r} is a link to a folder above it; use the path without the link"
        if os.path.isdir(path) and is_picture(part) and path != os.path.join(folder, name):
            return f"is skipped because the folder {shown!r} has a picture extension; rename the folder"
    if os.path.isdir(path):
        return "is a folder, not a picture"
    if not is_picture(part):
        return f"does not have a picture extension ({', '.join(ENDINGS)})"
    return None


def _identity(folder: str) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def _names(folder: str) -> tuple[list[str], set[str]]:
    """Returns the sorted names of all items that are not hidden, and the names of the folders among them."""
    names, folders = [], set()
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_hidden(entry.name):
                continue
            names.append(entry.name)
            with contextlib.suppress(OSError):  # A link to itself.
                if entry.is_dir():
                    folders.add(entry.name)
    return sorted(names), folders
