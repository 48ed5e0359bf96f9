"""Scorers in forked processes, where JAX would wait forever, and pickled ones."""

import copy
import json
import multiprocessing
import pickle

import numpy as np
import pytest

import blur_jax
from tests.helpers import forked

PROGRAM = """
import importlib, json, os, pickle, signal, sys
import numpy as np
import blur_jax
from blur_jax.runs import forks

def in_child(function):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        try:
            said = function()
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
        os.write(write, json.dumps(said).encode())
        os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    return json.loads(os.read(read, 10_000) or '"hang"')

run = sys.argv[1]
pictures = [np.full((40, 40, 3), gray, np.uint8) for gray in (50, 100, 150)] * 20
found = {"loads where JAX is unused": in_child(lambda: blur_jax.load_scorer(run).score(pictures).tolist())}
xla, onnx = blur_jax.load_scorer(run), blur_jax.load_scorer(run, backend="onnx")
found["here"], pickled = xla.score(pictures).tolist(), pickle.dumps(xla)
begun = xla.score_each(((picture, None) for picture in pictures), batch_size=2)
next(begun)
images = np.stack([xla.prepare(picture) for picture in pictures])
found |= {
    "score": in_child(lambda: xla.score(pictures).tolist()),
    "score_images": in_child(lambda: xla.score_images(images).tolist()),
    "tiles": in_child(lambda: list(xla.score_each([(pictures[0], None)], tiles=True))),
    "load_scorer": in_child(lambda: blur_jax.load_scorer(run).fingerprint),
    "load_scorer onnx": in_child(lambda: blur_jax.load_scorer(run, backend="onnx").fingerprint),
    "unpickled": in_child(lambda: pickle.loads(pickled).score(pictures).tolist()),
    "grandchild": in_child(lambda: in_child(lambda: xla.score(pictures).tolist())),
    "imported after the fork": in_child(lambda: importlib.reload(forks).check()),
    "score_each": in_child(lambda: len(list(begun))),
    "columns": in_child(lambda: xla.columns(np.float32([0.25]))["sharpness"].tolist()),
    "prepare": in_child(lambda: list(xla.prepare(pictures[0]).shape)),
    "onnx": in_child(lambda: onnx.score(pictures).tolist()),
}
found["the parent, later"] = xla.score(pictures).tolist()
begun.close()
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("forked")
    (folder / "program.py").write_text(PROGRAM)
    output, errors = forked.Program(folder / "program.py", str(run), cwd=folder).communicate(timeout=300)
    assert output, errors
    return json.loads(output.splitlines()[-1])


@pytest.mark.parametrize(
    "use",
    [
        *("score", "score_images", "tiles", "load_scorer", "load_scorer onnx", "unpickled", "grandchild"),
        "imported after the fork",
    ],
)
def test_using_jax_after_a_fork_is_refused_with_the_remedy(found, use):
    assert found[use].startswith("RuntimeError: process ")
    assert "forked from a process that had used JAX" in found[use] and "get_context('spawn')" in found[use]


def test_scores_begun_before_a_fork_are_not_continued_after_it(found):
    assert found["score_each"].startswith("RuntimeError: score_each was called before this process was forked")


def test_what_is_safe_around_a_fork_works(found):
    assert found["columns"] == [75] and found["prepare"] == [32, 32, 3]
    np.testing.assert_allclose(found["onnx"], found["here"], atol=1e-5)
    np.testing.assert_allclose(found["the parent, later"], found["here"], atol=1e-6)
    np.testing.assert_allclose(found["loads where JAX is unused"], found["here"], atol=1e-6)


def test_a_pickled_scorer_loads_on_first_use(scorer, monkeypatch, tmp_path):
    picture = np.full((40, 40, 3), 90, np.uint8)
    data = pickle.dumps(scorer)
    assert len(data) < 1000
    monkeypatch.chdir(tmp_path)  # A worker may run elsewhere.
    for copied in (pickle.loads(data), pickle.loads(pickle.dumps(pickle.loads(data))), copy.deepcopy(scorer)):
        assert isinstance(copied, blur_jax.Scorer) and copied.fingerprint == scorer.fingerprint
        np.testing.assert_array_equal(copied.score([picture]), scorer.score([picture]))
        assert type(copied) is blur_jax.Scorer and copied.step == scorer.step


def test_a_pickled_scorer_whose_checkpoint_has_changed_or_gone_is_refused_on_use(scorer):
    other = pickle.loads(pickle.dumps(scorer).replace(scorer.fingerprint.encode(), b"0" * 16))
    for _ in range(2):  # The error stays.
        with pytest.raises(ValueError, match="the parameters .* differ from .* load the scorer again"):
            other.score([])
    gone = pickle.loads(pickle.dumps(scorer).replace(b"/7", b"/8"))
    with pytest.raises(blur_jax.runs.checkpoints.CheckpointError, match="no checkpoint here"):
        _ = gone.calibration


def test_a_worker_of_a_fork_server_takes_a_scorer(scorer):
    picture = np.full((40, 40, 3), 90, np.uint8)
    with multiprocessing.get_context("forkserver").Pool(1) as pool:
        (scores,) = pool.map_async(scorer.score, [[picture]]).get(timeout=120)
    np.testing.assert_allclose(scores, scorer.score([picture]), atol=1e-6)
