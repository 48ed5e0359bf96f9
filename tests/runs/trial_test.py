"""A run directory is tried before a run starts, and whatever its path is, its checkpoints can be read."""

import os

import orbax.checkpoint as ocp
import pytest

from blur_jax.runs import checkpoints
from blur_jax.runs.checkpoints import CheckpointError
from tests.helpers import saved

# Orbax and TensorStore cannot use the first six.
NAMES = ["run[1]", "a*b", "what?", "back\\slash", "**", os.fsdecode(b"bad\xff"), "a b", "new\nline", "a#b%20", "\u00e9"]


@pytest.mark.parametrize("name", NAMES)
def test_any_path_can_hold_a_run(tmp_path, name):
    folder = tmp_path / name / "run"
    checkpoints.try_folder(folder)
    assert not list(tmp_path.iterdir())
    folder.mkdir(parents=True)
    assert saved.write(folder, {1: 0.9, 2: 0.8}) == [1, 2]
    saved.assert_equal(saved.restore(folder, 2, saved.state_of(2)), saved.state_of(2))
    assert checkpoints.find(folder).path == f"{folder}/checkpoints/1"
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_files_in_a_tried_folder_stay(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").touch()
    checkpoints.try_folder(tmp_path / "run")
    assert os.listdir(tmp_path / "run") == ["notes.txt"]


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file: checkpoints cannot be saved here"):
        checkpoints.try_folder(tmp_path / "file")


def test_a_folder_that_loses_what_is_saved_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(ocp.Checkpointer, "save", lambda *_, **__: None)
    with pytest.raises(CheckpointError, match="run: a checkpoint saved here cannot be read back"):
        checkpoints.try_folder(tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_the_first_checkpoint_is_read_back(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(ocp.CheckpointManager, "save", lambda *_, **__: None)
        with pytest.raises(CheckpointError, match="step 1 is missing"):
            saved.write(tmp_path, {1: 0.9})
