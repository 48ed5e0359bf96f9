"""launch.py as one process of several: how they find each other, and what is left when one is gone.

Four pairs of forked processes, each of which launch.py divides.
"""

import signal

import portpicker
import pytest

from blur_jax.runs import checkpoints, run_dir
from tests.helpers import forked


def start(folder, *flags, second=()):
    """Starts two processes of a run; `second` are more flags of the second one."""
    common = [f"--workdir={folder}/run", "--distributed", f"--coordinator=localhost:{portpicker.pick_unused_port()}"]
    common += ["--processes=2", *flags]
    return [forked.Program("launch.py", *common, f"--process={index}", *(second * index)) for index in range(2)]


@pytest.fixture
def processes(arguments, tmp_path):
    """Two processes of a long run that has begun to train."""
    flags = ["--config.steps=3000", "--config.checkpoint_every=2", "--config.consistency.quadruplet_weight=0.0"]
    started = start(tmp_path, *arguments, *flags)
    try:
        started[0].wait_until(lambda: len(run_dir.read_history(tmp_path / "run")) >= 5)
        yield started
    finally:
        for process in started:
            process.kill()


@pytest.mark.parametrize("victim", [0, 1])
def test_when_one_process_is_killed_the_other_ends_soon_and_says_so(processes, tmp_path, victim):
    processes[victim].kill()
    assert processes[1 - victim].wait(timeout=120) == 75
    assert "another process of this run has stopped" in processes[1 - victim].text("err")
    assert checkpoints.latest_step(tmp_path / "run") >= 2


def test_sigterm_to_one_process_stops_both_with_a_status_of_their_own(processes, tmp_path):
    processes[1].send_signal(signal.SIGTERM)
    assert [process.wait(timeout=120) for process in processes] == [75, 75]
    step = checkpoints.latest_step(tmp_path / "run")
    assert f"stopped by SIGTERM and saved at step {step}" in processes[0].text("out")


def test_hosts_with_different_configs_are_refused_before_anything_is_written(arguments, tmp_path):
    started = start(tmp_path, *arguments, second=("--config.seed=1",))
    assert [process.wait(timeout=120) for process in started] == [2, 2]
    assert all("config.seed is 0 on process 0, 1 on process 1" in process.text("err") for process in started)
    assert not (tmp_path / "run").exists()
