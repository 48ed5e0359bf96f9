import pytest

from benchmarks import degradations, timing, train_step


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


def test_all_ways_to_convolve_give_one_image(capsys, monkeypatch):
    monkeypatch.setattr(degradations, "PAIRS", 4)
    degradations.run(16, repeats=1)
    assert capsys.readouterr().out.count(" ms") == 8
    monkeypatch.setattr(degradations, "shifted_products", lambda draw, light: light)
    with pytest.raises(ValueError, match="differs from the FFT result"):
        degradations.run(16, repeats=1)
