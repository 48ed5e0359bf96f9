"""The same run on one device, on eight, on two processes of two devices each, and on four processes.

Together 11 forked processes, most of which train for a few steps: 80 s of CPU.
"""

import json
import shutil
import signal
import subprocess
import sys

import jax
import numpy as np
import pytest

from blur_jax.evaluate import evaluation
from blur_jax.runs import checkpoints, distributed, run_dir
from blur_jax.train import loop
from configs import default
from tests.helpers import runs
from tests.helpers.configs import shrink

TOPOLOGIES = {"8": {"devices": 8}, "2x2": {"processes": 2, "devices": 2}}
many = pytest.mark.parametrize("topology", TOPOLOGIES)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, demo_dir):
    """Run directories of three steps on one device and on each topology, their config, and what 2x2 printed.

    Beside each are the metrics of the first run's checkpoint, evaluated there by the same processes.
    """
    config = shrink(default.get_config(), demo_dir)
    config.steps = 3
    config.seed = 1
    config.consistency.pairwise_weight, config.ema_decay = 0.5, 0.9  # every term of the step takes part
    folders = {name: tmp_path_factory.mktemp(name) for name in ("1", *TOPOLOGIES)}
    assert loop.train(config, str(folders["1"]))
    evaluation.evaluate(config, str(folders["1"]))
    for name, topology in TOPOLOGIES.items():
        do = ["train", f"evaluate {folders['1']} into {folders[name]}"]
        do += ["step twice by each interface"] * (name == "2x2")
        said = runs.run(config, folders[name], do=do, **topology)
    return config, folders, said


def assert_parameters_are_close(config, one, many):
    one, many = runs.last_state(config, one), runs.last_state(config, many)
    assert int(one.step) == int(many.step) == 3
    start = runs.initial_params(config)
    for name in ("params", "ema_params"):
        moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), getattr(one, name), start)
        assert min(jax.tree.leaves(moved)) > 1e-4  # each array, and far more than the topologies may differ
        apart = jax.tree.map(lambda a, b: np.abs(a - b).max(), getattr(one, name), getattr(many, name))
        assert max(jax.tree.leaves(apart)) < 5e-6


@many
def test_training_gives_the_same_parameters(trained, topology):
    config, folders, _ = trained
    assert_parameters_are_close(config, folders["1"], folders[topology])


@many
def test_metrics_of_training_are_the_same(trained, topology):
    _, folders, _ = trained
    one, many = (run_dir.read_history(folders[name]) for name in ("1", topology))
    assert len(one) == len(many) == 5  # three steps and two validations
    for a, b in zip(one, many):
        assert a.keys() == b.keys()
        np.testing.assert_allclose(list(a.values()), list(b.values()), rtol=1e-5, atol=1e-6)


def test_evaluation_metrics_are_identical_on_any_topology(trained):
    """Of one checkpoint, that of the run on one device."""
    _, folders, _ = trained
    first, *others = (json.loads((folder / "metrics.json").read_text()) for folder in folders.values())
    assert first["splits"]["test"]["examples"] == 25  # of batches of 16: each image once
    assert others == [first] * 2


def test_global_arrays_give_the_same_updates(trained):
    """As `jax.jit` would train on a pod: each process makes its share of an array that spans all devices."""
    *_, said = trained
    found = [json.loads(line.removeprefix("updates")) for line in said.splitlines() if line.startswith("updates")]
    assert len(found) == 2
    for updates in found:
        assert updates["devices"] == 4 and updates["moved"] > 1e-3 and updates["apart"] == 0.0


def test_a_run_may_resume_on_another_number_of_devices_and_processes(trained, tmp_path):
    config, folders, _ = trained
    moved = shutil.copytree(folders["8"], tmp_path / "moved")
    shutil.rmtree(moved / "checkpoints" / "3")  # as if it had been killed after step 2
    assert "resuming from step 2" in runs.run(config, moved, processes=4)
    assert_parameters_are_close(config, folders["1"], moved)


