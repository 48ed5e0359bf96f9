"""Sorts scored pictures into the folders keep and discard, and continues after an interruption.

Neither this module nor `undo` imports JAX. `sort_plan` decides what goes where; `sort_log` lists it on disk.
"""

import contextlib
import os
import secrets
import shlex
import tempfile
import unicodedata
from collections.abc import Iterable, Sequence

from tqdm import tqdm

from blur_jax.data import contents, moves
from blur_jax.score import results, sort_log, sort_plan
from blur_jax.score.inputs import Input, Inputs
from blur_jax.score.results import DISCARD, KEEP
from blur_jax.score.sort_log import COPY, LINK, MOVE, Header, Log, Picture


def from_flags(copy_to: str | None, move_to: str | None, links: bool, pictures: Inputs) -> "Sort | None":
    """Returns what the scoring command's flags ask for; raises ValueError if it cannot be done."""
    if links and copy_to is None:
        raise ValueError("--links needs --copy-to=DIR, where the links will be")
    paths = pictures.identity()["inputs"]
    if copy_to is not None:
        return Sort(copy_to, LINK if links else COPY, paths)
    return None if move_to is None else Sort(move_to, MOVE, paths)


class Sort:
    """A command's order to sort the pictures of a table."""

    def __init__(self, folder: str, action: str, paths: Sequence[str]) -> None:
        """Checks what can be checked before the pictures are scored.

        Args:
            folder: where keep and discard will be; its parent must exist.
            action: `sort_log.COPY`, `LINK` or `MOVE`.
            paths: the command's arguments: pictures, folders, globs, lists or "-".

        Raises ValueError if the folder cannot be used.
        """
        self.folder, self._action, self._paths = os.path.abspath(folder), action, paths
        parent = os.path.dirname(self.folder)
        if os.path.lexists(self.folder) and not os.path.isdir(self.folder):
            raise ValueError(f"{folder} is not a folder; choose a different name")
        if not os.path.isdir(parent):
            raise ValueError(f"{folder}: the folder {parent} does not exist; create it")
        if sort_log.exists(self.folder):
            return  # The same command may have removed what its arguments led to.
        for path in paths:
            if (os.path.isdir(path) or sort_plan.is_glob(path)) and _is_in(self.folder, sort_plan.folder_of(path)):
                raise ValueError(
                    f"{folder} is inside {path}, so the next command would score the sorted pictures, too; choose a"
                    " folder outside it"
                )

    def begun(self, table: str, pictures: Iterable[Input], *, overwrite: bool) -> bool:
        """Returns whether an earlier command has begun to sort the pictures of this table.

        Args:
            table: the path of the table; it need not exist.
            pictures: the pictures that the command finds now.
            overwrite: whether the command would score again.

        Raises ValueError if the folder has pictures of another table or action, if they are being put back, or if
        there are pictures that the table lacks.
        """
        if not sort_log.exists(self.folder):
            return False
        self._resume(table).close()
        if overwrite:
            raise ValueError(f"{self.folder} contains the sorted pictures; before you score again, run {self._undo}")
        if unknown := _first_unknown(pictures, {row.name for row in results.read(table)}):
            raise ValueError(
                f"{unknown!r} is not in {table}, whose pictures have been sorted into {self.folder}; use a"
                " different --output and a different folder for new pictures"
            )
        return True

    def run(self, table: str) -> str:
        """Sorts the pictures of a complete table, or those that an interrupted command left; returns a summary.

        Raises:
            ValueError: something is in the way; nothing has been sorted.
            OSError: a picture cannot be sorted; after the cause is removed, another call continues.
        """
        with self._resume(table) if sort_log.exists(self.folder) else self._start(table) as log:
            lost = 0
            if log.state != sort_log.SORTED:
                lost = carry_out(log)
                log.mark(sort_log.SORTED)
            return self._sentence(log, lost)

    def _resume(self, table: str) -> Log:
        """Opens the log; raises ValueError if it is not that of this command."""
        log = sort_log.load(self.folder)
        same = log.header.action == self._action and log.header.table == contents.content(table)
        if same and log.state != sort_log.UNDOING:
            return log
        log.close()
        if same:
            raise ValueError(f"{self.folder} is being undone; finish that first: {self._undo}")
        raise ValueError(
            f"{self.folder} contains pictures that a different command has sorted. Undo that ({self._undo}), sort"
            f" into a different folder, or delete {sort_log.NAME} there to leave them sorted for good"
        )

    def _start(self, table: str) -> Log:
        plan = sort_plan.plan(results.read(table), self._paths)
        pictures = list(plan.pictures)
        if self._action == MOVE:
            pictures = [picture for picture in pictures if not os.path.islink(os.path.join(plan.root, picture.path))]
        self._check(plan.root, pictures)
        header = Header(
            action=self._action,
            root=plan.root,
            table=contents.content(table) or "",
            created=not os.path.isdir(self.folder),
            folders=self._new_folders(pictures),
            temporary=f".blur_jax-{secrets.token_hex(8)}.tmp",
            pictures=len(pictures),
            unscored=plan.unscored,
            links=len(plan.pictures) - len(pictures),
        )
        return sort_log.create(self.folder, header, pictures)

    def _check(self, root: str, pictures: Sequence[Picture]) -> None:
        """Raises ValueError if a picture is not a file or cannot be moved, or its new name is taken."""
        for folder in sorted({os.path.dirname(os.path.join(root, picture.path)) for picture in pictures}):
            if any(_is_in(folder, os.path.join(self.folder, label)) for label in (KEEP, DISCARD)):
                raise ValueError(f"{folder} is inside {self.folder}; choose a different folder for the sorted pictures")
            if self._action == MOVE and not os.access(folder, os.W_OK | os.X_OK):
                raise ValueError(f"{folder} is read-only, so its pictures cannot be moved; copy them, or change that")
        spelled: dict[tuple[str, str], str] = {}
        for label, path in pictures:
            source, target = os.path.join(root, path), os.path.join(self.folder, label, path)
            if not os.path.isfile(source):
                raise ValueError(f"{source!r} is missing, or is not a file; score the pictures again")
            if os.path.lexists(target):
                raise ValueError(f"{target!r} already exists; choose a different folder")
            other = spelled.setdefault((label, unicodedata.normalize("NFC", path).casefold()), path)
            if other != path and _merges_spellings(self.folder):
                raise ValueError(
                    f"{path!r} and {other!r} are the same name on the disk of {self.folder}; rename one"
                    " of them and score again, or choose a folder on a different disk"
                )

    def _new_folders(self, pictures: Sequence[Picture]) -> list[str]:
        folders = {os.path.join(label, os.path.dirname(path)).rstrip(os.sep) for label, path in pictures}
        for folder in list(folders):
            while folder := os.path.dirname(folder):
                folders.add(folder)
        return sorted(folder for folder in folders if not os.path.lexists(os.path.join(self.folder, folder)))

    @property
    def _undo(self) -> str:
        return f"python -m blur_jax.score.undo {shlex.quote(self.folder)}"

    def _sentence(self, log: Log, lost: int) -> str:
        header = log.header
        kept = sum(picture.label == KEEP for picture in log.pictures)
        parts = [f"{kept:,} in {KEEP}, {header.pictures - kept:,} in {DISCARD}"]
        others = {"without a score": header.unscored, "behind symbolic links": header.links, "missing": lost}
        if any(others.values()):
            parts.append("not sorted: " + ", ".join(f"{count:,} {why}" for why, count in others.items() if count))
        sentence = f"{self.folder}: {'; '.join(parts)}. To undo: {self._undo}"
        return sentence.encode(errors="backslashreplace").decode()  # Lone surrogates cannot be printed.


