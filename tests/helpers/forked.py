"""Programs in processes of their own, forked from one that has imported what they need.

Each is a real process, with signals, an exit status and files of its own, but starts without the 3 s of CPU that
importing JAX and Orbax takes. It is not for what depends on a fresh interpreter, or on the environment at its start.
"""

import atexit
import contextlib
import multiprocessing
import os
import pathlib
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from tests.helpers.paths import ROOT

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.helpers.preloaded"])


class Program:
    """`python *command`, to the extent of `subprocess.Popen` that tests need."""

    def __init__(self, *command, cwd=ROOT):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self._process = CONTEXT.Process(target=_run, args=(command, str(self.folder), cwd), daemon=True)
        self._process.start()
        self.pid = self._process.pid

    returncode = property(lambda self: self._process.exitcode)

    def poll(self):
        return self.returncode

    def kill(self):
        self._process.kill()

    def send_signal(self, number):
        os.kill(self.pid, number)

    def wait(self, timeout=600):
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout)
        return self.returncode

    def wait_until(self, happened, timeout=300):
        """Waits until `happened()`; fails where the program ends before, or that takes too long."""
        deadline = time.monotonic() + timeout
        while not happened():
            assert self.poll() is None and time.monotonic() < deadline, self.text("out") + self.text("err")
            time.sleep(0.01)

    def communicate(self, timeout=600):
        """Waits for the end; returns what was written to standard output and standard error."""
        self.wait(timeout)
        written = self.text("out"), self.text("err")
        shutil.rmtree(self.folder, ignore_errors=True)
        return written

    def text(self, stream):
        """What the program has written so far."""
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / stream).read_text()
        return ""


def script(folder, text, *arguments):
    """Starts a program with this text, kept in `folder`, where the test is."""
    path = folder / "program.py"
    path.write_text(text)
    return Program(path, *arguments, cwd=os.getcwd())


def run(*command, timeout=600):
    """Runs a program; returns (exit status, standard output, standard error)."""
    program = Program(*command)
    try:
        out, err = program.communicate(timeout)
    finally:
        program.kill()
    return program.returncode, out, err


def _run(command, folder, cwd):
    for number, name in ((1, "out"), (2, "err")):
        with open(os.path.join(folder, name), "w") as file:
            os.dup2(file.fileno(), number)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # Jobs in the background start with Ctrl-C turned off.
    os.chdir(cwd)
    module = command[0] == "-m"
    sys.argv = [str(argument) for argument in command[module:]]
    sys.path.insert(0, str(cwd))
    try:
        if module:
            runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(sys.argv[0], run_name="__main__")
    finally:
        atexit._run_exitfuncs()  # multiprocessing leaves them out; JAX takes its leave of other processes there.
