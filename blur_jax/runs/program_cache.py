"""Keeps the programs that JAX compiles in the user's cache folder, so that the next command loads them.

Each command calls `keep_programs` before it compiles anything. Importing `blur_jax`, or calling it as a library, leaves
the folder alone. JAX's own limit on the folder's size is not set: once a killed process leaves a program without its
time of use, JAX warns at each write and keeps no further program.
"""

import os
import stat
import sys

import jax

from blur_jax.data import user_cache


def keep_programs() -> None:
    """Lets JAX keep what it compiles, unless JAX_COMPILATION_CACHE_DIR or JAX_ENABLE_COMPILATION_CACHE say otherwise.

    Where the folder cannot be used, a line on standard error says why, and the command goes on without it.
    """
    if jax.config.jax_compilation_cache_dir is not None or not jax.config.jax_enable_compilation_cache:
        return
    path = os.path.join(user_cache.folder(), "compiled")
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        _check(path)
    except OSError as error:
        print(
            f"compiled programs are not kept ({error}), so every start compiles them again; to use another folder, set"
            " JAX_COMPILATION_CACHE_DIR",
            file=sys.stderr,
        )
        return
    jax.config.update("jax_compilation_cache_dir", path)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_enable_xla_caches", "none")  # XLA's own may fail where it cannot write.


def _check(path: str) -> None:
    """Raises PermissionError if this user may not write, or others may: programs in the folder are run as code."""
    if not os.access(path, os.W_OK):
        raise PermissionError(f"{path} cannot be written")
    if not hasattr(os, "getuid"):  # On Windows, the user's profile is private.
        return
    status = os.stat(path)
    if status.st_uid != os.getuid():
        raise PermissionError(f"{path} belongs to another user")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(f"others may write in {path}; chmod go-w it")
