"""Handles Ctrl-C outside training, and aborts caused by other processes in a pod; does not import JAX.

Python raises KeyboardInterrupt in the main thread between two Python instructions, so a process that is compiling does
not react until it has finished. A thread that the signal wakes up ends the process sooner.

When another process in a run stops, JAX's runtime aborts this process from C++, with a stack trace. So a parent process
that never imports JAX waits for a child that does, forwards signals to it and translates its exit status.
"""

import ctypes
import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import NoReturn

STATUS = 130  # Exit status after Ctrl-C, as in shells.

_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
_writes_joined = -1  # The child's end of a pipe to its parent.
_PR_SET_PDEATHSIG = 1  # prctl(2).


def watch(sentence: str, *, seconds: float = 3.0) -> None:
    """Makes Ctrl-C end the process with `sentence` after `seconds`, unless KeyboardInterrupt ends it sooner."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return  # Shells disable Ctrl-C for background jobs.

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
        # Python discards an interrupt in a destructor and prints a traceback; raise it again a moment later.
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
    """Returns whether a module is being imported: some modules crash, or raise ImportError, when interrupted."""
    while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return frame is not None


def leave(sentence: str) -> NoReturn:
    """Prints a sentence and exits immediately with `STATUS`.

    A normal exit can crash while XLA, Grain and Orbax threads run, and JAX would wait for the other processes.
    """
    print(f"\n{sentence}", file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(STATUS)


def divide(alone: str, lost: str, status: int) -> None:
    """Forks this process and returns in the child; the parent exits with the child's status (128 + N for signal N).

    If the child aborts, the parent exits with `status` and prints `lost`, or `alone` if the child has not called
    `joined`. Call this before importing JAX, whose threads would not survive the fork.
    """
    global _writes_joined
    parent = os.getpid()
    reads_joined, _writes_joined = os.pipe()
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)  # Shields the child from the terminal's signals; the parent forwards them.
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # Kills the child when its parent dies.
            if os.getppid() != parent:  # The parent was killed before this line.
                os._exit(128 + signal.SIGKILL)
        return
    os.close(_writes_joined)
    for number in _FORWARDED:
        signal.signal(number, lambda number, _frame: os.kill(child, number))
    _, ended = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(ended)
    if code == -signal.SIGABRT:
        print(lost if os.read(reads_joined, 1) else alone, file=sys.stderr, flush=True)
        code = status
    os._exit(code if code >= 0 else 128 - code)


def joined() -> None:
    """Tells the parent process in `divide` that this process has joined the other processes in the run."""
    os.write(_writes_joined, b"1")
