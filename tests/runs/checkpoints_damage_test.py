"""Whatever happens to the files of a checkpoint: it is noticed, and an older one that is whole takes its place."""

import json
import shutil

import numpy as np
import orbax.checkpoint as ocp
import pytest

from blur_jax.runs import checkpoints
from tests.helpers.saved import assert_equal, restore, save, state_of, write


def files_of(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def damage(path, how):
    data, middle = path.read_bytes(), path.stat().st_size // 2
    if how == "gone":
        path.unlink()
    elif how == "flip":
        path.write_bytes(data[:middle] + bytes([byte ^ 4 for byte in data[middle : middle + 1]]) + data[middle + 1 :])
    else:
        path.write_bytes({"cut": data[:middle], "empty": b""}[how])


def resume(folder):
    """What train does with a run directory; returns the state, or the error."""
    try:
        step = checkpoints.newest_whole(folder, state_of(0).arrays())
        checkpoints.CheckpointWriter(folder, keep=2).close()
        return restore(folder, step, state_of(0))
    except checkpoints.CheckpointError as error:
        return error


@pytest.mark.parametrize("how", ["cut", "flip", "empty", "gone"])
def test_no_damaged_file_goes_unnoticed(tmp_path, how, capsys):
    """Whatever file of the newest step it is: the state is that step's, or that of the one before with a warning."""
    write(tmp_path / "whole", {4: 0.5, 9: 0.6})
    seen = set()
    for number, path in enumerate(files_of(tmp_path / "whole" / "checkpoints" / "9")):
        folder = tmp_path / str(number)
        shutil.copytree(tmp_path / "whole", folder)
        damage(folder / path.relative_to(tmp_path / "whole"), how)
        state, warning = resume(folder), capsys.readouterr().err
        seen.add(int(state.step))
        assert_equal(state, state_of(int(state.step)))
        if int(state.step) == 4:
            assert "WARNING: " in warning and "resuming from step 4" in warning
            assert (folder / "checkpoints" / "9.damaged").is_dir()
    assert 4 in seen


@pytest.mark.parametrize("victim", ["params", "opt_state", "meta"])
def test_a_run_without_any_whole_checkpoint_is_left_as_it_is(tmp_path, victim):
    write(tmp_path, {4: 0.5, 9: 0.6})
    for step in ("4", "9"):
        for path in files_of(tmp_path / "checkpoints" / step / victim):
            damage(path, "cut")
    error = resume(tmp_path)
    assert "none of its 2 checkpoint(s) can be used" in str(error)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["4", "9"]


def test_a_step_whose_record_is_gone_is_not_passed_over_in_silence(tmp_path):
    write(tmp_path, {4: 0.9, 9: 0.6})
    shutil.rmtree(tmp_path / "checkpoints" / "9" / "meta")
    with pytest.raises(checkpoints.CheckpointError, match=r"9/meta.*other checkpoints in this run: .*checkpoints/4"):
        checkpoints.find(tmp_path)
    assert checkpoints.find(tmp_path / "checkpoints" / "4").step == 4


def test_older_damaged_metrics_do_not_stop_a_run(tmp_path, capsys):
    """Orbax reads those of all steps when it opens a run."""
    write(tmp_path, {4: 0.9, 9: 0.6})
    damage(tmp_path / "checkpoints" / "4" / "metrics" / "metrics", "cut")
    assert int(resume(tmp_path).step) == 9
    assert "4.damaged, resuming from step 9" in capsys.readouterr().err


def test_a_second_damaged_save_of_a_step_is_put_beside_the_first(tmp_path):
    write(tmp_path, {4: 0.5, 9: 0.6})
    for _ in range(2):
        damage(tmp_path / "checkpoints" / "9" / "meta" / "metadata", "empty")
        assert int(resume(tmp_path).step) == 4
        write(tmp_path, {9: 0.6})
    names = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert names == {"4", "9", "9.damaged", "9.damaged-2"}


def test_arrays_with_a_changed_number_are_refused(tmp_path):
    """TensorStore would read them: only the checksum tells."""
    write(tmp_path, {4: 0.9}, ema=False)
    changed = state_of(4, ema=False)
    changed.params["layer"]["kernel"] = changed.params["layer"]["kernel"] + np.float32(1e-3)
    saver = checkpoints.CheckpointWriter(tmp_path / "other", keep=2)
    save(saver, changed)
    saver.close()
    shutil.rmtree(tmp_path / "checkpoints" / "4" / "params")
    shutil.copytree(tmp_path / "other" / "checkpoints" / "4" / "params", tmp_path / "checkpoints" / "4" / "params")
    with pytest.raises(checkpoints.CheckpointError, match="params: damaged; the arrays do not match their checksum"):
        checkpoints.find(tmp_path).load_params(state_of(0).params)


@pytest.mark.parametrize("change", [{"validation_accuracy": 0.8}, {"checksum": None}])
def test_a_changed_record_is_refused(tmp_path, change):
    write(tmp_path, {4: 0.9})
    record = tmp_path / "checkpoints" / "4" / "meta" / "metadata"
    meta = json.loads(record.read_text()) | change
    record.write_text(json.dumps({name: value for name, value in meta.items() if value is not None}))
    with pytest.raises(checkpoints.CheckpointError, match="meta: damaged; the record does not match its checksum"):
        checkpoints.find(tmp_path)


def test_a_save_that_fails_says_what_to_do(tmp_path, monkeypatch):
    saver = checkpoints.CheckpointWriter(tmp_path, keep=2)

    def full(*_, **__):
        raise ValueError("RESOURCE_EXHAUSTED: ... [OS error 28: ENOSPC No space left on device]")

    monkeypatch.setattr(ocp.CheckpointManager, "save", full)
    with pytest.raises(OSError, match=r": a checkpoint could not be saved \(no space left on the disk\)"):
        save(saver, state_of(4))
    saver.close()
