"""Refuses to use JAX where it would hang: a forked process inherits JAX's devices but not their threads."""

import os
import sys
import threading

_LINUX_THREADS = "/proc/self/task"
_owner: int | None = None  # The process that opened JAX's devices, set when it first forks.


def check() -> None:
    """Raises RuntimeError in a process that was forked after JAX was used; takes one system call."""
    if _owner not in (None, os.getpid()):
        raise RuntimeError(
            f"process {os.getpid()} was forked from a process that had used JAX, so JAX would hang here; start"
            " workers with 'spawn' or 'forkserver', such as multiprocessing.get_context('spawn') or"
            " DataLoader(multiprocessing_context='spawn'), and pass the scorer to them; or load the scorer only in the"
            " workers, so that the parent process does not use JAX"
        )


def _jax_is_open() -> bool:
    bridge = sys.modules.get("jax._src.xla_bridge")  # This module must not import JAX.
    return bridge is not None and bridge.backends_are_initialized()


def _remember_owner() -> None:
    global _owner
    if _owner is None and _jax_is_open():
        _owner = os.getpid()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_remember_owner)
# This module may be first imported after a fork. If JAX's devices are open but only Python's threads exist, a parent
# process opened them.
if _jax_is_open() and os.path.isdir(_LINUX_THREADS) and len(os.listdir(_LINUX_THREADS)) <= threading.active_count():
    _owner = os.getppid()
