"""The script for a rented GPU, which can only be prepared here: its commands are right, and end in time."""

import importlib.util

from benchmarks import gpu
from configs import default
from tests.helpers.configs import flattened
from tests.helpers.paths import ROOT


def test_the_commands_exist_and_take_less_than_ten_minutes():
    assert sum(limit for limit, _ in gpu.COMMANDS.values()) < 600
    assert [path for path in gpu.TESTS if not (ROOT / path).exists()] == []
    for _, (first, *rest) in gpu.COMMANDS.values():
        assert importlib.util.find_spec(rest[0]) if first == "-m" else (ROOT / first).is_file()


def test_the_fields_that_it_sets_exist():
    known = flattened(default.get_config())
    for _, arguments in gpu.COMMANDS.values():
        fields = [
            argument.partition("=")[0].removeprefix("--config.") for argument in arguments if "--config." in argument
        ]
        assert [field for field in fields if field not in known] == []


def test_output_status_and_time_are_reported():
    found = gpu.run(60, ("-c", "print('measured'); raise SystemExit(3)")).splitlines()
    assert found[2] == "measured" and found[3].startswith("(exit status 3, ") and found[0] == found[-1] == "```"


def test_a_slow_command_is_stopped_and_keeps_its_output():
    found = gpu.run(2, ("-u", "-c", "print('early'); import time; time.sleep(60)"))
    assert "early" in found and "(stopped after 2 s, " in found
