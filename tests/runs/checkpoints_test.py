import hashlib
import json
import shutil

import jax
import ml_collections
import numpy as np
import pytest

from blur_jax.metrics.calibration import Calibration
from blur_jax.runs import checkpoints
from tests.helpers.saved import CONFIG, PROTOCOL, assert_equal, restore, state_of, write


@pytest.mark.parametrize("ema", [True, False])
def test_a_state_comes_back_as_it_was(tmp_path, ema):
    write(tmp_path, {5: 0.5, 9: 0.6}, ema=ema)
    assert_equal(restore(tmp_path, 9, state_of(0, ema=ema)), state_of(9, ema=ema))


def test_newest_and_best_are_kept(tmp_path):
    steps = {1: 0.5, 2: 0.9, 3: 0.7, 4: None, 5: 0.8, 6: 0.6}
    assert write(tmp_path / "a", steps, keep=2) == [2, 5, 6]
    assert write(tmp_path / "b", {1: 0.5, 2: None, 3: None}, keep=2) == [1, 2, 3]


def test_the_best_is_found_from_the_run_directory_and_any_from_its_own(tmp_path):
    write(tmp_path, {1: 0.5, 2: 0.9, 3: 0.7})
    best = checkpoints.find(tmp_path)
    assert (best.step, best.validation_accuracy, best.preprocessing) == (2, 0.9, PROTOCOL)
    assert best.config == ml_collections.ConfigDict(CONFIG)
    assert checkpoints.find(str(tmp_path / "checkpoints")).step == 2
    assert checkpoints.find(tmp_path / "checkpoints" / "3").step == 3


@pytest.mark.parametrize("ema", [True, False])
def test_the_average_is_what_scores_where_there_is_one(tmp_path, ema):
    write(tmp_path, {4: 0.9}, ema=ema)
    params = checkpoints.find(tmp_path).load_params(state_of(0).params)
    assert_equal(params, state_of(4).ema_params if ema else state_of(4).params)


def test_a_checkpoint_can_be_moved_and_read_alone_under_another_name(tmp_path):
    write(tmp_path / "run", {4: 0.9}, ema=False)
    shutil.copytree(tmp_path / "run" / "checkpoints" / "4", tmp_path / "the best so far")
    shutil.rmtree(tmp_path / "run")
    found = checkpoints.find(tmp_path / "the best so far")
    assert found.step == 4
    assert_equal(found.load_params(state_of(0).params), state_of(4).params)


def test_the_latest_step(tmp_path):
    assert checkpoints.latest_step(tmp_path) is None
    write(tmp_path, {9: 0.5, 10: 0.4})
    assert checkpoints.latest_step(tmp_path) == 10


@pytest.mark.parametrize("folder", ["nowhere", "empty"])
def test_a_folder_without_checkpoints_says_what_to_give(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    with pytest.raises(checkpoints.CheckpointError, match=f"{folder}: no checkpoint here; pass a run directory"):
        checkpoints.find(tmp_path / folder)


def test_a_model_of_another_shape_is_refused(tmp_path):
    write(tmp_path, {4: 0.9})
    with pytest.raises(checkpoints.CheckpointError, match="4.* do not match the network"):
        checkpoints.find(tmp_path).load_params(state_of(0, width=7).params)
    with pytest.raises(checkpoints.CheckpointError, match="4.* do not match the network"):
        restore(tmp_path, 4, state_of(0, width=7))


@pytest.mark.parametrize("victim", ["params", "ema_params"])
def test_damaged_arrays_are_refused(tmp_path, victim):
    write(tmp_path, {4: 0.9}, ema=victim == "ema_params")
    folder = tmp_path / "checkpoints" / "4" / victim
    for path in folder.rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:3])
    with pytest.raises(checkpoints.CheckpointError, match=f"{victim}.*cannot be read as a checkpoint"):
        checkpoints.find(tmp_path).load_params(state_of(0).params)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", json.dumps({"config": {}, "preprocessing": {}})])
