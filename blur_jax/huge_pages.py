"""Huge pages for the memory of large arrays, on Linux: a train step on a CPU takes and returns hundreds of MB.

In pages of 4 KiB that is a fifth of the time of a step of `configs/wider_blur.py`; docs/performance.md has the figures.
"""

import contextlib
import os
import sys

_VARIABLE = "GLIBC_TUNABLES"


def allow() -> None:
    """Allows them in processes that are started from now on, unless GLIBC_TUNABLES is set, to whatever."""
    os.environ.setdefault(_VARIABLE, "glibc.malloc.hugetlb=1")


def restart() -> None:
    """Starts this command again, once and as the same process, with huge pages allowed; for commands, first of all.

    The C library reads the variable at the start of a process alone. Nothing happens where it is set.
    """
    if sys.platform == "linux" and _VARIABLE not in os.environ:
        allow()
        with contextlib.suppress(OSError):  # Then it goes on without.
            os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
