"""What signals do to a command: Ctrl-C outside of training, and the end of another process of a pod. Imports no JAX.

Python raises KeyboardInterrupt in the main thread and between two of its own instructions: a process that compiles does
not react for as long as that takes. A thread that the signal wakes ends it then.

When another process of a run has stopped, the runtime of this one ends it from C++, with a stack trace and SIGABRT, and
no Python code can come between. So a parent that never imports JAX waits for the process that does, passes signals on
to it and translates its end.
"""

import ctypes
import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import NoReturn

STATUS = 130  # Exit status after Ctrl-C, as shells have it.

_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
_PR_SET_PDEATHSIG = 1  # prctl(2).


def watch(sentence: str, *, seconds: float = 3.0) -> None:
    """From now on Ctrl-C ends the process after at most so many seconds, in which KeyboardInterrupt may end it itself.

    Args:
        sentence: printed on standard error then.
        seconds: for what removes half-written files.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return  # Shells turn it off for jobs in the background.

    def interrupt(number: int, frame: FrameType | None) -> None:
        if _importing(frame):
            leave(sentence)
        signal.default_int_handler(number, frame)

    def wait() -> None:
        while os.read(wakes, 1) != bytes([signal.SIGINT]):
            pass
        time.sleep(seconds)
        leave(sentence)

    def unraisable(dropped: "sys.UnraisableHookArgs") -> None:
        # Raised in a destructor, where Python drops it with a traceback: once more, a moment later.
        if dropped.exc_type is KeyboardInterrupt:
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
        else:
            sys.__unraisablehook__(dropped)

    wakes, written = os.pipe()
    os.set_blocking(written, False)
    signal.signal(signal.SIGINT, interrupt)
    signal.set_wakeup_fd(written, warn_on_full_buffer=False)
    threading.Thread(target=wait, name="interrupt", daemon=True).start()
    sys.unraisablehook = unraisable


def _importing(frame: FrameType | None) -> bool:
    """Whether a module is being imported: some crash, or make an ImportError of it, when that is interrupted."""
    while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return frame is not None


def leave(sentence: str) -> NoReturn:
    """Prints a sentence and ends the process with `STATUS`.

    At once: threads of XLA, Grain and Orbax may still be at work, and taking the interpreter down below them can crash
    it; and in a run of several processes, JAX would wait for the others.
    """
    print(f"\n{sentence}", file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(STATUS)


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
