"""The table of pods.md is resumed, and slow steps are given up (5 s of CPU); nothing is compiled."""

import json
import os

import pytest

from benchmarks import roofline, topologies
from blur_jax.evaluate.figures import to_webp
from blur_jax.train import pod

COST = pod.Cost(2**20, 2 * 2**20, 3 * 2**20, 1234, flops=9.85e9, accessed=8.19e8, cycles=1_500_000, compile_seconds=9.0)
RESULT = COST._asdict() | {"cpu_seconds": 61}
ON_GPU = RESULT | {"code": 0, "flops": None, "accessed": None, "cycles": None}
FAILURE = {"failure": "not compiled within 1,200 CPU s"}


def test_what_was_measured_is_kept(tmp_path, monkeypatch):
    path, measured = tmp_path / "results.json", []

    def measure(network, name):
        if len(measured) == 2:
            raise KeyboardInterrupt
        measured.append((network, name))
        return RESULT

    monkeypatch.setattr(topologies, "measure", measure)
    with pytest.raises(KeyboardInterrupt):
        topologies.run(path, ["small", "resnet18"], ["v5e:2x4", "v6e:8x8"])
    assert measured == [("small", "v5e:2x4"), ("small", "v6e:8x8")]
    measured.clear()
    results = topologies.run(path, ["small", "resnet18"], ["v5e:2x4", "v6e:8x8"])
    assert measured == [("resnet18", "v5e:2x4"), ("resnet18", "v6e:8x8")]
    assert results == json.loads(path.read_text()) == dict.fromkeys(["small", "resnet18"], results["small"])


def test_rows_hold_what_a_dry_run_reports():
    cells = ["small", "v5e:2x4", "32 + 32", "1, 2, 3", "1,234"]
    # 1.5e6 cycles at 1.5 GHz; 128 images on each chip; 9.85e9 of 197e12 operations per second are 0.05 ms.
    assert topologies.row("small", "v5e:2x4", RESULT) == [
        *cells, "9.8", "0.82", "1.00", "128,000", "memory", "5.0%", "61"
    ]  # fmt: skip
    assert topologies.row("small", "cuda:h200:8", ON_GPU) == [
        *["small", "cuda:h200:8", "32 + 32", "1, 2, not counted", "1,234"], *[""] * 6, "61"
    ]  # fmt: skip
    for row in topologies.row("small", "v5e:2x4", RESULT), topologies.row("small", "v5e:2x4", FAILURE):
        assert len(row) == len(topologies.HEADER)
    assert "not compiled within 1,200 CPU s" in topologies.row("small", "v5e:2x4", FAILURE)


def test_each_network_is_one_point_for_each_kind_of_chip_with_estimates():
    results = {
        "small": {"v5e:2x4": RESULT, "v5e:4x8": RESULT, "v6e:8x8": RESULT, "cuda:h200:8": ON_GPU},
        "resnet50": {"v5e:2x4": FAILURE, "v5p:4x4x4": RESULT},
    }
    points = topologies.points(results)
    assert [(point.network, point.chip) for point in points] == [
        *[("small", "v5e"), ("small", "v6e")], ("resnet50", "v5p")
    ]  # fmt: skip
    assert points[0].intensity == pytest.approx(9.85 / 0.819) and points[0].speed == pytest.approx(9.85e12)
    assert to_webp(roofline.draw(points))[8:12] == b"WEBP"


def compile_forever(network, name):
    while True:
        pass


def crash(network, name):
    os._exit(1)


def test_a_step_that_takes_too_long_is_given_up(monkeypatch):
    monkeypatch.setattr(topologies, "compile_step", compile_forever)
    assert topologies.measure("small", "v5e:2x4", limit=2) == {"failure": "not compiled within 2 CPU s"}
    monkeypatch.setattr(topologies, "compile_step", crash)
    assert topologies.measure("small", "v5e:2x4", limit=1000)["failure"].startswith("the compiler crashed after ")
