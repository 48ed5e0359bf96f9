"""A step is compiled for chips that are not here, and its cost is described.

The two tests that compile take 45 and 50 s of CPU; they need `pip install -e ".[topology]"`.
"""

import importlib.util
import json
import types
from unittest import mock

import jax
import pytest

from blur_jax.runs.chips import CHIPS, parse
from blur_jax.train import pod, program, start
from blur_jax.train.loop import make_batches
from tests.helpers import forked

MIB = 2**20
# Four bytes for each of ResNet-18's parameters, and for seven metrics and counts. The biases of the three projections
# have the gradients of those that they are added to, so these are summed once.
RESNET = 4 * (11186625 - (128 + 256 + 512) + 7)
COMPILE = """
import json, sys
import jax
from blur_jax.runs import chips, topology
from blur_jax.train import pod
from configs import default, wider_blur

jax.config.update("jax_disable_most_optimizations", False)
where = chips.parse(sys.argv[1])
devices = topology.open_topology(where)
for name in sys.argv[2:]:
    config = {"demo": default, "wider_blur": wider_blur, "resnet": default}[name].get_config()
    config.data.image_size = 32
    config.batch.labeled = config.batch.unlabeled = 4 * len(devices)
    if name == "wider_blur":
        config.model.blocks, config.model.frozen_blocks = 4, 3
    if name == "resnet":
        config.model.backbone = "resnet18"
    cost = pod.compile_step(config, devices, chips.CHIPS[where.chip], effort=-1.0)
    print("cost", json.dumps({name: cost._asdict()}))
"""


def compiled(tmp_path, *arguments):
    """Costs of small steps, {name: Cost}; they run through the same code as the configs' own."""
    program = forked.script(tmp_path, COMPILE, *arguments)
    out, err = program.communicate()
    assert program.returncode == 0, err[-4000:]
    costs = [json.loads(line.removeprefix("cost ")) for line in out.splitlines() if line.startswith("cost ")]
    return {name: pod.Cost(**fields) for cost in costs for name, fields in cost.items()}


@pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason='needs pip install -e ".[topology]"')
def test_the_steps_compile_for_a_tpu_without_look_ups(tmp_path):
    costs = compiled(tmp_path, "v5e:2x2", "demo", "wider_blur", "resnet")
    # A table of noise levels costs 8.7 GB, since a tile is counted for each value, instead of 0.12.
    accessed = {name: cost.accessed for name, cost in costs.items()}
    assert accessed["demo"] < 3e8 and accessed["wider_blur"] < 3e8 and accessed["resnet"] < 1.2e9
    temporaries = {name: cost.temporaries / MIB for name, cost in costs.items()}
    assert temporaries["demo"] < 18 and temporaries["wider_blur"] < 18 and temporaries["resnet"] < 75
    assert min(cost.cycles for cost in costs.values()) > 1e5
    # Four bytes for each trained parameter, and for each of seven metrics and counts; five in wider_blur.
    reduced = {name: cost.all_reduced for name, cost in costs.items()}
    assert reduced["demo"] == 4 * (71553 + 7) and reduced["wider_blur"] < 6e4 and reduced["resnet"] == RESNET


@pytest.mark.skipif(importlib.util.find_spec("jax_cuda13_plugin") is None, reason='needs pip install -e ".[topology]"')
def test_the_steps_compile_for_eight_gpus(tmp_path):
    costs = compiled(tmp_path, "cuda:h200:8", "demo", "resnet")
    assert {name: cost.all_reduced for name, cost in costs.items()} == {"demo": 4 * (71553 + 7), "resnet": RESNET}
    assert costs["demo"].temporaries < 5 * MIB and costs["resnet"].temporaries < 140 * MIB
    assert costs["demo"].cycles is None


def test_shapes_are_those_of_a_run(config):
    config.consistency.distillation_weight, config.probe.strength, config.ema_decay = 1.0, 1.0, 0.9
    model, tx = start.build(config)
    state, batch = start.initial_state(config, model, tx, None), next(make_batches(config, start.open_pairs(config), 0))
    assert same_shapes(start.state_shapes(config, model, tx), state)
    sharded = jax.tree.map(lambda x: x.reshape(4, -1, *x.shape[1:]), batch)
    assert same_shapes(pod.batch_shapes(config, 4), sharded)
    config.consistency.quadruplet_weight = config.consistency.distillation_weight = 0.0
    assert pod.batch_shapes(config, 4).unlabeled is None


