"""A sort, or its undoing, is killed at any moment: no picture is lost, and everything can be continued and undone.

Takes 2 s of CPU for each scenario.
"""

import subprocess
import sys

import pytest

from tests.helpers import killed_sorting
from tests.helpers.paths import ROOT


def run(scenario, folder):
    """Returns the last line that the scenario prints."""
    command = [sys.executable, "-m", killed_sorting.__name__, scenario]
    done = subprocess.run(command, cwd=folder, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_a_move_and_its_undoing_are_killed_20_times_each(tmp_path):
    assert run("random", tmp_path) == "[20, 20]"


@pytest.mark.parametrize(("action", "least"), [("copy", 30), ("link", 10), ("move", 15), ("across", 30)])
def test_they_are_killed_before_every_event_of_two_pictures(tmp_path, action, least):
    assert int(run(action, tmp_path)) > least
