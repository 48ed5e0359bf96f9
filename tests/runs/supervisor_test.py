"""The parent of one process of a pod: it passes signals on, and translates how its child ends."""

import signal
import sys
import time

import pytest

from tests.helpers import forked

PROGRAM = """
import os, signal, sys, time
from blur_jax.runs import signals
signals.divide("nobody came", "a peer is gone", 75)
def stop(number, frame):
    print("child got", signal.Signals(number).name, flush=True)
    os._exit(9)
signal.signal(signal.SIGTERM, stop)
time.sleep(0.3)  # Until the parent listens to signals.
print(os.getpid(), flush=True)
{task}
"""


def start(folder, task):
    """Starts a process that divides itself; returns it and the process id of its child."""
    process = forked.script(folder, PROGRAM.format(task=task))
    process.wait_until(lambda: process.text("out").endswith("\n") or process.poll() is not None)
    return process, int(process.text("out").split()[0])


@pytest.mark.parametrize(
    ("task", "status", "error"),
    [
        ("os._exit(0)", 0, ""),
        ("sys.exit(3)", 3, ""),
        ("os.abort()", 75, "nobody came\n"),
        ("signals.joined(); os.abort()", 75, "a peer is gone\n"),
        ("os.kill(os.getpid(), signal.SIGKILL)", 137, ""),
    ],
)
def test_the_parent_ends_with_its_child(tmp_path, task, status, error):
    process, _ = start(tmp_path, task)
    _, printed = process.communicate(timeout=30)
    assert (process.returncode, printed) == (status, error)


def test_a_signal_to_the_parent_reaches_the_child(tmp_path):
    process, child = start(tmp_path, "time.sleep(60)")
    assert child != process.pid
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=30)
    assert (process.returncode, printed) == (9, f"{child}\nchild got SIGTERM\n")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parents")
def test_a_killed_parent_takes_its_child_along(tmp_path):
    process, child = start(tmp_path, "time.sleep(60)")
    process.kill()
    process.communicate(timeout=30)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and _runs(child):
        time.sleep(0.05)
    assert not _runs(child)


def _runs(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
