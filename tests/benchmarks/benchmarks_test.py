"""The timing helper, and that the benchmarks of training follow the code they measure."""

import re

import pytest

from benchmarks import degradations, growth, input_pipeline, scaling, scaling_child, startup, timing, train_step
from blur_jax.data import splits


def test_functions_take_turns_and_the_round_that_compiles_does_not_count(monkeypatch):
    clock, calls = [0.0], []

    def call(name, *durations):
        durations = iter(durations)

        def function():
            calls.append(name)
            clock[0] += next(durations)

        return function

    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock[0])
    functions = {"a": call("a", 100.0, 1.0, 5.0, 2.0), "b": call("b", 100.0, 4.0, 4.0, 9.0)}
    assert timing.seconds(functions, repeats=3) == {"a": 2.0, "b": 4.0}
    assert calls == ["a", "b"] * 4


def test_the_train_step_is_timed_with_and_without_a_part(config, capsys, monkeypatch):
    for name in ("without augmentation", "without both"):  # Each takes seconds to compile.
        monkeypatch.delitem(train_step.VARIANTS, name)
    train_step.run(config, repeats=1)
    header, *lines = capsys.readouterr().out.splitlines()
    assert header == "small float32, {'labeled': 8, 'unlabeled': 8} pairs of 32 px"
    assert [line.split("  ")[0] for line in lines] == list(train_step.VARIANTS)
    assert ["of the step" in line for line in lines] == [False, True]


def test_a_step_of_another_size_or_batch_and_more_data_have_a_line(config, capsys):
    growth.steps(config, sizes=(24,), factors=(2,), repeats=1)
    growth.data(config, 40)
    lines = capsys.readouterr().out.splitlines()
    batch = config.batch
    named = ("images of 24 px", f"{2 * batch.labeled} + {2 * batch.unlabeled} pairs of {config.data.image_size} px")
    for line, name in zip(lines[1:3], named):
        milliseconds, images, mebibytes = re.fullmatch(
            rf"{re.escape(name)} +([\d.]+) .* ms +(\d+) .* images/s +(\d+) MiB", line
        ).groups()
        assert float(milliseconds) > 0 and int(images) > 0 and int(mebibytes) > 0
    assert lines[-1].strip().startswith("40 pictures: prepared in") and "second" in lines[-1]


def test_all_ways_to_convolve_give_one_image(capsys, monkeypatch):
    monkeypatch.setattr(degradations, "PAIRS", 4)
    degradations.run(16, repeats=1)
    assert capsys.readouterr().out.count(" ms") == 8
    monkeypatch.setattr(degradations, "shifted_products", lambda draw, light: light)
    with pytest.raises(ValueError, match="differs from the module"):
        degradations.run(16, repeats=1)


def test_the_loader_is_timed_beside_decoding_and_the_step(config, capsys, monkeypatch):
    monkeypatch.setattr(input_pipeline, "_BATCHES", 3)
    monkeypatch.setattr(input_pipeline, "_STEPS", 2)
    decoded = []
    decode = splits._Images._decode
    monkeypatch.setattr(splits._Images, "_decode", lambda self, row: decoded.append(row) or decode(self, row))
    input_pipeline.run(config, repeats=1)
    header, *lines = capsys.readouterr().out.splitlines()
    assert header == "32 images of 32 px in a batch; median [quartiles] of 1 rounds"
    units = ["images/s"] * 3 + ["ms"] * 2 + ["%"]
    assert [line.split()[-1] for line in lines] == units
    assert all(float(line.split()[-4]) > 0 for line in lines[:-1])
    assert len(decoded) >= 2 * 3 * 32  # The warm-up and the round that counts, of decoding alone.


def test_a_start_is_timed_from_the_process_to_the_first_step(config, demo_dir, subprocess_env, monkeypatch):
    monkeypatch.setattr(startup.os, "environ", subprocess_env)
    flags = [
        f"--config.data.dir={demo_dir}",
        "--config.data.image_size=32",
        f"--config.data.sources={config.data.sources}",
    ]
    flags += [f"--config.batch.{part}=8" for part in ("labeled", "unlabeled")]
    found = startup.start(flags, subprocess_env["JAX_COMPILATION_CACHE_DIR"])
    assert list(found["phases"])[-2:] == ["first step", "start to first step"]
    assert {"flags", "imports", "open the data", "initial state"} < set(found["phases"])
    assert all(seconds >= 0 for seconds, _ in found["phases"].values())
    assert sum(found["programs"].values()) > 3
    with pytest.raises(RuntimeError, match="sources=00000000 is not prepared"):
        startup.start([*flags, "--config.data.sources=00000000"], subprocess_env["JAX_COMPILATION_CACHE_DIR"])


def test_cold_and_warm_starts_have_medians_and_ranges(monkeypatch, capsys):
    seconds = iter([9.0, 2.0, 7.0, 1.0, 11.0, 3.0])

    def start(arguments, folder):
        return {"phases": {"imports": [next(seconds), 0.5]}, "programs": {"loaded": 1, "compiled": 0}}

    monkeypatch.setattr(startup, "start", start)
    startup.run([], runs=3)
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("imports")]
    assert lines == [
        ["imports", "9.00", "(7.00-11.00)", "0.50", "(0.50-0.50)"],
        ["imports", "2.00", "(1.00-3.00)", "0.50", "(0.50-0.50)"],
    ]


def test_all_reduced_bytes_are_those_of_all_results():
    program = """
      %all-reduce.1 = (f32[3,3,3,32]{3,2,1,0}, bf16[32]{0}, f32[]) all-reduce(%a, %b, %c), channel_id=1
      ROOT %all-reduce-start = s32[2,5]{1,0} all-reduce-start(%d), channel_id=2
      %add = f32[1000]{0} add(%all-reduce.1, %e)
    """
    assert scaling_child.all_reduced_bytes(program) == 4 * 3 * 3 * 3 * 32 + 2 * 32 + 4 + 4 * 10


def test_a_ring_sends_nearly_twice_the_bytes():
    assert scaling.all_reduce_seconds(4e6, 1, 1e9) == 0
    assert scaling.all_reduce_seconds(4e6, 8, 1e9) == pytest.approx(7e-3)


def test_a_step_reduces_the_gradients(config):
    found = scaling_child.measure(config, repeats=1)
    assert found["images"] == 32
    # Beside the gradients, only a few numbers: metrics and counts.
    assert 0 < found["all_reduced_bytes"] - found["trained_bytes"] <= 64
    assert 0 < found["handed_over"] < 1


def test_each_layout_has_a_line(monkeypatch, capsys):
    seconds = {"whole": 4.0, "without collectives": 3.0}
    found = {"seconds": seconds, "cpu": seconds, "collectives": 0.25, "handed_over": 0.01}
    found |= {"trained_bytes": 1000, "all_reduced_bytes": 1028}
    monkeypatch.setattr(scaling, "start", lambda processes, devices, options: found)
    scaling.run({"pairs": 8, "image_size": 64, "backbone": "small", "repeats": 1})
    lines = capsys.readouterr().out.splitlines()
    assert lines[5].split() == ["1", "x", "8", "4.000", "0.500", "0.375", "25.0%", "1.0%", "1,028"]
    assert len([line for line in lines if " x " in line]) == 1 + len(scaling.LAYOUTS)


def test_a_layout_that_fails_says_how(subprocess_env, monkeypatch):
    monkeypatch.setattr(scaling.os, "environ", subprocess_env)
    with pytest.raises(RuntimeError, match="(?s)1 x 2 devices failed: .*KeyError: 'pairs'"):
        scaling.start(1, 2, {})
