"""Keeps JAX's compiled programs in the user's cache folder, so the next command can load them.

Commands call `keep_programs` before they compile anything; the library never does. JAX's own cache size limit is not
set: with a limit, JAX stops saving programs once a killed process has left a program without an access time.
"""

import os
import stat
import sys
from typing import Any

import jax

from blur_jax.data import user_cache


def keep_programs() -> None:
    """Makes JAX cache its programs, unless JAX_COMPILATION_CACHE_DIR or JAX_ENABLE_COMPILATION_CACHE says otherwise.

    If the folder cannot be used, prints the reason to standard error and continues without it.
    """
    config: Any = jax.config
    if config.jax_compilation_cache_dir is not None or not config.jax_enable_compilation_cache:
        return
    path = os.path.join(user_cache.folder(), "compiled")
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        if not os.access(path, os.W_OK):
            raise PermissionError(f"{path} is not writable")
        if hasattr(os, "getuid"):  # On Windows, the user's profile is private.
            status = os.stat(path)  # JAX executes the programs in this folder.
            if status.st_uid != os.getuid():
                raise PermissionError(f"{path} belongs to another user")
            if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise PermissionError(f"other users can write to {path}; run: chmod go-w {path}")
    except OSError as error:
        print(
            f"compiled programs cannot be cached ({error}), so every command compiles them again; set"
            " JAX_COMPILATION_CACHE_DIR to use a different folder",
            file=sys.stderr,
        )
        return
    config.update("jax_compilation_cache_dir", path)
    config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    config.update("jax_persistent_cache_enable_xla_caches", "none")  # XLA's own caches may fail in a read-only folder.
