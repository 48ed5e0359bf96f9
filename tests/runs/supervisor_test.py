"""The parent of one process of a pod translates how its child ends.

That it passes signals on, and takes its child along, is in tests/launch_distributed_test.py.
"""

import pytest

from tests.helpers import forked

PROGRAM = """
import os, signal, sys, time
from blur_jax.runs import signals
signals.divide("nobody came", "a peer is gone", 75)
time.sleep(0.3)  # Until the parent listens to signals.
{task}
"""


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
    process = forked.script(tmp_path, PROGRAM.format(task=task))
    _, printed = process.communicate(timeout=30)
    assert (process.returncode, printed) == (status, error)
