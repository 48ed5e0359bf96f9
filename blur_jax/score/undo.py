"""Undoes the sorting of pictures: python -m blur_jax.score.undo DIR."""

import argparse
import os
import sys
from collections.abc import Sequence

from tqdm import tqdm

from blur_jax.data import moves
from blur_jax.runs import command_line
from blur_jax.score import sort_log
from blur_jax.score.sort_log import COPY, LINK, MOVE, Log

_DESCRIPTION = f"""\
Undoes what --copy-to or --move-to of python -m blur_jax.score did: moves the pictures back, or removes the copies or
links. DIR is the folder that contains keep, discard and {sort_log.NAME}. Nothing is overwritten, and a copy is removed
only if the original still has the same content. After an interruption, run the same command again. Exit status: 0 all
undone, 1 some pictures were left in DIR, 2 invalid usage. See docs/scoring.md."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m blur_jax.score.undo", description=_DESCRIPTION)
    parser.add_argument("folder", metavar="DIR", help="a folder of sorted pictures")
    return command_line.run(parser, _undo, argv)


def _undo(arguments: argparse.Namespace) -> int:
    folder = os.path.abspath(arguments.folder)
    shown = folder.encode(errors="backslashreplace").decode()  # Lone surrogates cannot be printed.
    if not sort_log.exists(folder):
        sort_log.remove_remains(folder)
        print(f"{shown}: nothing to undo (it has no {sort_log.NAME})")
        return 0
    with sort_log.load(folder) as log:
        left, gone = put_back(log)
        done = len(log.pictures) - len(left) - gone
    deleted = f", {gone:,} deleted since" * (gone > 0)
    print(f"{shown}: {done:,} undone{deleted}, {len(left):,} left there")
    for reason in left:
        print(f"left there: {reason}; then run the same command again")
    return int(bool(left))


def put_back(log: Log) -> tuple[list[str], int]:
    """Undoes a sort, and removes the log unless pictures are left in the sorted folder.

    Returns why pictures are left, and the number of moved pictures that have been deleted since.
    """
    if log.state != sort_log.UNDOING:
        log.mark(sort_log.UNDOING)
    left, gone = [], 0
    for source, target in tqdm(log.paths(), desc="undoing", total=len(log.pictures), unit="picture", disable=None):
        for path in (source, target):
            moves.discard(log.temporary(path))  # A killed command may have left it.
        if not os.path.lexists(target):
            gone += log.header.action == MOVE and not os.path.lexists(source)
        elif reason := _put_back(log, source, target):
            left.append(reason)
    if not left:
        for folder in reversed(log.header.folders):  # Children come first.
            _remove_if_empty(os.path.join(log.folder, folder))
        log.remove()
    return left, gone


def _put_back(log: Log, source: str, target: str) -> str | None:
    """Undoes one picture, or returns the reason why it is left."""
    action = log.header.action
    if action == LINK:
        if not os.path.islink(target) or os.readlink(target) != source:
            return f"{target!r} is no longer a link to {source!r}; remove it yourself"
        os.unlink(target)
    elif os.path.islink(target) or not os.path.isfile(target):
        return f"{target!r} is no longer a file; remove it yourself"
    elif os.path.lexists(source):
        if not moves.remove_duplicate(target, source):
            return f"{target!r} differs from {source!r}, which exists; move one of them away"
    elif action == COPY:
        return f"{target!r} is the only copy, since {source!r} is gone; move it away yourself"
    else:
        os.makedirs(os.path.dirname(source), exist_ok=True)
        moves.move(target, source, log.temporary(source))
    return None


def _remove_if_empty(folder: str) -> None:
    if os.path.isdir(folder) and not os.listdir(folder):
        os.rmdir(folder)


if __name__ == "__main__":
    sys.exit(main())
