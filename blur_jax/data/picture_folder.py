"""Finds the pictures in a folder and the names that its tables use for them.

Pictures may be at any depth in `images/`, or in the folder itself if there is no `images/`; their names are relative to
it. `unlabeled/`, next to `images/`, may contain more pictures, with names relative to `unlabeled/`.
"""

import os

from blur_jax.data import names, picture_files
from blur_jax.data.picture_files import IMAGES, UNLABELED, Kind


def check(folder: str) -> None:
    """Raises ValueError if `folder` is not a folder."""
    if not os.path.isdir(folder):
        raise ValueError(f"{folder} is not a folder; pass a folder of pictures{names.hint(folder)}")


class PictureFolder:
    """The pictures in a folder; hidden files and folders are skipped.

    Attributes:
        folder: the folder's path.
        tops: the paths of the folders that names are relative to, each with a slash at its end.
        paths: {name: path}, sorted by name; a name may contain bytes that are not UTF-8 (surrogateescape).
        known: the names.
        repeated: names of pictures in `unlabeled/` that are not used, because `images/` has the same name.
        outside: the number of pictures that are neither in `images/` nor in `unlabeled/`.
        unusable: {path: the reason that it is not used}.
        others: paths of files that are not pictures.
    """

    def __init__(self, folder: str | os.PathLike) -> None:
        """Finds the pictures, without reading them."""
        self.folder = os.fspath(folder)
        root = os.path.join(self.folder, "")
        has_images = os.path.isdir(root + IMAGES)
        self.tops = [os.path.join(root, top, "") for top in (IMAGES, UNLABELED)] if has_images else [root]
        self.paths: dict[str, str] = {}
        self.repeated: list[str] = []
        self.outside = 0
        self.unusable: dict[str, str] = {}
        self.others: list[str] = []
        for path, kind in picture_files.walk(root):
            if kind is Kind.OTHER:
                self.others.append(path)
            elif kind not in (Kind.FOLDER, Kind.END):
                self._add(path, kind)
        self.paths = dict(sorted(self.paths.items()))
        self.known = names.Known(self.paths)

    def _add(self, path: str, kind: Kind) -> None:
        top = next(filter(path.startswith, self.tops), None)
        if why := _why_unusable(path, kind):
            self.unusable[path] = why
        elif top is None:
            self.outside += 1
        elif (name := path.removeprefix(top).replace(os.sep, "/")) in self.paths:
            self.repeated.append(name)
        else:
            self.paths[name] = path

    def find(self, name: str) -> str | None:
        """Returns a picture's name as spelled on disk, or None if the picture is unknown."""
        return self.known.find(name) or self.known.find(self.relative(name))

    def relative(self, name: str) -> str:
        """Normalizes a name that may begin with the folder's path, `images/` or `unlabeled/`."""
        name = names.normalize(name).removeprefix(f"{names.normalize(os.path.abspath(self.folder))}/")
        tops = (f"{top}/" for top in (IMAGES, UNLABELED) if len(self.tops) > 1)
        return next((name.removeprefix(top) for top in tops if name.startswith(top)), name)


def _why_unusable(path: str, kind: Kind) -> str:
    """Returns the reason for skipping a path, or "" if it may be a picture."""
    if kind is Kind.UNREADABLE:
        return "a folder that cannot be opened; its pictures are skipped"
    if not os.path.exists(path):
        return "a link to a missing file"
    if kind is Kind.LINK:
        return "a link to a parent folder; its pictures are used under their shorter names"
    return "a folder with a picture extension; rename it to use its pictures" if os.path.isdir(path) else ""
