"""Which pictures a folder holds, and under which names the tables know them.

Pictures lie at any depth in `images/` where there is such a folder, and their names are relative to it; else in the
folder itself. `unlabeled/` may hold more of them: beside `images/` their names are relative to `unlabeled/`.
"""

import dataclasses
import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from tfds_builders.problems import Problem, is_unsafe

IMAGES, UNLABELED = "images", "unlabeled"
# What Pillow reads, HEIC with pillow-heif; files with other endings are no pictures here.
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".heic", ".heif")
_NOT_OURS = ("@eaDir", "__MACOSX")  # Thumbnails that network disks and archives add.


@dataclasses.dataclass
class Layout:
    """The pictures of a folder.

    Attributes:
        root: the folder.
        paths: name -> path, sorted by name.
        problems: names that two pictures share.
        warnings: links that lead out of the folder or to no file, and names that are no text; all are left out.
    """

    root: Path
    paths: dict[str, Path] = dataclasses.field(default_factory=dict)
    problems: list[Problem] = dataclasses.field(default_factory=list)
    warnings: list[Problem] = dataclasses.field(default_factory=list)
    _composed: dict[str, str] = dataclasses.field(default_factory=dict)
    _alike: dict[str, str] = dataclasses.field(default_factory=dict)
    _links: dict[str, tuple[str, str]] = dataclasses.field(default_factory=dict)

    def find(self, name: str) -> str | None:
        """Returns the name of a picture as the disk has it, which may be another Unicode form; None if unknown."""
        return name if name in self.paths else self._composed.get(_compose(name))

    def why_not(self, name: str) -> tuple[str, str]:
        """Returns the kind of problem with a name that `find` does not know, and what was found."""
        if is_unsafe(name):
            return "unsafe path", repr(name)
        if name in self._links:
            kind, why = self._links[name]
            return kind, f"{name!r} is {why}"
        if any(os.path.isfile(folder / name) for folder in _tops(self.root)):
            return "unknown picture", f"{name!r} has not the ending of a picture ({', '.join(SUFFIXES)})"
        alike = self._alike.get(name.casefold()) or self._alike.get(_base(name))
        return "unknown picture", repr(name) + (f"; is it {alike!r}?" if alike else "")


def read_layout(manual_dir: str | os.PathLike) -> Layout:
    """Finds the pictures of a folder; hidden files and folders are left out."""
    layout, found = Layout(Path(manual_dir)), {}
    for top in _tops(layout.root):
        for name, path in _walk(layout, top):
            if name in found:
                also = f"{IMAGES}/{name} has the same name"
                layout.problems.append(Problem("ambiguous name", f"{UNLABELED}/{name}", 0, also))
            found.setdefault(name, path)
    layout.paths = dict(sorted(found.items()))
    for name in layout.paths:
        layout._composed.setdefault(_compose(name), name)
        for key in (name.casefold(), _base(name)):
            layout._alike.setdefault(key, name)
    return layout


def _tops(root: Path) -> list[Path]:
    """The folders that names are relative to."""
    return [root / IMAGES, root / UNLABELED] if (root / IMAGES).is_dir() else [root]


def _is_text(name: str) -> bool:
    try:
        return bool(name.encode())
    except UnicodeEncodeError:  # Bytes that the disk holds and no encoding.
        return False


def _compose(name: str) -> str:
    return unicodedata.normalize("NFC", name)  # macOS may store an accent as a character of its own.


def _base(name: str) -> str:
    return name.rpartition("/")[2].casefold()


def _bad_link(path: Path, inside: Path) -> tuple[str, str] | None:
    """Returns the kind of problem with a link to a picture, and what it is; None where it is good."""
    if not Path(os.path.realpath(path)).is_relative_to(inside):
        return "unsafe path", "a link that leads out of the folder"
    return None if os.path.exists(path) else ("unknown picture", "a link that leads to no file")


def _walk(layout: Layout, top: Path) -> Iterator[tuple[str, Path]]:
    """Yields (name, path) of the pictures below a folder, which itself may be a link."""
    inside = Path(os.path.realpath(top))
    for folder, subfolders, files in os.walk(top):
        subfolders[:] = [name for name in subfolders if not name.startswith(".") and name not in _NOT_OURS]
        linked = [name for name in subfolders if os.path.islink(os.path.join(folder, name))]
        for file in sorted(files) + linked:
            path = Path(folder, file)
            name, why = path.relative_to(top).as_posix(), ""
            if file in linked:
                why = "a link to a folder; the pictures in it are left out"
            elif file.startswith(".") or path.suffix.lower() not in SUFFIXES:
                continue
            elif path.is_symlink() and (bad := _bad_link(path, inside)):
                layout._links[name], why = bad, bad[1]
            elif not _is_text(name):
                why = "its name is not text in UTF-8"
            if why:
                shown = ascii(path.relative_to(layout.root).as_posix())[1:-1]
                layout.warnings.append(Problem("left out", shown, 0, why))
            else:
                yield name, path
