"""Finds the pictures in a folder and the names that tables use for them.

Pictures may be at any depth in `images/`, or in the folder itself if there is no `images/`; their names are relative to
it. `unlabeled/`, next to `images/`, may contain more pictures, with names relative to `unlabeled/`.
"""

import dataclasses
import functools
import os
from pathlib import Path

from blur_jax.data import names, picture_files, picture_lists
from blur_jax.data.left_out import LeftOut
from blur_jax.data.picture_files import IMAGES, UNLABELED, Kind
from tfds_builders.problems import Problem, is_unsafe

TABLES = ("pairs.csv", picture_lists.BOXES_FILE, "ranked.csv")


@dataclasses.dataclass
class Layout:
    """The pictures in a folder, {name: path}, sorted by name; problems with duplicate names; warnings about skips."""

    root: Path
    paths: dict[str, Path] = dataclasses.field(default_factory=dict)
    problems: list[Problem] = dataclasses.field(default_factory=list)
    warnings: list[Problem] = dataclasses.field(default_factory=list)

    @functools.cached_property
    def tops(self) -> list[Path]:
        """The folders that names are relative to."""
        return [self.root / IMAGES, self.root / UNLABELED] if (self.root / IMAGES).is_dir() else [self.root]

    @functools.cached_property
    def _known(self) -> names.Known:
        return names.Known(self.paths)

    def find(self, name: str) -> str | None:
        """Returns a picture's name as spelled on disk, or None if the picture is unknown."""
        return self._known.find(name) or self._known.find(self._relative(name))

    def _relative(self, name: str) -> str:
        """Normalizes a name that may begin with the folder path, `images/` or `unlabeled/`."""
        name = names.normalize(name).removeprefix(f"{self.root.absolute().as_posix()}/")
        folders = [f"{top.name}/" for top in self.tops if top != self.root]
        return next((name.removeprefix(folder) for folder in folders if name.startswith(folder)), name)

    def why_not(self, name: str) -> tuple[str, str]:
        """Returns the problem kind and details for a name that `find` does not recognize."""
        relative = self._relative(name)
        if is_unsafe(relative):
            return "unsafe path", repr(name)
        reasons = (picture_files.why_skipped(str(top), relative) for top in self.tops if name)
        reason = next(filter(None, reasons), None)
        if reason is None and self.root not in self.tops and (self.root / relative).is_file():
            reason = f"is neither in {IMAGES}/ nor in {UNLABELED}/; move it there"
        return "unknown picture", f"{name!r} {reason}" if reason else repr(name) + self._known.hint(name)


def read_layout(manual_dir: str | os.PathLike) -> Layout:
    """Finds the pictures in a folder; skips hidden files and folders."""
    layout, paths, left_out, outside = Layout(Path(manual_dir)), {}, LeftOut(), 0
    for reached, kind in picture_files.walk(str(layout.root)):
        path = Path(reached)
        top = next((top for top in layout.tops if path.is_relative_to(top)), None)
        if kind in (Kind.FOLDER, Kind.END):
            continue
        if kind is Kind.OTHER:
            left_out.add_file(reached)
            _check_table_name(layout, path)
        elif why := _why_left_out(path, kind):
            shown = ascii(path.relative_to(layout.root).as_posix())[1:-1]
            layout.warnings.append(Problem("left out", shown, 0, why))
        elif top is None:
            outside += 1
        else:
            _add(layout, paths, path.relative_to(top).as_posix(), path)
    layout.paths = dict(sorted(paths.items()))
    texts = [f"{outside:,} pictures that are neither in {IMAGES}/ nor in {UNLABELED}/"] * (outside > 0)
    layout.warnings += [Problem("left out", ".", 0, text) for text in texts + left_out.sentences()]
    return layout


def _add(layout: Layout, paths: dict[str, Path], name: str, path: Path) -> None:
    if name in paths:
        text = f"{IMAGES}/{name} has the same name"
        layout.problems.append(Problem("ambiguous name", f"{UNLABELED}/{name}", 0, text))
    paths.setdefault(name, path)


def _check_table_name(layout: Layout, path: Path) -> None:
    try:
        picture_lists.check_table_name(str(path), *TABLES)
    except ValueError as error:
        if path.parent == layout.root:
            layout.problems.append(Problem("missing list", path.name.lower(), 0, str(error)))


def _why_left_out(path: Path, kind: Kind) -> str:
    """Returns the reason for skipping a path, or "" if the picture is usable."""
    if kind is Kind.UNREADABLE:
        return "a folder that cannot be opened; its pictures are skipped"
    if not path.exists():
        return "a link to a missing file"
    if kind is Kind.LINK:
        return "a link to a parent folder; its pictures are used under their shorter names"
    return "" if path.name == path.name.encode(errors="ignore").decode() else "its name is not valid UTF-8"
