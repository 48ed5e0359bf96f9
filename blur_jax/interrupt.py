"""Ctrl-C outside of training: one sentence instead of a traceback, and soon, whatever the process is doing.

Python raises KeyboardInterrupt in the main thread and between two of its own instructions: a process that compiles does
not react for as long as that takes. A thread that the signal wakes ends it then.
"""

import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import NoReturn

STATUS = 130  # Exit status after Ctrl-C, as shells have it.


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
