"""The programs that JAX has compiled, kept in the user's cache folder.

A command calls `keep_programs` before it compiles anything, and the next one loads what this one compiled. A library
has no business there, so importing one, and calling it, does not.
"""

import contextlib
import os
import re
import stat
import sys
import warnings
from typing import TextIO

import jax

from blur_jax.data import user_cache

_MOST_BYTES = 2**30  # Of compiled programs; those of a run take about one MiB.
_TROUBLE = r"Error (reading|writing) persistent compilation cache entry for '([^']*)'"


def keep_programs() -> None:
    """Lets JAX keep what it compiles, unless JAX_COMPILATION_CACHE_DIR or JAX_ENABLE_COMPILATION_CACHE say otherwise.

    Where that cannot be, a line on standard error says why, and nothing else changes.
    """
    if jax.config.jax_compilation_cache_dir is not None or not jax.config.jax_enable_compilation_cache:
        return
    path = os.path.join(user_cache.folder(), "compiled")
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        _check(path)
        _prune(path)
    except OSError as error:
        print(
            f"compiled programs are not kept ({error}), so every start compiles them again; another folder can be given"
            " as JAX_COMPILATION_CACHE_DIR",
            file=sys.stderr,
        )
        return
    jax.config.update("jax_compilation_cache_dir", path)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_enable_xla_caches", "none")  # XLA's own may fail where it cannot write.
    _mend(path)


def _check(path: str) -> None:
    """Raises PermissionError where we may not write, or others may: what is in the folder is run as code."""
    if not os.access(path, os.W_OK):
        raise PermissionError(f"{path} cannot be written")
    if not hasattr(os, "getuid"):  # Windows, where the user's profile is private.
        return
    found = os.stat(path)
    if found.st_uid != os.getuid():
        raise PermissionError(f"{path} belongs to another user")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(f"others may write in {path}; chmod go-w it")


def _prune(path: str) -> None:
    """Removes the programs that have not been used for the longest time, down to half of `_MOST_BYTES`.

    JAX's own limit needs another package, a lock for each read, and fails for good once one of its files is missing.
    """
    files = []
    for entry in os.scandir(path):
        with contextlib.suppress(OSError):  # Another process was faster.
            found = entry.stat()
            files.append((max(found.st_atime, found.st_mtime), found.st_size, entry.path))
    total = sum(size for _, size, _ in files)
    if total <= _MOST_BYTES:
        return
    for _, size, name in sorted(files):
        if total <= _MOST_BYTES // 2:
            break
        _remove(name)
        total -= size


def _mend(path: str) -> None:
    """Has damaged programs removed when JAX warns of them, and keeps quiet about those that cannot be written.

    JAX writes in place, so a full disk or a kill leaves half a file. It compiles what it cannot read, but never writes
    over a file that is there.
    """
    before = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        trouble = re.match(_TROUBLE, str(message))
        if trouble is None:
            before(message, category, filename, lineno, file, line)
        elif trouble[1] == "reading":
            for name in os.listdir(path):
                if name.startswith(f"{trouble[2]}-"):
                    _remove(os.path.join(path, name))

    warnings.showwarning = show
    warnings.filterwarnings("always", message=_TROUBLE)


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.remove(path)
