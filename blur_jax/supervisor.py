"""A parent for one process of a pod, which says in a sentence what JAX's runtime says by aborting.

When another process of a run is gone, the runtime of this one ends it from C++, with a stack trace and SIGABRT, and no
Python code can come between. So a parent that never imports JAX waits for the process that does, passes signals on to
it and translates its end.
"""

import ctypes
import os
import signal
import sys

_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
_PR_SET_PDEATHSIG = 1  # prctl(2).


def divide(lost: str, status: int) -> None:
    """Divides this process in two: returns in the child, and ends the parent with the child.

    Must be called before JAX is imported: its threads would not survive.

    Args:
        lost: what to print where the child was aborted.
        status: the parent's exit status in this case; in others it is the child's, 128 + N where signal N ended it.
    """
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        _follow(parent)
        return
    for number in _PASSED_ON:
        signal.signal(number, lambda number, _frame: os.kill(child, number))
    _, ended = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(ended)
    if code == -signal.SIGABRT:
        print(lost, file=sys.stderr, flush=True)
        code = status
    os._exit(code if code >= 0 else 128 - code)


def _follow(parent: int) -> None:
    """Takes the child out of the terminal's signals, which its parent passes on, and ends it with its parent."""
    os.setpgid(0, 0)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # It was killed before this line.
            os._exit(128 + signal.SIGKILL)
