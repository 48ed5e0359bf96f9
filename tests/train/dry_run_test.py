"""What a run would take is measured on the state, the step and the batches of training, and nothing is written."""

import pathlib
import re
import types

import jax
import numpy as np
import pytest

from blur_jax.train import dry_run, loop
from blur_jax.train import start as run_start
from blur_jax.train.run import open_run
from tests.helpers import runs

PARAMETERS = 71553  # Of the small network.


def files(*folders):
    return {path: path.stat().st_mtime_ns for folder in folders for path in pathlib.Path(folder).rglob("*")}


def lines_of(report):
    """The lines of a report, {name: text}."""
    return dict(re.split(r"  +", line, maxsplit=1) for line in report.splitlines()[1:])


def test_what_the_demo_takes_by_a_run_that_is_there_and_is_left_as_it_is(own_run, demo_dir):
    config, folder = own_run
    before = files(folder, demo_dir)
    lines = lines_of(dry_run.report(config, str(folder)))
    assert lines["devices"] == "1 x cpu, 1 process(es)"
    assert lines["data"].startswith("24 labeled, 16 unlabeled and 10 validation pairs; ")
    assert lines["batch"] == "8 labeled and 8 unlabeled pairs; 8 and 8 on each device"
    assert lines["parameters"] == f"{PARAMETERS:,} trained, 0 frozen"
    assert "(the device does not report its memory)" in lines["memory"]  # CPUs do not.
    assert lines["run"].startswith("0 of 6 steps left, about 0 s")
    config.seed = 5
    with pytest.raises(ValueError, match=r"different config \(config\.seed is 0 there but 5 here\)"):
        dry_run.report(config, str(folder))
    assert files(folder, demo_dir) == before


def test_the_cost_of_a_step_of_the_demo(config):
    run = open_run(config, None)
    batches = loop.make_batches(config, run.pairs, 0)
    cost = dry_run.measure(loop.make_step(config, run.model, run.tx), run.initial_state(), batches)
    # Parameters and Adam's two moments, three counters, 32 images and 8 labels; all of the state is updated in place.
    state = 4 * (3 * PARAMETERS + 3)
    assert cost.memory.argument_size_in_bytes == state + 32 * 32 * 32 * 3 + 8
    assert cost.memory.alias_size_in_bytes == state
    assert cost.memory.temp_size_in_bytes > 32 * 32 * 32 * 3 * 4  # At least the images as float32.
    assert cost.flops > 6 * PARAMETERS * 32  # Each parameter is used for each image, at many positions.
    assert cost.limit_bytes is None
    assert cost.compile_seconds > 0
    assert len(cost.step_seconds) >= 5 and min(cost.step_seconds) > 0


def test_frozen_parameters_and_a_batch_without_unlabeled_pairs(config):
    config.model.backbone, config.model.blocks, config.model.frozen_blocks = "efficientnet_lite0", 2, 1
    config.consistency.quadruplet_weight = 0.0
    lines = lines_of(dry_run.report(config))
    params = runs.initial_params(config)
    frozen = sum(leaf.size for leaf in jax.tree.leaves([params["backbone"]["stem"], params["backbone"]["block00"]]))
    trained = sum(leaf.size for leaf in jax.tree.leaves(params)) - frozen
    assert lines["parameters"] == f"{trained:,} trained, {frozen:,} frozen"
    assert lines["data"].startswith("24 labeled, 0 unlabeled")
    assert lines["batch"] == "8 labeled and 0 unlabeled pairs; 8 and 0 on each device"
    assert lines["run"].startswith("6 of 6 steps left, about ")


def test_batches_are_shared_among_devices_and_processes(config, tmp_path):
    config.batch.labeled = 16
    output = runs.run(config, tmp_path / "run", do=("dry run",), processes=2, devices=2)
    assert output.count("4 x cpu, 2 process") == 1  # Said by process 0 alone.
    assert "16 labeled and 8 unlabeled pairs; 4 and 2 on each device" in output
    assert not list(tmp_path.iterdir())


def test_a_step_that_does_not_fit_into_memory_is_one_sentence(config, monkeypatch):
    def compile_too_large(*_):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 99 bytes.\nand a long dump")

    monkeypatch.setattr(dry_run.distributed, "replicate", compile_too_large)
    with pytest.raises(ValueError, match=r"not fit .*allocating 99 bytes\.\); lower config\.batch\.labeled") as refused:
        dry_run.report(config)
    assert "\n" not in str(refused.value)


def test_steps_that_end_in_nonsense_are_an_error(config, monkeypatch):
    config.consistency.quadruplet_weight = 0.0
    start = run_start.initial_state

    def poisoned(*args):
        state = start(*args)
        return state.replace(params=jax.tree.map(lambda x: x * np.float32("nan"), state.params))

    monkeypatch.setattr(run_start, "initial_state", poisoned)
    with pytest.raises(FloatingPointError, match=r"state after step 23 is not finite"):
        dry_run.report(config)


def test_the_lines_say_all_of_it():
    memory = types.SimpleNamespace(
        argument_size_in_bytes=3 * 2**20,
        output_size_in_bytes=2 * 2**20,
        alias_size_in_bytes=2**20,
        temp_size_in_bytes=2**30,
    )
    cost = dry_run.StepCost(memory, 2**35, 5e9, 31.44, (0.3, 0.1, 0.2))
    assert dry_run.cost_lines(cost, images=192, first_step=1000, steps=91000) == {
        "memory": "1,028.0 MiB on each device (of 32,768.0 MiB): arguments 3.0 MiB, outputs 2.0 MiB (1.0 MiB in"
        " place), temporaries 1,024.0 MiB",
        "compiling": "31.4 s",
        "operations": "5 GFLOP per step on each device, 25 GFLOP/s",
        "step": "200 ms, median of 3 steps (100 to 300 ms); 960 images/s",
        "run": "90000 of 91000 steps left, about 5 h 0 min, plus time for validation, checkpoints and evaluation",
    }
    silent = dry_run.cost_lines(cost._replace(flops=None, limit_bytes=None), images=192, first_step=0, steps=1)
    assert silent["operations"] == "not counted by the compiler"
    assert "(the device does not report its memory)" in silent["memory"]
