"""Decides which of the folders keep and discard each scored picture goes to, and under which path."""

import functools
import glob
import os
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from blur_jax.score.inputs import STANDARD_INPUT
from blur_jax.score.results import KEEP, Result
from blur_jax.score.sort_log import Picture


class Plan(NamedTuple):
    """Pictures to sort, their common folder as an absolute path, and the number of pictures without a score."""

    root: str
    pictures: list[Picture]
    unscored: int


def plan(rows: Iterable[Result], paths: Sequence[str]) -> Plan:
    """Decides where each picture goes, once, even if it has several rows or is reached through a linked folder.

    A picture is kept if any of its faces is kept. Its path is relative to the folder that contains all pictures and all
    of `paths`, the command's arguments, so pictures of the same name in different folders keep their folders.
    """
    labels: dict[tuple[str, str], str | None] = {}
    places: dict[tuple[str, str], str] = {}
    real_folder = functools.cache(os.path.realpath)
    for row in rows:
        name = os.path.basename(row.name)
        entry = real_folder(os.path.dirname(row.name)), name
        if entry not in places:
            folder = os.path.dirname(os.path.abspath(row.name))
            # Below a linked folder, ".." leads elsewhere than its text says.
            places[entry] = os.path.join(folder if real_folder(folder) == entry[0] else entry[0], name)
        labels[entry] = KEEP if KEEP in (labels.get(entry), row.keep) else labels.get(entry) or row.keep
    scored = [(label, places[entry]) for entry, label in labels.items() if label]
    folders = {os.path.dirname(place) for _, place in scored}
    folders |= {os.path.abspath(folder) for folder in map(folder_of, paths) if folder}
    root = os.path.commonpath(folders or [os.getcwd()])
    pictures = [Picture(label, os.path.relpath(place, root)) for label, place in scored]
    return Plan(root, pictures, len(places) - len(pictures))


def folder_of(path: str) -> str | None:
    """Returns the folder of a command's argument: itself, or that of a file, a list or the pictures of a glob."""
    if path == STANDARD_INPUT:
        return None
    if os.path.isdir(path):
        return path
    searched = is_glob(path)
    path = os.path.dirname(path)
    while searched and glob.has_magic(path):
        path = os.path.dirname(path)
    return path or os.curdir


def is_glob(path: str) -> bool:
    return glob.has_magic(path) and not os.path.lexists(path)
