"""The timing helper, and that the benchmark of the train step follows the code it measures."""

from benchmarks import timing, train_step


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
    monkeypatch.delitem(train_step.VARIANTS, "without augmentation")  # Each takes seconds to compile.
    train_step.run(config, repeats=1)
    header, *lines = capsys.readouterr().out.splitlines()
    assert header == "small float32, {'labeled': 8, 'unlabeled': 8} pairs of 32 px"
    assert [line.split("  ")[0] for line in lines] == list(train_step.VARIANTS)
    assert ["of the step" in line for line in lines] == [False, True]