FAILURES = [
    (0, "train.start:open_pairs", "train"),
    (1, "models.linear_probe:logistic_ranking", "train"),  # Between collectives of all processes.
    (0, "train.log:Writer.write", "train"),  # In the loop.
    (1, "evaluate.evaluation:_open_splits", "evaluate"),
]


@pytest.fixture(scope="module")
def mishaps(trained, tmp_path_factory):
    """The lines that each of two processes prints; they survive one failure after another."""
    config, folders, _ = trained
    config, folder = config.copy_and_resolve_references(), tmp_path_factory.mktemp("mishaps")
    config.seed, config.probe.strength = 9, 1.0
    commands = {"train": "train", "evaluate": f"evaluate {folders['1']} into {folder}"}
    failures = [f"fail on {who} in {function} during {commands[command]}" for who, function, command in FAILURES]
    do = ("fit another probe on each", *failures, f"train in {folders['1']}")
    processes = runs.start(config, folder, processes=2, do=do)
    outputs = runs.outputs(processes)
    assert [process.returncode for process in processes] == [1, 1], outputs
    return [output.splitlines() for output in outputs]


def test_every_process_takes_the_probe_of_process_0(mishaps):
    """With BLAS libraries that round differently, say."""
    heads = [[line for line in lines if line.startswith("head")] for lines in mishaps]
    assert heads == [["head [[1.0]] [-1.0]"], ["head [[1.0]] [-1.0]"]]  # as worked out in linear_probe_test.py


def test_an_error_on_one_process_reaches_all_at_once(mishaps):
    """The others neither wait for a process that is gone, nor end in a traceback of the communication library.

    The last error is that of a directory of another config.
    """
    errors = [[line for line in lines if line.startswith("error: ")] for lines in mishaps]
    assert [len(lines) for lines in errors] == [len(FAILURES) + 1] * 2, errors
    for index, (who, *_) in enumerate(FAILURES):
        assert errors[who][index] == "error: the disk of this host is full"
        assert errors[1 - who][index] == f"error: process {who} failed: OSError: the disk of this host is full"
    assert all("config.seed is 1 there but 9 here" in lines[-1] for lines in errors)


def test_ctrl_c_in_one_process_stops_all_at_the_same_step(trained, tmp_path):
    config, *_ = trained
    config = config.copy_and_resolve_references()
    config.steps, config.checkpoint_every = 2000, 1000
    config.consistency.quadruplet_weight = config.consistency.pairwise_weight = 0.0  # Quicker to trace.
    processes = runs.start(config, tmp_path, processes=2)
    processes[0].wait_until(lambda: len(run_dir.read_history(tmp_path)) >= 3)
    processes[1].send_signal(signal.SIGINT)
    output = runs.finish(processes)
    step = checkpoints.latest_step(tmp_path)
    assert 3 <= step < 1000
    assert f"saved at step {step}" in output


# (batch sizes, environment, devices)
DIVISIONS = [
    ([], {}, 4),
    ([32, 8], {}, 4),
    ([32, 6], {}, 2),
    ([5], {}, 1),
    ([32], {"JAX_NUM_CPU_DEVICES": "3"}, 3),
    ([32], {"XLA_FLAGS": "--xla_force_host_platform_device_count=5"}, 5),
]


def test_a_cpu_is_taken_for_as_many_devices_as_divide_the_batches():
    """Each in a child of one process that has not imported JAX."""
    program = f"""
import os
for sizes, environment, _ in {DIVISIONS!r}:
    if os.fork() == 0:
        os.environ |= environment
        import jax
        from blur_jax.runs import distributed
        distributed.divide_cpu(*sizes)
        print(jax.device_count(), flush=True)
        os._exit(0)
    os.wait()
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.split() == [str(devices) for _, _, devices in DIVISIONS]


def test_where_jax_has_been_used_its_devices_stay():
    before = jax.devices()
    distributed.divide_cpu(8)
    assert jax.devices() == before
