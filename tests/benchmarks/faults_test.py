import json
import pathlib
import random
import shutil
import subprocess
import types

import pytest

from benchmarks import fault_kinds, fault_runs, faults
from tests.helpers import forked


def ended(codes=(0,), output="all is well", hung=False):
    return fault_runs.Ended(list(codes), output, 1.0, hung)


@pytest.mark.parametrize(
    ("end", "problem"),
    [
        (ended(), ""),
        (ended(codes=[0, 1]), "exit status [0, 1]"),
        (ended(hung=True), "hung"),
        (ended(output="all is well Traceback (most recent call last)"), "a traceback"),
        (ended(output="done"), "no match for 'well' in its output"),
    ],
)
def test_an_end_that_is_not_as_promised_is_told(end, problem):
    assert fault_runs.problem_with(end, "well", [0]) == problem


@pytest.mark.parametrize(
    ("end", "problem"),
    [
        (ended([-9, 75], "another process of this run has stopped"), ""),
        (ended([-9, 0], ""), ""),
        (ended([-9, 75], ""), "a survivor does not explain why it ended"),
        (ended([-9, 134], ""), "a survivor's exit status is 134"),
        (ended([-9, -9], "", hung=True), "hung"),
    ],
)
def test_survivors_end_with_a_sentence(end, problem):
    assert faults.survivors(end) == problem


@pytest.mark.parametrize("how", ["cut short", "bit flipped", "emptied", "removed"])
def test_damage_changes_a_file(tmp_path, how):
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    fault_runs.damage(path, how, random.Random(0))
    left = path.read_bytes() if path.exists() else None
    flipped = left is not None and sum(bin(a ^ b).count("1") for a, b in zip(left, b"0123456789")) == 1
    assert left == {"cut short": b"01234", "emptied": b"", "removed": None}.get(how, left)
    assert flipped == (how == "bit flipped")


def test_what_is_half_written_is_found(tmp_path):
    whole = ("run/metrics.json", "run/tensorboard/empty")
    for name in (*whole, "run/.metrics.json.5.tmp", "run/empty", "data/incomplete.x/a"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("" if "empty" in name else "text")
    assert sorted(fault_runs.leftovers(tmp_path)) == ["data/incomplete.x", "run/.metrics.json.5.tmp", "run/empty"]


class Forked(forked.Program):
    """Takes the place of `subprocess.Popen`, without the seconds of imports."""

    def __init__(self, command, *, stdout, **_):
        self._log = pathlib.Path(stdout.name)
        super().__init__(*command[1:])

    def wait(self, timeout):
        super().wait(timeout)
        self._log.write_text(self.text("out") + self.text("err"))
        shutil.rmtree(self.folder)


@pytest.fixture
def short_runs(monkeypatch):
    """Runs of 24 steps; the one that only compiles is left out."""
    run, names = fault_runs.run, ("DEVNULL", "TimeoutExpired")
    forking = types.SimpleNamespace(Popen=Forked, **{name: getattr(subprocess, name) for name in names})
    fields = {"steps": 24, "log_every": 1}
    monkeypatch.setattr(fault_runs, "FLAGS", fault_runs.FLAGS | fields)
    monkeypatch.setattr(fault_runs, "subprocess", forking)
    compiled = ended(output="report ")
    monkeypatch.setattr(fault_runs, "run", lambda to, *n: compiled if "compiles" in to.name else run(to, *n))


def test_a_fault_from_its_injection_to_the_table(tmp_path, capsys, short_runs):
    campaign = faults.Campaign(tmp_path / "root", seed=0)
    campaign.undisturbed(1)
    inject = fault_kinds.kinds(campaign.root)["config.json damaged"]
    folder = campaign.root / "disturbed"
    problem, end, recovers = inject(folder, random.Random(0))
    assert (problem, recovers) == ("", True)
    assert campaign.differs(folder) == ""
    metrics = folder / "run" / "metrics.json"
    metrics.write_text(json.dumps(json.loads(metrics.read_text()) | {"step": 38}))
    assert "best" in campaign.differs(folder)
    campaign.count("a fault", campaign.differs(folder), end.seconds, folder)
    campaign.count("a fault", "", 3.0)
    assert campaign.report() == 1
    assert "| a fault | 2 | 1 | 1 |" in capsys.readouterr().out
