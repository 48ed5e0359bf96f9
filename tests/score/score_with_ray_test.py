"""The example of scoring through Ray Data, on a cluster of this machine alone."""

import importlib
import os
import subprocess
import sys
import types

import numpy as np
import pytest
from pyarrow import parquet

from tests.helpers.paths import ROOT

pytest.importorskip("ray", reason="needs Ray: pip install blur_jax[ray]")
EXAMPLES = ROOT / "examples"

# A small cluster in a process of its own: two cores, without the pages that show what it does.
PROGRAM = """
import sys, ray
ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100_000_000, log_to_driver=False)
import score_with_ray
score_with_ray.main(*sys.argv[1:])
"""


def test_ray_gives_the_same_scores(run, scorer, photos, tmp_path):
    (photos / "bad.png").write_text("not a picture")
    env = os.environ | {"PYTHONPATH": os.pathsep.join([os.environ["PYTHONPATH"], str(EXAMPLES)])}
    env |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DATA_DISABLE_PROGRESS_BARS": "1"}
    arguments = [str(path) for path in (run, photos, tmp_path / "scores")] + ["8"]  # More workers than CPUs.
    command = [sys.executable, "-c", PROGRAM, *arguments]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = sorted(parquet.read_table(tmp_path / "scores").to_pylist(), key=lambda row: row["name"])
    good, bad = [row for row in rows if row["status"] == "ok"], [row for row in rows if row["status"] == "failed"]
    expected = scorer.score(sorted(photos.glob("[0-9]*.png")))
    np.testing.assert_allclose([row["blur"] for row in good], expected, atol=1e-5)
    assert [(os.path.basename(row["name"]), "damaged" in row["reason"]) for row in bad] == [("bad.png", True)]
    assert set(rows[0]) >= {"name", "status", "reason", "blur", "sharpness", "blur_percentile"}


@pytest.fixture
def example(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    return importlib.import_module("score_with_ray")


def cluster(cpus, free):
    """A cluster of which some CPUs are taken by other jobs; Ray leaves out a resource of which nothing is free."""
    free = {"CPU": float(free)} if free else {}
    return types.SimpleNamespace(
        is_initialized=lambda: True, cluster_resources=lambda: {"CPU": float(cpus)}, available_resources=lambda: free
    )


@pytest.mark.parametrize(
    ("cpus", "free", "workers", "started"), [(2, 2, "8", 1), (2, 2, "2", 1), (16, 16, "8", 8), (16, 4, "8", 3)]
)
def test_no_more_workers_are_started_than_the_cluster_has_free_cpus_for(
    example, monkeypatch, capsys, cpus, free, workers, started
):
    monkeypatch.setattr(example, "ray", cluster(cpus, free))
    assert example.bounded(workers) == started
    assert (f"{workers} workers do not fit: {free} CPUs are free" in capsys.readouterr().out) == (
        started < int(workers)
    )


@pytest.mark.parametrize(
    ("cpus", "free", "workers", "message"),
    [
        (1, 1, "1", "1 of the cluster's 1 CPUs are free, but 2 are needed"),
        (8, 0, "1", "0 of the cluster's 8 CPUs are free.*wait for other jobs"),
        *((8, 8, workers, f"at least 1, not '{workers}'") for workers in ("0", "-1", "1.5", "all")),
    ],
)
def test_what_would_wait_forever_is_refused(example, monkeypatch, cpus, free, workers, message):
    monkeypatch.setattr(example, "ray", cluster(cpus, free))
    with pytest.raises(SystemExit, match=message):
        example.bounded(workers)
