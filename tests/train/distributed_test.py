"""The same run on one device, on eight, on two processes of two devices each, and on four processes.

Together 27 forked processes, most of which train for a few steps: a minute of CPU.
"""

import json
import shutil
import signal
import subprocess
import sys

import jax
import numpy as np
import pytest

from blur_jax.runs import checkpoints, distributed, run_dir
from configs import default
from tests.helpers import runs
from tests.helpers.configs import shrink

TOPOLOGIES = {"1": {}, "8": {"devices": 8}, "2x2": {"processes": 2, "devices": 2}, "4x1": {"processes": 4}}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, demo_dir):
    """Run directories of five steps on each topology, and their config.

    Beside each are the metrics of the first run's checkpoint, evaluated there by the same processes.
    """
    config = shrink(default.get_config(), demo_dir)
    config.steps, config.checkpoint_every = 5, 5
    config.seed = 1  # With 0, on eight devices, rounding grows past the bounds below within these steps.
    config.consistency.pairwise_weight, config.ema_decay = 0.5, 0.9  # every term of the step takes part
    folders = {}
    for name, topology in TOPOLOGIES.items():
        folders[name] = tmp_path_factory.mktemp(name)
        do = ("train", f"evaluate {folders['1']} into {folders[name]}")
        runs.run(config, folders[name], do=do, **topology)
    return config, folders


@pytest.mark.parametrize("topology", ["8", "2x2", "4x1"])
def test_training_gives_the_same_parameters(trained, topology):
    config, folders = trained
    one, many = (runs.last_state(config, folders[name]) for name in ("1", topology))
    assert int(one.step) == int(many.step) == 5
    start = runs.initial_params(config)
    for name in ("params", "ema_params"):
        moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), getattr(one, name), start)
        assert min(jax.tree.leaves(moved)) > 1e-4  # each array, and far more than the topologies may differ
        apart = jax.tree.map(lambda a, b: np.abs(a - b).max(), getattr(one, name), getattr(many, name))
        assert max(jax.tree.leaves(apart)) < 5e-6


@pytest.mark.parametrize("topology", ["8", "2x2", "4x1"])
def test_metrics_of_training_are_the_same(trained, topology):
    _, folders = trained
    one, many = (run_dir.read_history(folders[name]) for name in ("1", topology))
    assert len(one) == len(many) == 6  # five steps and a validation
    for a, b in zip(one, many):
        assert a.keys() == b.keys()
        np.testing.assert_allclose(list(a.values()), list(b.values()), rtol=1e-5, atol=1e-6)


def test_evaluation_metrics_are_identical_on_any_topology(trained):
    """Of one checkpoint, that of the run on one device."""
    _, folders = trained
    first, *others = (json.loads((folders[name] / "metrics.json").read_text()) for name in TOPOLOGIES)
    assert first["splits"]["test"]["examples"] == 25  # of batches of 16: each image once
    assert len(others) == 3
    assert all(other == first for other in others)


def test_a_run_may_resume_on_another_number_of_devices(trained, tmp_path):
    config, _ = trained
    config = config.copy_and_resolve_references()
    config.steps, config.checkpoint_every = 4, 2
    runs.run(config, tmp_path / "straight")
    runs.run(config, tmp_path / "moved", devices=8)
    shutil.rmtree(tmp_path / "moved" / "checkpoints" / "4")  # as if it had been killed after step 2
    output = runs.run(config, tmp_path / "moved")
    assert "resuming from step 2" in output
    straight, moved = (runs.last_state(config, tmp_path / name) for name in ("straight", "moved"))
    for a, b in zip(jax.tree.leaves(straight.params), jax.tree.leaves(moved.params)):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_run_may_resume_on_another_number_of_processes(trained, tmp_path):
    config, folders = trained
    config = config.copy_and_resolve_references()
    config.checkpoint_every = 2
    runs.run(config, tmp_path, processes=2)
    shutil.rmtree(tmp_path / "checkpoints" / "5")
    output = runs.run(config, tmp_path, devices=2)
    assert "resuming from step 4" in output
    straight, moved = (runs.last_state(config, folder) for folder in (folders["1"], tmp_path))
    for a, b in zip(jax.tree.leaves(straight.params), jax.tree.leaves(moved.params)):
        np.testing.assert_allclose(a, b, atol=5e-6)


def test_what_is_replicated_has_no_leading_axis():
    tree = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.int32(4)}
    back = jax.device_get(distributed.replicate(tree))
    np.testing.assert_array_equal(back["a"], tree["a"])
    assert back["b"] == 4


@pytest.mark.parametrize("size", [0, -8])
def test_batch_sizes_that_do_not_divide_are_named(size):
    with pytest.raises(ValueError, match=rf"config\.batch\.labeled={size} .*multiple of the 1 devices"):
        distributed.check_batch_size(size, "batch.labeled")


def test_every_process_takes_the_probe_of_process_0(trained, tmp_path):
    """With BLAS libraries that round differently, say."""
    config, _ = trained
    processes = runs.start(config, tmp_path, processes=2, do=("fit another probe on each",))
    outputs = runs.outputs(processes)
    heads = [[line for line in output.splitlines() if line.startswith("head")] for output in outputs]
    assert heads == [["head [[1.0]] [-1.0]"], ["head [[1.0]] [-1.0]"]], outputs  # as worked out in linear_probe_test.py


@pytest.mark.parametrize(
    ("who", "function"),
    [
        (0, "train.start:open_pairs"),
        (1, "models.linear_probe:logistic_ranking"),  # Between collectives of all processes.
        (0, "train.log:Writer.write"),  # In the loop.
        (1, "evaluate.evaluation:_open_splits"),
    ],
)
def test_an_error_on_one_process_reaches_all_at_once(trained, tmp_path, who, function):
    """The others neither wait for a process that is gone, nor end in a traceback of the communication library."""
    config, folders = trained
    config, do = config.copy_and_resolve_references(), "train"
    if function.startswith("evaluate"):
        do = f"evaluate {folders['1']} into {tmp_path}"
    if "linear_probe" in function:
        config.model.linear_probe_strength = 1.0
    processes = runs.start(config, tmp_path, processes=2, do=(f"fail on {who} in {function}", do))
    outputs = runs.outputs(processes)
    assert [process.returncode for process in processes] == [1, 1], outputs
    assert "error: the disk of this host is full" in outputs[who]
    assert f"error: process {who} failed: OSError: the disk of this host is full" in outputs[1 - who]


def test_a_workdir_of_another_config_is_refused_on_every_process(trained):
    config, folders = trained
    other = config.copy_and_resolve_references()
    other.seed = 9
    processes = runs.start(other, folders["1"], processes=2)
    outputs = runs.outputs(processes)
    assert [process.returncode for process in processes] == [1, 1]
    assert all("config.seed is 1 there but 9 here" in output for output in outputs)


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_one_process_stops_all_at_the_same_step(trained, tmp_path, sent):
    config, _ = trained
    config = config.copy_and_resolve_references()
    config.steps, config.checkpoint_every, config.log_every = 2000, 1000, 1
    processes = runs.start(config, tmp_path, processes=2)
    processes[0].wait_until(lambda: len(run_dir.read_history(tmp_path)) >= 3)
    processes[1].send_signal(sent)
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