def same_shapes(ones, others):
    return jax.tree.map(lambda a, b: (a.shape, a.dtype) == (b.shape, b.dtype), ones, others) == jax.tree.map(
        lambda _: True, ones
    )


def test_what_is_read_from_a_program():
    text = """
      %all-reduce.1 = (f32[64,8]{0,1:T(8,128)S(1)}, /*index=1*/f32[]{:T(128)}) all-reduce(%a, %b), to_apply=%region_0
      %get-tuple-element.9 = f32[64,8]{0,1:T(8,128)} get-tuple-element(%all-reduce.1), index=0
      %all-reduce-start = bf16[10]{0} all-reduce-start(%c), backend_config={"estimated_cycles":"30"}
      %all-reduce-done = bf16[10]{0} all-reduce-done(%all-reduce-start), backend_config={"estimated_cycles":"12"}
    """
    assert program.all_reduce_bytes(text) == 4 * (64 * 8 + 1) + 2 * 10
    assert program.estimated_cycles(text) == 42
    assert program.estimated_cycles("ROOT %add = f32[] add(%x, %y)") is None


COST = pod.Cost(
    5 * MIB, 2 * MIB, 24 * MIB, 286240, flops=9.85e9, accessed=8.19e8, cycles=1_500_000, compile_seconds=61.2
)


def test_the_lines_say_all_of_it(config):
    config.batch.labeled, config.batch.unlabeled = 512, 256
    assert pod.cost_lines(config, parse("v5e:2x4"), COST) == {
        "chips": "8 x v5e (v5e:2x4)",
        "batch": "64 labeled and 32 unlabeled pairs on each chip",
        "memory": "31.0 MiB of 16 GB on each chip: arguments 5.0 MiB, temporaries 2.0 MiB, program 24.0 MiB; it fits",
        "all-reduce": "286,240 bytes per step",
        "compiling": "61 s",
        "operations": "9.85 GFLOP and 0.819 GB accessed per step on each chip",
        # 1.5e6 cycles at 1.5 GHz; 192 images on each chip; 9.85e9 of 197e12 operations per second are 0.05 ms.
        "step": "1 ms by the compiler's estimate (1,500,000 cycles); 192,000 images/s on each chip, 5% of its peak",
        # 8.19e8 of 819e9 bytes per second; 2 * 7/8 * 286240 of 200e9.
        "binds": "memory; at published peaks: matrix products 0.05 ms, memory 1 ms, interconnect 0.0025 ms",
    }
    uncounted = pod.cost_lines(config, parse("cuda:h200:8"), COST._replace(flops=None, accessed=None, cycles=None))
    assert uncounted["step"] == "not estimated by the compiler for h200; interconnect 0.00111 ms at the published peak"
    assert "operations" not in uncounted


@pytest.mark.parametrize(
    "message",
    [
        "Ran out of memory on HBM, the total memory required for HLO temporaries (146.5G) exceeds available HBM"
        " (15.75G).",
        "Ran out of memory in memory space hbm. Used 146.5G of 15.75G hbm. Exceeded hbm capacity by 130.75G.",
    ],
)
def test_the_compiler_says_what_a_step_needs(config, monkeypatch, message):
    def refuse(text):
        def raising(*_):
            raise jax.errors.JaxRuntimeError(text)

        monkeypatch.setattr(pod, "make_step", raising)
        return pod.compile_step(config, jax.devices(), CHIPS["v5e"])

    with pytest.raises(pod.TooLargeError) as refused:
        refuse(f"RESOURCE_EXHAUSTED: {message}")
    assert (refused.value.used, refused.value.limit) == (146.5 * 2**30, 15.75 * 2**30)
    with pytest.raises(jax.errors.JaxRuntimeError, match="1 of 2"):
        refuse("INTERNAL: 1 of 2")


