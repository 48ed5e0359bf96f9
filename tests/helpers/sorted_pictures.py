"""Tables of scores, small files to sort, and what is where; without JAX."""

import csv
import os

from blur_jax.score import sort_log, undo
from blur_jax.score.sorting import Sort

MOMENT = 1_600_000_000_123_456_789  # Nanoseconds: a time of modification that no copy has by itself.


def write(path, content, moment=MOMENT):
    """Writes a file with a time of modification."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)
    os.utime(path, ns=(moment, moment))


def table(path, rows):
    """Writes a table; `rows` are (name, keep), where an empty `keep` means that there is no score."""
    with open(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(("name", "status", "blur", "keep"))
        for name, keep in rows:
            writer.writerow((name, "ok" if keep else "failed", {"keep": 0.1, "discard": 0.9}.get(keep, ""), keep))
    return path


def sort(folder, action=sort_log.MOVE, rows="scores.csv", paths=("photos",)):
    """Sorts as the command does; returns what it prints."""
    return Sort(str(folder), action, paths).run(str(rows))


def put_back(folder):
    with sort_log.load(os.path.abspath(folder)) as log:
        return undo.put_back(log)


def tree(folder):
    """{path: its content, mode and time of modification, the text of a link, or None for a folder}."""
    found = {}
    for parent, folders, names in os.walk(folder):
        found |= {os.path.relpath(os.path.join(parent, name), folder): None for name in folders}
        for path in (os.path.join(parent, name) for name in [*names, *folders]):
            if os.path.islink(path):
                found[os.path.relpath(path, folder)] = os.readlink(path)
            elif os.path.isfile(path):
                status = os.stat(path)
                with open(path, "rb") as file:
                    found[os.path.relpath(path, folder)] = (file.read(), status.st_mode, status.st_mtime_ns)
    return found
