"""launch.py as one process of several: how they find each other, and what is left when one is gone.

Three pairs of processes in interpreters of their own, since launch.py divides each before JAX is imported, and a forked
pair: 60 s of CPU.
"""

import signal
import subprocess
import sys
import time

import portpicker
import pytest

from blur_jax.runs import checkpoints, run_dir
from tests.helpers.commands import launch
from tests.helpers.paths import ROOT

STEPS = ["--config.steps=3000", "--config.checkpoint_every=5"]


def start(folder, *flags, count=2):
    """Starts so many processes of a run; each writes what it prints to a file of its own."""
    port = portpicker.pick_unused_port()
    common = [f"--workdir={folder}/run", "--distributed", f"--coordinator=localhost:{port}", f"--processes={count}"]
    processes = []
    for index in range(count):
        with open(folder / f"output-{index}", "wb") as output:
            command = [sys.executable, "launch.py", *common, f"--process={index}", *flags]
            processes.append(subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output))
    return processes


def wait_for_rows(processes, folder, count):
    deadline = time.monotonic() + 150
    while len(run_dir.read_history(folder / "run")) < count and time.monotonic() < deadline:
        assert all(process.poll() is None for process in processes), (folder / "output-0").read_text()[-3000:]
        time.sleep(0.05)


@pytest.fixture
def processes(arguments, tmp_path):
    """Two processes of a long run that has begun to train."""
    started = start(tmp_path, *arguments, *STEPS)
    try:
        wait_for_rows(started, tmp_path, 8)
        yield started
    finally:
        for process in started:
            process.kill()


@pytest.mark.parametrize("victim", [0, 1])
def test_when_one_process_is_killed_the_other_ends_soon_and_says_so(processes, tmp_path, victim):
    processes[victim].kill()
    assert processes[1 - victim].wait(timeout=120) == 75
    assert "another process of this run has stopped" in (tmp_path / f"output-{1 - victim}").read_text()
    assert checkpoints.latest_step(tmp_path / "run") >= 5


def test_sigterm_to_one_process_stops_both_with_a_status_of_their_own(processes, tmp_path):
    processes[1].send_signal(signal.SIGTERM)
    assert [process.wait(timeout=120) for process in processes] == [75, 75]
    step = checkpoints.latest_step(tmp_path / "run")
    assert f"stopped by SIGTERM and saved at step {step}" in (tmp_path / "output-0").read_text()


def test_a_mistake_ends_all_processes_with_its_sentence(arguments, tmp_path):
    started = start(tmp_path, *arguments, "--config.data.labeled_split=trian")
    assert [process.wait(timeout=120) for process in started] == [1, 1]
    for index in range(2):
        assert "no labeled split 'trian'" in (tmp_path / f"output-{index}").read_text()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--distributed", "--processes=2"], "must be passed together"),
        (["--coordinator=a:1", "--processes=2", "--process=0"], "and with --distributed"),
        (["--distributed", "--coordinator=a:1", "--processes=2", "--process=2"], "--process=2 must be below"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(tmp_path, flags, message):
    code, _, err = launch(f"--workdir={tmp_path}/run", *flags)
    assert code == 2
    assert message in err
