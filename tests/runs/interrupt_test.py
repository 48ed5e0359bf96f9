"""Ctrl-C ends a process soon and with one sentence, whatever it is doing."""

import signal
import time

import pytest

from tests.helpers import forked

# What the main thread does after `watch`; each of them would go on for a minute or more.
TASKS = {
    "its own instructions": "time.sleep(60)",
    "one long call of C": "hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)",
    "a destructor": "Slow()\ntime.sleep(60)",
    "an import": "import slow",
}
PROGRAM = """
import hashlib, sys, time
from blur_jax.runs import signals

class Slow:
    def __del__(self):
        time.sleep(2)

signals.watch("stopped: run it again", seconds=5 if sys.argv[1:] else 0.3)
try:
    print("ready", flush=True)
    {task}
except KeyboardInterrupt:
    signals.leave("stopped")
"""


@pytest.mark.parametrize("doing", TASKS)
def test_ctrl_c_ends_a_process(tmp_path, monkeypatch, doing):
    # As extension modules do whose own imports are interrupted, if they do not crash.
    (tmp_path / "slow.py").write_text(
        "import time\ntry: time.sleep(60)\nexcept KeyboardInterrupt: raise ImportError('initializing')\n"
    )
    own = doing in ("its own instructions", "a destructor")  # By KeyboardInterrupt, after which files are cleaned up.
    monkeypatch.chdir(tmp_path)
    program = PROGRAM.format(task=TASKS[doing].replace("\n", "\n    "))
    process = forked.script(tmp_path, program, *(["patient"] if own else []))
    process.wait_until(lambda: process.text("out") == "ready\n")
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=20)
    assert process.returncode == 130
    assert error == ("\nstopped\n" if own else "\nstopped: run it again\n")
