"""From a folder of pictures to decisions: the README's own lines, on a small folder and with a small network."""

import csv
import importlib
import re
import shlex

import numpy as np
import onnxruntime
import pytest

import blur_jax
from blur_jax.runs.threshold import read_threshold
from tests.helpers import forked, photos
from tests.helpers.configs import SMALL_FOLDER
from tests.helpers.paths import ROOT
from tests.helpers.readme import blocks, section

OWN = section("Your own labels")
LINES = [line for line in blocks(OWN, "bash")[0].splitlines() if line.startswith("python ")]
PICTURES = 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the lines have run: the first in a process of its own, as a run needs, and the others in this one."""
    folder = tmp_path_factory.mktemp("own")
    photos.make(folder / "PHOTOS", PICTURES)
    page, train, again, *others = map(shlex.split, LINES)
    assert page[2] == again[2] == "blur_jax.label"  # It serves until it is stopped; tests/label tests it.
    others.insert(0, shlex.split(re.search(r"`(python -m blur_jax\.threshold --checkpoint.*?)`", OWN)[1]))
    arguments = [word.replace("=configs/", f"={ROOT}/configs/") for word in train[2:]]
    launch = forked.Program(
        ROOT / train[1], *arguments, f"--config.data.dir={folder / 'data'}", *SMALL_FOLDER, cwd=folder
    )
    out, err = launch.communicate()
    assert launch.returncode == 0, out[-2000:] + err[-4000:]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for _, _, module, *arguments in others:
            assert importlib.import_module(f"{module}.__main__").main(arguments) == 0, module
    return folder


@pytest.fixture(scope="module")
def rows(folder):
    with open(folder / "run_scores.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_there_is_a_report_and_a_sheet(folder):
    assert "validation pairs" in (folder / "RUN" / "report.html").read_text(encoding="utf-8").lower()
    assert (folder / "run_sheet.html").read_text(encoding="utf-8").count("data:image/") == PICTURES


def test_the_threshold_discards_what_was_asked_for(folder, rows):
    threshold = read_threshold(folder / "RUN")
    assert (threshold.target, threshold.pictures) == (0.1, PICTURES)
    discarded = sum(row["keep"] == "discard" for row in rows)
    assert discarded == len(list((folder / "run_sorted" / "discard").iterdir())) in (2, 3)  # A tenth of 24.


def test_every_way_gives_the_same_scores(folder, rows):
    assert len(rows) == PICTURES
    scorer = blur_jax.load_scorer(folder / "RUN")
    paths = [folder / row["name"] for row in rows]
    blur = scorer.score(paths)
    np.testing.assert_allclose([float(row["blur"]) for row in rows], blur, atol=1e-5)
    session = onnxruntime.InferenceSession(str(folder / "scorer.onnx"))
    (exported,) = session.run(["blur"], {"images": np.stack([scorer.prepare(path) for path in paths])})
    np.testing.assert_allclose(exported, blur, atol=1e-5)