def test_a_gpu_does_not_give_a_step_all_of_its_memory(config, monkeypatch):
    """JAX takes 75% of it, and this compiler does not object."""
    memory = types.SimpleNamespace(
        argument_size_in_bytes=2e9,
        output_size_in_bytes=1.5e9,
        alias_size_in_bytes=1e9,
        temp_size_in_bytes=103e9,
        generated_code_size_in_bytes=0,
    )
    step = mock.Mock()
    step.lower().compile().memory_analysis.return_value = memory
    step.lower().compile().cost_analysis.return_value = None
    step.lower().compile().as_text.return_value = ""
    monkeypatch.setattr(pod, "make_step", lambda *_: step)
    cost = pod.compile_step(config, jax.devices(), CHIPS["h200"])
    assert (cost.arguments, cost.temporaries, cost.flops, cost.cycles) == (2e9, 103.5e9, None, None)
    memory.temp_size_in_bytes = 104e9
    with pytest.raises(pod.TooLargeError) as refused:
        pod.compile_step(config, jax.devices(), CHIPS["h200"])
    assert (refused.value.used, refused.value.limit) == (106.5e9, 105.75e9)


@pytest.fixture
def chips(monkeypatch):
    """Compiles nothing: a step needs `chips.fixed` bytes and `chips.per_pair` for each pair on one of four chips."""

    class Chips:
        fixed, per_pair, tried = 2e6, 5e6, []

        def compile_step(self, config, devices, chip):
            sizes = config.batch.labeled, config.batch.unlabeled
            self.tried.append(sizes)
            if (used := self.fixed + self.per_pair * sum(sizes) / len(devices)) > 1e9:
                raise pod.TooLargeError(used, 1e9)
            return COST

    chips = Chips()
    chips.tried = []
    monkeypatch.setattr(pod, "compile_step", chips.compile_step)
    monkeypatch.setattr(pod, "open_topology", lambda _: jax.devices() * 4)
    return chips


def test_a_batch_that_does_not_fit_is_refused_with_one_that_does(config, chips):
    config.batch.labeled, config.batch.unlabeled = 4096, 1024
    config.consistency.pairs_per_degradation = 2
    with pytest.raises(
        ValueError, match=r"^small on 32 px with .*labeled=4096 and config\.batch\.unlabeled=1024 does not fit"
    ) as refused:
        pod.report(config, parse("v5e:2x2"))
    assert "v5e:2x2" in str(refused.value) and "needs 5.96 GiB of the 0.93 GiB" in str(refused.value)
    labeled, unlabeled = chips.tried[-1]
    assert f"--config.batch.labeled={labeled} --config.batch.unlabeled={unlabeled}" in str(refused.value)
    # 798 pairs in all fit; a step up of 4 labeled or 8 unlabeled pairs would not.
    assert labeled % 4 == 0 and unlabeled % 8 == 0
    assert 798 - 12 < labeled + unlabeled <= 798
    assert labeled == pytest.approx(4 * unlabeled, rel=0.05)


def test_where_no_batch_fits_that_is_said(config, chips):
    chips.fixed = 2e9
    with pytest.raises(ValueError, match="not even the smallest batch fits"):
        pod.report(config, parse("v5e:2x2"))
    assert chips.tried == [(8, 8), (4, 4)]


def test_a_config_is_checked_against_the_chips(config, chips):
    config.batch.labeled = 10
    with pytest.raises(ValueError, match=r"config\.batch\.labeled=10 must be a positive multiple of the 4 devices"):
        pod.report(config, parse("v5e:2x2"))
    config.batch.labeled, config.batch.unlabeled = 8, 8
    config.consistency.pairs_per_degradation = 4
    with pytest.raises(ValueError, match="pairs_per_degradation=4 must divide the 2 unlabeled pairs on each device"):
        pod.report(config, parse("v5e:2x2"))
    config.consistency.pairs_per_degradation = 2
    lines = pod.report(config, parse("v5e:2x2")).splitlines()
    assert lines[0] == "compiled for, not run on"
    assert lines[1] == "chips         4 x v5e (v5e:2x2)"
