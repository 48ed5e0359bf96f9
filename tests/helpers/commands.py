"""launch.py as tests start it."""

import subprocess
import sys

from tests.helpers.paths import ROOT


def launch(env, *arguments):
    """Runs launch.py; returns (exit code, standard output, standard error)."""
    process = subprocess.run(
        [sys.executable, "launch.py", *arguments], cwd=ROOT, env=env, capture_output=True, text=True, timeout=240
    )
    return process.returncode, process.stdout, process.stderr
