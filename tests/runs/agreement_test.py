"""Processes of a run that differ in what must be the same. One pair of processes: 6 s of CPU."""

import json

import portpicker
import pytest

from tests.helpers import forked

PROGRAM = """
import json, sys
import jax
from blur_jax.runs import checkpoints, distributed
from blur_jax.runs.checkpoints import trial
trial.SECONDS_TO_APPEAR = 1
index, port, folder = int(sys.argv[1]), sys.argv[2], sys.argv[3]
distributed.join(f"localhost:{port}", 2, index)

def attempt(function, *args, **kwargs):
    try:
        function(*args, **kwargs)
        return "fine"
    except Exception as error:
        return f"{type(error).__name__}: {error}"

print(json.dumps([
    attempt(distributed.check_agreement, seed=3, names=["a"]),
    attempt(distributed.check_agreement, seed=3 + index, names=["a"] * 9000, steps=5),
    attempt(distributed.check_agreement, **({"only": 1} if index else {})),
    attempt(checkpoints.try_folder, f"{folder}/shared[1]"),
    attempt(checkpoints.try_folder, f"{folder}/{index}"),
]))
"""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    folder, port = tmp_path_factory.mktemp("agreement"), portpicker.pick_unused_port()
    programs = [forked.script(folder, PROGRAM, index, port, folder) for index in range(2)]
    printed = [program.communicate() for program in programs]
    assert [program.returncode for program in programs] == [0, 0], printed
    return [json.loads(out.splitlines()[-1]) for out, _ in printed]


def test_equal_values_agree_and_a_shared_folder_is_accepted(outcomes):
    assert [(one[0], one[3]) for one in outcomes] == [("fine", "fine")] * 2


def test_a_difference_is_refused_on_all_processes_with_its_name_and_both_values(outcomes):
    for one in outcomes:
        assert "DisagreementError" in one[1]
        assert "seed is 3 on process 0, 4 on process 1" in one[1]
        assert "names" not in one[1] and "steps" not in one[1]
        assert "only is None on process 0, 1 on process 1" in one[2]


def test_a_folder_that_hosts_do_not_share_is_refused_on_all_of_them(outcomes):
    for one in outcomes:
        assert "all hosts must share --workdir" in one[4]
