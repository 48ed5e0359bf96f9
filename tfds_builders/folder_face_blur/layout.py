"""Finds the pictures of a folder and the names that tables use for them.

Pictures are in `images/`, or in the folder itself if `images/` is missing, at any depth, and their names are relative
to it. `unlabeled/` next to `images/` may contain more pictures, with names relative to `unlabeled/`.
"""

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

from blur_jax.data import picture_files
from blur_jax.data.picture_files import IMAGES, UNLABELED, Kind
from tfds_builders.problems import Problem, is_unsafe


@dataclasses.dataclass
class Layout:
    """The pictures in a folder, {name: path}, sorted by name; problems with shared names; warnings about skips."""

    root: Path
    paths: dict[str, Path] = dataclasses.field(default_factory=dict)
    problems: list[Problem] = dataclasses.field(default_factory=list)
    warnings: list[Problem] = dataclasses.field(default_factory=list)
    _composed: dict[str, str] = dataclasses.field(default_factory=dict)
    _similar: dict[str, str] = dataclasses.field(default_factory=dict)
    _links: dict[str, tuple[str, str]] = dataclasses.field(default_factory=dict)

    def find(self, name: str) -> str | None:
        """Returns a picture's name in the disk's Unicode form, or None if the picture is unknown."""
        return name if name in self.paths else self._composed.get(picture_files.compose(name))

    def why_not(self, name: str) -> tuple[str, str]:
        """Returns the kind and details of the problem with a name that `find` does not know."""
        if is_unsafe(name):
            return "unsafe path", repr(name)
        if name in self._links:
            kind, why = self._links[name]
            return kind, f"{name!r} is {why}"
        if any(os.path.isfile(folder / name) for folder in _tops(self.root)):
            endings = ", ".join(picture_files.ENDINGS)
            return "unknown picture", f"{name!r} does not have a picture file extension ({endings})"
        similar = self._similar.get(name.casefold()) or self._similar.get(_base(name))
        return "unknown picture", repr(name) + (f"; did you mean {similar!r}?" if similar else "")


def read_layout(manual_dir: str | os.PathLike) -> Layout:
    """Finds the pictures in a folder; skips hidden files and folders."""
    layout, paths = Layout(Path(manual_dir)), {}
    for top in filter(Path.is_dir, _tops(layout.root)):
        for name, path in _walk(layout, top):
            if name in paths:
                text = f"{IMAGES}/{name} has the same name"
                layout.problems.append(Problem("ambiguous name", f"{UNLABELED}/{name}", 0, text))
            paths.setdefault(name, path)
    layout.paths = dict(sorted(paths.items()))
    for name in layout.paths:
        layout._composed.setdefault(picture_files.compose(name), name)
        for key in (name.casefold(), _base(name)):
            layout._similar.setdefault(key, name)
    return layout


def _tops(root: Path) -> list[Path]:
    """Returns the folders that names are relative to."""
    return [root / IMAGES, root / UNLABELED] if (root / IMAGES).is_dir() else [root]


def _base(name: str) -> str:
    return name.rpartition("/")[2].casefold()


def _why_left_out(layout: Layout, path: Path, name: str, kind: Kind, inside: Path) -> str:
    """Returns why a path is skipped, or "" for a picture to use."""
    if kind is Kind.LINK:
        return "a link to a folder; the pictures in it are skipped"
    if kind is Kind.UNREADABLE:
        return "a folder that cannot be opened; the pictures in it are skipped"
    if path.is_symlink():
        if not Path(os.path.realpath(path)).is_relative_to(inside):
            layout._links[name] = "unsafe path", "a link that points outside the folder"
        elif not path.exists():
            layout._links[name] = "unknown picture", "a link to a missing file"
        if name in layout._links:
            return layout._links[name][1]
    return "" if name == name.encode(errors="ignore").decode() else "its name is not valid UTF-8"


def _walk(layout: Layout, top: Path) -> Iterator[tuple[str, Path]]:
    """Yields (name, path) for each picture below a folder, which may itself be a link."""
    inside = Path(os.path.realpath(top))
    for reached, kind in picture_files.walk(str(top), follow_links=False):
        if kind in (Kind.FOLDER, Kind.END):
            continue
        path = Path(reached)
        name = path.relative_to(top).as_posix()
        if why := _why_left_out(layout, path, name, kind, inside):
            shown = ascii(path.relative_to(layout.root).as_posix())[1:-1]
            layout.warnings.append(Problem("left out", shown, 0, why))
        else:
            yield name, path