def test_a_damaged_record_is_refused(tmp_path, content):
    write(tmp_path, {4: 0.9})
    for path in (tmp_path / "checkpoints" / "4" / "meta").iterdir():
        path.write_text(content)
    with pytest.raises(checkpoints.CheckpointError, match="4(/meta)?: "):
        checkpoints.find(tmp_path)


def test_an_unfinished_save_is_not_seen(tmp_path):
    write(tmp_path, {4: 0.9})
    unfinished = tmp_path / "checkpoints" / "8.orbax-checkpoint-tmp-1"
    shutil.copytree(tmp_path / "checkpoints" / "4", unfinished)
    assert checkpoints.find(tmp_path).step == 4
    assert checkpoints.CheckpointWriter(str(tmp_path), keep=2).latest_step == 4


CALIBRATION = Calibration("100 faces", tuple(np.linspace(0, 1, 101).tolist()), 2.0, (1.5, 2.5), 60)


@pytest.mark.parametrize(
    ("accuracies", "pairs", "best"),
    [
        ({1: 0.9, 2: 0.9}, 60, 2),  # Of equals the later.
        ({1: 0.5, 2: float("nan")}, 60, 1),
        ({1: 0.5, 2: None, 3: None}, 60, 1),
        ({1: 0.5, 2: 0.9, 3: 0.7, 4: None}, 50, 2),
        ({1: 0.5, 2: 0.9, 3: 0.7, 4: None}, 49, 3),  # Too few pairs choose nothing: the last that was validated.
    ],
)
def test_the_best_checkpoint(tmp_path, accuracies, pairs, best):
    write(tmp_path, accuracies, keep=5, pairs=pairs)
    found = checkpoints.find(tmp_path)
    assert (found.step, found.validation_pairs) == (best, pairs)


@pytest.mark.parametrize("change", [{"validation_accuracy": "x"}, {"step": 10**400, "validation_accuracy": 10**400}])
def test_a_record_with_other_values_is_refused(change):
    meta = {"step": 4, "config": {}, "preprocessing": PROTOCOL.to_dict(), "validation_accuracy": 0.5}
    meta |= {"validation_pairs": 60, "calibration": None, "checksums": {}}
    assert checkpoints.parse_meta("run/4", meta).step == 4
    with pytest.raises(checkpoints.CheckpointError, match="run/4: .*damaged"):
        checkpoints.parse_meta("run/4", meta | change)


@pytest.mark.parametrize("change", [{"quantiles": [0.5]}, {"scale": -1}, {"quantiles": None}, {"scale_interval": 3}])
def test_a_damaged_calibration_is_refused(tmp_path, change):
    write(tmp_path, {4: 0.9}, calibration=CALIBRATION)
    assert checkpoints.find(tmp_path).calibration == CALIBRATION
    (record,) = (tmp_path / "checkpoints" / "4" / "meta").glob("metadata")
    meta = json.loads(record.read_text())
    meta["calibration"] |= change
    with pytest.raises(checkpoints.CheckpointError, match="4: .*damaged"):
        checkpoints.parse_meta("run/4", meta)


def test_a_fingerprint_names_parameters():
    params = state_of(3).params
    found = checkpoints.fingerprint(params)
    assert len(found) == 16 and int(found, 16) >= 0
    assert found == checkpoints.fingerprint(jax.tree.map(jax.numpy.asarray, params))
    other_value = {"layer": params["layer"] | {"bias": params["layer"]["bias"] + np.float32(1e-6)}}
    other_name = {"other": params["layer"]}
    other_shape = {"layer": params["layer"] | {"kernel": params["layer"]["kernel"].reshape(3, 2)}}
    assert len({found, *map(checkpoints.fingerprint, (other_value, other_name, other_shape))}) == 4


def test_a_fingerprint_stays_the_same_in_all_versions():
    """By hand: SHA-256 of "a/b <f4 (2,)\\n" and the eight bytes."""
    digest = hashlib.sha256(b"a/b <f4 (2,)\n" + np.array([1, 2], "<f4").tobytes()).hexdigest()
    assert checkpoints.fingerprint({"a": {"b": np.array([1, 2], np.float32)}}) == digest[:16]