def carry_out(log: Log) -> int:
    """Sorts the pictures of a log that are not sorted yet; returns the number of those that no longer exist."""
    lost = 0
    paths = tqdm(log.paths(), desc="sorting", total=len(log.pictures), unit="picture", disable=None)
    for source, target in paths:
        moves.discard(log.temporary(target))  # A killed command may have left it.
        if os.path.lexists(target):
            if not _is_sorted(log.header.action, source, target):
                raise FileExistsError(
                    f"{target!r} is not the picture {source!r}; move it away, and run the command again"
                )
        elif not os.path.lexists(source):
            lost += 1
        else:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            _sort(log.header.action, source, target, log.temporary(target))
    return lost


def _sort(action: str, source: str, target: str, temporary: str) -> None:
    if action == COPY:
        moves.copy(source, target, temporary)
    elif action == LINK:
        os.symlink(source, target)
    else:
        moves.move(source, target, temporary)


def _is_sorted(action: str, source: str, target: str) -> bool:
    """Returns whether `target` is the sorted picture; finishes a move that a kill has left with both names."""
    if action == LINK:
        return os.path.islink(target) and os.readlink(target) == source
    if not os.path.lexists(source):
        return True
    return moves.same_content(source, target) if action == COPY else moves.remove_duplicate(source, target)


def _first_unknown(pictures: Iterable[Input], known: set[str]) -> str | None:
    with contextlib.suppress(ValueError):  # No pictures are left.
        return next((name for name, _ in pictures if name not in known and os.path.lexists(name)), None)
    return None


def _is_in(path: str, folder: str | None) -> bool:
    """Returns whether a path is a folder or would be below it, wherever links lead."""
    path, folder = os.path.realpath(path), os.path.realpath(folder or os.curdir)
    return os.path.commonpath([path, folder]) == folder


def _merges_spellings(folder: str) -> bool:
    """Returns whether a folder, or if it does not exist its parent, ignores case or Unicode forms in names."""
    folder = folder if os.path.isdir(folder) else os.path.dirname(folder)
    with tempfile.NamedTemporaryFile(prefix="blur_jax_\u00e9_", dir=folder) as file:
        name = os.path.basename(file.name)
        spellings = (name.upper(), unicodedata.normalize("NFD", name))
        return any(os.path.lexists(os.path.join(folder, spelling)) for spelling in spellings)
