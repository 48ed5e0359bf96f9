"""The replay of labeling: what the oracle knows and says, and what is summed up (3 s)."""

import json
import os

import numpy as np
import pytest

from experiments import active_labeling, active_labeling_summary
from experiments.active_labeling import Axis, Oracle
from experiments.active_labeling_summary import RANDOM

PAGE = "picker of the page"


def test_levels_are_those_that_the_pairs_leave():
    """Of 0 < 1 < 2 all are known; 3 < 2 leaves 0 and 1 for 3, and 4 is above 1 but not compared with 2."""
    sharper, blurrier = np.array([[0, 1], [1, 2], [3, 2], [1, 4]]).T
    assert active_labeling.known_levels(sharper, blurrier, 6).tolist() == [0, 1, 2, -1, 2, -1]


def test_wrong_answers_reverse_an_order_and_order_a_tie():
    rng = np.random.default_rng(0)
    assert [active_labeling._noisy(order, 0.0, rng) for order in (1, 0, -1)] == [1, 0, -1]
    assert {active_labeling._noisy(1, 1.0, rng) for _ in range(20)} == {-1}
    assert {active_labeling._noisy(0, 1.0, rng) for _ in range(20)} == {-1, 1}
    wrong = np.mean([active_labeling._noisy(1, 0.1, rng) == -1 for _ in range(4000)])
    assert wrong == pytest.approx(0.1, abs=0.02)


@pytest.fixture(scope="module")
def oracle():
    """Blur is the first of 6 features, plus noise."""
    rng = np.random.default_rng(0)
    levels, ranks = rng.integers(3, size=300), rng.integers(2, size=200)
    features, test = (rng.standard_normal((len(blur), 6)).astype(np.float32) for blur in (levels, ranks))
    features[:, 0] += 2 * levels
    test[:, 0] += 3 * ranks
    faces = Axis({"test": (test, ranks.astype(np.float32), np.full(200, 40, np.float32))}, ["test"], [])
    return Oracle(features, levels, np.full(300, 40, np.float32), {"near": faces, "far": faces})


@pytest.mark.parametrize("picker", active_labeling.PICKERS)
def test_every_picker_learns(oracle, picker):
    found = active_labeling.replay(oracle, picker, 0, 0.0, [10, 60])
    assert set(found) == {10, 60} and found[60]["near"] == found[60]["far"] > 0.95
    assert 0.1 < found[60]["ties"] < 0.9


def test_a_replay_depends_on_the_seed_alone(oracle):
    first, again, other = (active_labeling.replay(oracle, PAGE, seed, 0.1, [15]) for seed in (1, 1, 2))
    assert first == again != other


def test_differences_are_paired_by_seed(tmp_path, capsys):
    """Seeds differ widely, and the pickers always by the same: the difference is sure."""
    auc = {(RANDOM, 50): 0.0, (RANDOM, 100): 0.1, (PAGE, 50): 0.12}
    found = {
        ("wider", picker, 0.0, seed): {
            count: {"near": 0.5 + 0.1 * seed + gain, "far": 0.4, "ties": 0.25}
            for (name, count), gain in auc.items()
            if name == picker
        }
        for picker in (RANDOM, PAGE)
        for seed in range(3)
    }
    active_labeling.publish(str(tmp_path), found, [50, 100], 3)
    text = capsys.readouterr().out
    assert "| random pairs, near | 0.600 [0.352, 0.848] | 0.700 [0.452, 0.948] |" in text  # 4.303 * 0.1 / sqrt(3).
    assert (
        "| minus 100 random, near | +0.020 [+0.020, +0.020] |  |" in text
        and "| ties, random pairs | 25% | 25% |" in text
    )
    assert (
        json.loads((tmp_path / "active_labeling.json").read_text())["wider / random pairs / 0.0 / 2"]["100"]["ties"]
        == 0.25
    )
    assert os.path.getsize(tmp_path / "active_labeling.webp") > 1000
    one = active_labeling_summary.over_seeds(np.array([0.5]))
    assert one == {"value": 0.5, "low": None, "high": None}
