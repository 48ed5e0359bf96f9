"""The example of scoring through Ray Data, on a cluster of this machine alone."""

import os
import subprocess
import sys

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
    arguments = [str(path) for path in (run, photos, tmp_path / "scores")]
    command = [sys.executable, "-c", PROGRAM, *arguments]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = sorted(parquet.read_table(tmp_path / "scores").to_pylist(), key=lambda row: row["name"])
    good, bad = [row for row in rows if row["status"] == "ok"], [row for row in rows if row["status"] == "failed"]
    expected = scorer.score(sorted(photos.glob("[0-9]*.png")))
    np.testing.assert_allclose([row["blur"] for row in good], expected, atol=1e-5)
    assert [(os.path.basename(row["name"]), "damaged" in row["reason"]) for row in bad] == [("bad.png", True)]
    assert set(rows[0]) >= {"name", "status", "reason", "blur", "sharpness", "blur_percentile"}
