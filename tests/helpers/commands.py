"""launch.py as tests start it."""

import subprocess
import sys

from tests.helpers import forked
from tests.helpers.paths import ROOT


def launch(*arguments):
    """Runs launch.py in a forked process; returns (exit status, standard output, standard error)."""
    return forked.run("launch.py", *arguments)


def launch_afresh(*arguments, env=None):
    """The same in an interpreter of its own, as a user does: 5 s of CPU before anything happens."""
    command = [sys.executable, "launch.py", *arguments]
    process = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=240)
    return process.returncode, process.stdout, process.stderr
