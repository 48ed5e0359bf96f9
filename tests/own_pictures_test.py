"""From a folder of pictures to decisions: the README's own lines, on a small folder and with a small network."""

import csv
import os
import shlex
import subprocess
import sys

import numpy as np
import onnxruntime
import pytest

import blur_jax
from blur_jax.runs.threshold import read_threshold
from tests.helpers import photos
from tests.helpers.paths import ROOT
from tests.helpers.readme import blocks, section

LINES = [line for line in blocks(section("Your own pictures"), "bash")[0].splitlines() if line.startswith("python ")]
# The network and the training of the line are too large for a test; the lines themselves stay as they are.
SMALL = [
    "--config.steps=4",
    "--config.checkpoint_every=4",
    "--config.batch.labeled=4",
    "--config.batch.unlabeled=4",
    "--config.data.image_size=32",
    "--config.model.blocks=2",
    "--config.model.pretrained=False",
    "--config.model.frozen_blocks=0",
    "--config.optimizer.warmup_steps=1",
    "--config.evaluation.resamples=20",
]
PICTURES = 24


@pytest.fixture(scope="module")
def after(tmp_path_factory):
    """Where the lines have run, and what each printed."""
    folder = tmp_path_factory.mktemp("own")
    photos.make(folder / "PHOTOS", PICTURES)
    env = os.environ | {"BLUR_JAX_DATA": str(folder / "data")}
    printed = []
    for line in LINES:
        words = shlex.split(line)
        arguments = [str(ROOT / words[1]), *words[2:], *SMALL] if words[1] == "launch.py" else words[1:]
        arguments = [a.replace("=configs/", f"={ROOT}/configs/") for a in arguments]
        done = subprocess.run(
            [sys.executable, *arguments], cwd=folder, env=env, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        printed.append(done.stdout)
    return folder, printed


def test_at_most_five_commands_with_the_installation():
    assert len(LINES) == 4
    assert [line.split()[1:3][-1] for line in LINES[1:]] == ["blur_jax.threshold", "blur_jax.score", "blur_jax.export"]


def test_the_report_is_there(after):
    assert "validation pairs" in (after[0] / "RUN" / "report.html").read_text(encoding="utf-8").lower()


def test_the_threshold_discards_what_was_asked_for(after):
    folder, printed = after
    threshold = read_threshold(folder / "RUN")
    assert (threshold.target, threshold.pictures) == (0.1, PICTURES)
    assert f"scored {PICTURES} of {PICTURES}" in printed[1]
    with open(folder / "scores.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert sum(row["keep"] == "discard" for row in rows) in (2, 3)  # A tenth of 24.


def test_every_way_gives_the_same_scores(after):
    folder, _ = after
    with open(folder / "scores.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == PICTURES
    scorer = blur_jax.load_scorer(folder / "RUN")
    paths = [folder / row["name"] for row in rows]
    blur = scorer.score(paths)
    np.testing.assert_allclose([float(row["blur"]) for row in rows], blur, atol=1e-5)
    session = onnxruntime.InferenceSession(str(folder / "scorer.onnx"))
    images = np.stack([scorer.prepare(path) for path in paths])
    (exported,) = session.run(["blur"], {"images": images})
    np.testing.assert_allclose(exported, blur, atol=1e-5)


def test_the_sheet_shows_them(after):
    page = (after[0] / "sheet.html").read_text(encoding="utf-8")
    assert page.count("data:image/") == PICTURES
