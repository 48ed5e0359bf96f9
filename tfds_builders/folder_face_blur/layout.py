"""Reports the pictures in a folder that a data set cannot use, and names that none of its pictures has."""

import os
from pathlib import Path

from blur_jax.data import names, picture_files, picture_lists
from blur_jax.data.left_out import LeftOut
from blur_jax.data.picture_files import IMAGES, UNLABELED
from blur_jax.data.picture_folder import PictureFolder
from tfds_builders.problems import Problem, is_unsafe

TABLES = ("pairs.csv", picture_lists.BOXES_FILE, "ranked.csv", "attributes.csv")


class Layout:
    """The pictures in a folder, {name: path}, sorted by name; problems with duplicate names; warnings about skips."""

    def __init__(self, pictures: PictureFolder) -> None:
        self._pictures, self.root, self.find = pictures, Path(pictures.folder), pictures.find
        self.paths = {name: Path(path) for name, path in pictures.paths.items() if names.is_utf_8(name)}
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []

    def why_not(self, name: str) -> tuple[str, str]:
        """Returns the problem kind and details for a name that `find` does not recognize."""
        relative, tops = self._pictures.relative(name), self._pictures.tops
        if is_unsafe(relative):
            return "unsafe path", repr(name)
        reasons = (picture_files.why_skipped(top, relative) for top in tops if name)
        reason = next(filter(None, reasons), None)
        if reason is None and len(tops) > 1 and (self.root / relative).is_file():
            reason = f"is neither in {IMAGES}/ nor in {UNLABELED}/; move it there"
        return "unknown picture", f"{name!r} {reason}" if reason else repr(name) + self._pictures.known.hint(name)


def read_layout(manual_dir: str | os.PathLike) -> Layout:
    """Finds the pictures in a folder; skips hidden files and folders."""
    pictures, left_out = PictureFolder(manual_dir), LeftOut()
    layout = Layout(pictures)
    for name in pictures.repeated:
        text = f"{IMAGES}/{name} has the same name"
        layout.problems.append(Problem("ambiguous name", f"{UNLABELED}/{name}", 0, text))
    unnamed = {path: "its name is not valid UTF-8" for name, path in pictures.paths.items() if name not in layout.paths}
    for path, why in (pictures.unusable | unnamed).items():
        shown = ascii(Path(path).relative_to(layout.root).as_posix())[1:-1]
        layout.warnings.append(Problem("left out", shown, 0, why))
    for path in pictures.others:
        left_out.add_file(path)
        _check_table_name(layout, Path(path))
    outside = f"{pictures.outside:,} pictures that are neither in {IMAGES}/ nor in {UNLABELED}/"
    texts = [outside] * (pictures.outside > 0) + left_out.sentences()
    layout.warnings += [Problem("left out", ".", 0, text) for text in texts]
    return layout


def _check_table_name(layout: Layout, path: Path) -> None:
    try:
        picture_lists.check_table_name(str(path), *TABLES)
    except ValueError as error:
        if path.parent == layout.root:
            layout.problems.append(Problem("missing list", path.name.lower(), 0, str(error)))
