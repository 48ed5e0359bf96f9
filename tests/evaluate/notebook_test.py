import os
import re
import shutil
import sys
import types
from unittest import mock

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

import blur_jax
from blur_jax.evaluate import evaluation, notebook
from blur_jax.runs import checkpoints
from tests.helpers.paths import ROOT
from tests.helpers.scored import make_run

NOTEBOOK = ROOT / "notebooks" / "analyze_checkpoint.ipynb"


@pytest.fixture(scope="module")
def scorer(shared_run):
    return blur_jax.load_scorer(shared_run[1])


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, gray in (("mine.png", 200), ("other.png", 90)):
        Image.new("RGB", (50, 60), (gray, 100, 50)).save(folder / name)
    (folder / "broken.jpg").write_bytes(b"no picture")
    return folder


def execute(**names):
    """Runs the notebook; returns what it printed, and how many pictures each cell drew."""
    book = nbformat.read(NOTEBOOK, as_version=4)
    resources = {"metadata": {"path": os.path.dirname(NOTEBOOK)}}
    with mock.patch.dict(os.environ, {name: str(value) for name, value in names.items()}):
        NotebookClient(book, timeout=180, resources=resources).execute()
    cells = [cell.get("outputs", []) for cell in book.cells]
    drawn = [sum("image/png" in output.get("data", {}) for output in outputs) for outputs in cells]
    return "".join(output.get("text", "") for outputs in cells for output in outputs), [n for n in drawn if n]


# Jupyter's messaging warns of its own event loop on some platforms; that is not for this project to mend.
@pytest.mark.filterwarnings("default")
def test_the_notebook_runs_and_draws(shared_run, pictures, tmp_path):
    run = shared_run[1]
    archive = shutil.make_archive(str(tmp_path / "other"), "zip", run.parent, run.name)
    names = {"BLUR_JAX_OTHER_RUN": archive, "BLUR_JAX_PICTURES": pictures, "BLUR_JAX_FETCHED": tmp_path}
    text, drawn = execute(BLUR_JAX_RUN=run, **names)
    # Own pictures, their parts, the calibration, training, four of the test split, mistaken labels, both scorers twice.
    assert drawn == [1, 1, 1, 1, 4, 1, 2]
    assert f"step {checkpoints.find(run).step}, backbone small" in text
    assert "mine.png" in text and re.search(r"not scored: .*broken.jpg: it is damaged", text)
    assert "No threshold: " in text  # Two pictures are too few for one.
    assert "test, gaussian" in text and "(10 pairs)" in text
    assert (
        "blur: the checkpoints differ by 0.000 on average" in text
        and "blur_percentile: the checkpoints differ by 0.000" in text
    )


@pytest.mark.filterwarnings("default")
def test_the_notebook_runs_where_there_are_neither_data_nor_pictures(shared_run, tmp_path):
    run = make_run(tmp_path / "run", name="mine")  # Of data that nobody can prepare.
    shutil.copy(shared_run[1] / "metrics.jsonl", run)
    archive = shutil.make_archive(str(tmp_path / "other"), "gztar", run.parent, run.name)
    names = {"BLUR_JAX_OTHER_RUN": "", "BLUR_JAX_PICTURES": "", "BLUR_JAX_DATA": tmp_path, "BLUR_JAX_FETCHED": tmp_path}
    text, drawn = execute(BLUR_JAX_RUN=f"file://{archive}", **names)
    assert drawn == [1, 1, 1, 1]  # Two that say there is no picture, the calibration, training.
    assert "This run's data are not on this machine, so this part is skipped (no prepared data" in text
    assert "There are no pictures to show." in text and "No second run to compare with" in text


def test_the_notebook_is_committed_without_outputs():
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


def test_pictures_are_scored_and_bad_ones_named(scorer, pictures):
    scored = notebook.score_pictures(scorer, str(pictures))
    assert [os.path.basename(name) for name in scored.names] == ["mine.png", "other.png"]
    np.testing.assert_allclose(scored.blur, scorer.score(scored.names), atol=1e-6)
    np.testing.assert_array_equal(scored.images[1], scorer.prepare(pictures / "other.png"))
    assert list(scored.failed) == [str(pictures / "broken.jpg")]
    assert len(notebook.score_pictures(scorer, str(pictures), most=2).names) == 1  # broken.jpg comes first.
    none = notebook.score_pictures(scorer, None)
    assert none.images.shape == (0, 32, 32, 3) and none.blur.shape == (0,) and none.failed == {}


def test_the_table_has_all_columns_and_is_sorted(scorer, pictures):
    scored = notebook.score_pictures(scorer, str(pictures))
    head, *rows = notebook.table_text(scorer, scored, keep_below=2.0).splitlines()
    assert head.split() == [*scorer.columns(scored.blur, keep_below=2.0), "name"] and "keep" in head
    assert [float(row.split()[0]) for row in rows[:2]] == sorted(round(float(blur), 3) for blur in scored.blur)
    assert rows[0].split()[-2] == "keep" and "broken.jpg" in rows[2]
    assert "... 1 more" in notebook.table_text(scorer, scored, most=1)
    assert notebook.notes(scorer, scored) == ["mine.png", "other.png"]
    assert notebook.notes(scorer, scored, keep_below=0.0) == ["discard", "discard"]


def test_a_threshold_for_a_share():
    keep_below, text = notebook.choose_threshold(np.arange(100) / 100, 0.1)
    assert keep_below == pytest.approx(0.895) and "10.0% (10 of 100" in text
    keep_below, text = notebook.choose_threshold(np.array([0.1, 0.2]), 0.1)
    assert keep_below is None and text.startswith("No threshold: ")


def test_two_scorers_are_compared_on_the_pictures_or_else_on_test_faces(scorer, pictures):
    scored, none = (notebook.score_pictures(scorer, path) for path in (str(pictures), None))
    text, drawn = notebook.compare(scorer, scorer, ("a", "b"), scored, [])
    assert text.splitlines()[0] == "blur: the checkpoints differ by 0.000 on average" and len(drawn) == 2
    splits, pairs = evaluation.evaluations(scorer.config, evaluation.score_data(scorer.config, scorer))
    text, drawn = notebook.compare(scorer, scorer, ("a", "b"), none, splits)
    assert len(drawn[0].axes[0].collections[0].get_offsets()) == 25
    assert notebook.compare(scorer, scorer, ("a", "b"), none, [])[1] == []
    assert "(25 faces)" in notebook.metrics_text(splits, pairs) and "(10 pairs)" in notebook.metrics_text(splits, pairs)


def test_a_threshold_of_another_checkpoint_is_left_out(scorer, pictures, monkeypatch):
    scored = notebook.score_pictures(scorer, str(pictures))
    refused = mock.Mock(side_effect=ValueError("was chosen for the scores of another checkpoint"))
    monkeypatch.setattr(type(scorer), "columns", refused)
    assert "keep" not in notebook.table_text(scorer, scored)
    assert len(notebook.notes(scorer, scored)) == len(scored.names)


def test_uploads_of_colab_are_collected(tmp_path, monkeypatch):
    assert notebook.collect_pictures(None) is None and notebook.collect_pictures("a/b") == "a/b"
    files = types.SimpleNamespace(upload=lambda: {"../a.png": b"one"})
    monkeypatch.setitem(sys.modules, "google.colab", types.SimpleNamespace(files=files))
    folder = tmp_path / "uploads"
    assert notebook.collect_pictures(None, str(folder)) == str(folder)
    assert (folder / "a.png").read_bytes() == b"one"
    files.upload = dict
    assert notebook.collect_pictures(None, str(folder)) is None
