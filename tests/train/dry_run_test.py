"""What a run would take is measured on the state, the step and the batches of training, and nothing is written."""

import dataclasses
import pathlib

import jax
import numpy as np
import pytest

from blur_jax.train import dry_run, loop
from blur_jax.train import start as run_start
from tests.helpers import runs

PARAMETERS = 71553  # Of the small network.


def files(*folders):
    return {path: path.stat().st_mtime_ns for folder in folders for path in pathlib.Path(folder).rglob("*")}


def test_the_facts_of_the_demo(config):
    facts = dry_run.measure(config)
    assert (facts.devices, facts.processes) == (1, 1)
    assert (facts.labeled_batch, facts.unlabeled_batch, facts.images_per_step) == (8, 8, 32)
    assert (facts.labeled_pairs, facts.unlabeled_pairs, facts.validation_pairs) == (24, 16, 10)
    assert (facts.trained, facts.frozen) == (PARAMETERS, 0)
    # Parameters and Adam's two moments, three counters, 32 images and 8 labels; all of the state is updated in place.
    state = 4 * (3 * PARAMETERS + 3)
    assert facts.argument_bytes == state + 32 * 32 * 32 * 3 + 8
    assert facts.donated_bytes == state
    assert facts.bytes == facts.argument_bytes + facts.output_bytes - state + facts.temporary_bytes
    assert facts.temporary_bytes > 32 * 32 * 32 * 3 * 4  # At least the images as float32.
    assert facts.flops > 6 * PARAMETERS * 32  # Each parameter is used for each image, at many positions.
    assert facts.limit_bytes is None  # CPUs do not say.
    assert facts.compile_seconds > 0
    assert len(facts.step_seconds) >= 5 and min(facts.step_seconds) > 0
    assert (facts.first_step, facts.steps) == (0, 6)


def test_frozen_parameters_and_a_batch_without_unlabeled_pairs(config):
    config.model.backbone, config.model.blocks, config.model.frozen_blocks = "efficientnet_lite0", 2, 1
    config.consistency.quadruplet_weight = 0.0
    facts = dry_run.measure(config)
    params = runs.initial_params(config)
    frozen = [params["backbone"]["stem"], params["backbone"]["block00"]]
    assert facts.frozen == sum(leaf.size for leaf in jax.tree.leaves(frozen))
    assert facts.trained + facts.frozen == sum(leaf.size for leaf in jax.tree.leaves(params))
    assert (facts.unlabeled_batch, facts.unlabeled_pairs, facts.images_per_step) == (0, 0, 16)


@pytest.mark.parametrize(
    ("topology", "devices"), [({"devices": 8}, "8 x cpu, 1 process"), ({"processes": 2}, "2 x cpu, 2 process")]
)
def test_batches_are_shared_among_devices_and_processes(config, subprocess_env, tmp_path, topology, devices):
    config.batch.labeled = 16
    output = runs.run(config, tmp_path / "run", subprocess_env, do=("dry run",), **topology)
    assert output.count(devices) == 1  # Said by process 0 alone.
    share = 8 // int(devices[0])
    assert f"16 labeled and 8 unlabeled pairs, on each device {2 * share} and {share}" in output
    assert not list(tmp_path.iterdir())


def test_a_run_that_is_there_is_checked_and_left_as_it_is(config, demo_dir, tmp_path):
    assert loop.train(config, str(tmp_path))
    before = files(tmp_path, demo_dir)
    facts = dry_run.measure(config, str(tmp_path))
    assert facts.first_step == 6
    assert "0 of 6 steps to go, about 0 s" in dry_run.text(facts)
    config.seed = 5
    with pytest.raises(ValueError, match=r"another config \(config\.seed is 0 there, 5 here\)"):
        dry_run.measure(config, str(tmp_path))
    assert files(tmp_path, demo_dir) == before


def test_a_step_that_does_not_fit_into_memory_is_one_sentence(config, monkeypatch):
    def compile_too_large(*_):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 99 bytes.\nand a long dump")

    monkeypatch.setattr(dry_run.distributed, "replicate", compile_too_large)
    with pytest.raises(ValueError, match=r"not fit .*allocating 99 bytes\.\); lower config\.batch\.labeled") as refused:
        dry_run.measure(config)
    assert "\n" not in str(refused.value)


def test_steps_that_end_in_nonsense_are_an_error(config, monkeypatch):
    start = run_start.initial_state

    def poisoned(*args):
        state = start(*args)
        return state.replace(params=jax.tree.map(lambda x: x * np.float32("nan"), state.params))

    monkeypatch.setattr(run_start, "initial_state", poisoned)
    with pytest.raises(FloatingPointError, match=r"state after step 23 is not finite"):
        dry_run.measure(config)


def test_the_text_says_all_of_it():
    facts = dry_run.Facts(
        device="TPU v4", devices=8, processes=2, labeled_batch=64, unlabeled_batch=32, labeled_pairs=5000,
        unlabeled_pairs=70000, validation_pairs=400, faces=9000, trained=1234567, frozen=89, argument_bytes=3 * 2**20,
        output_bytes=2 * 2**20, donated_bytes=2**20, temporary_bytes=2**30, limit_bytes=2**35, flops=5e9,
        compile_seconds=31.44, step_seconds=(0.3, 0.1, 0.2), first_step=1000, steps=91000, images_per_step=192,
    )  # fmt: skip
    assert dry_run.text(facts).splitlines() == [
        "dry run: no run was written",
        "devices     8 x TPU v4, 2 process(es)",
        "data        5000 labeled, 70000 unlabeled and 400 validation pairs; 9000 faces in all",
        "batch       64 labeled and 32 unlabeled pairs, on each device 8 and 4",
        "parameters  1,234,567 trained, 89 frozen",
        "memory      1,028.0 MiB on each device (of 32,768.0 MiB): arguments 3.0 MiB, outputs 2.0 MiB, of these"
        " in place 1.0 MiB, temporaries 1,024.0 MiB",
        "compiling   31.4 s",
        "operations  5 GFLOP a step on each device, 25 GFLOP/s",
        "step        200 ms, median of 3 from 100 to 300; 960 images/s",
        "run         90000 of 91000 steps to go, about 5 h 0 min; validation, checkpoints and evaluation come on top",
    ]
    silent = dry_run.text(dataclasses.replace(facts, flops=None, limit_bytes=None))
    assert "operations  the compiler does not count operations" in silent
    assert "(the device does not say how much it has)" in silent
