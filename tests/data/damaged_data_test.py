"""Prepared data that were damaged are named, whatever was done to them; they are never read in part."""

import json
import os
import pathlib
import shutil

import numpy as np
import pytest
from tensorflow_datasets.proto import tf_example_pb2

from blur_jax.data import prepared
from blur_jax.data import splits as data


@pytest.fixture
def own(config, tmp_path):
    """The config with a copy of the prepared data of its own."""
    # Other workers may be preparing other data sets beside it.
    shutil.copytree(os.path.join(config.data.dir, config.data.name), tmp_path / "data" / config.data.name)
    config.data.dir = str(tmp_path / "data")
    return config


def read(config):
    """All that is read of the labeled pairs; parts differ in their columns alone."""
    splits = [data.open_split(config.data, "labeled", split) for split in ("train", "validation")]
    return [(split.fingerprint, split.images(range(len(split))), split.preprocessing) for split in splits]


def files(config, pattern):
    return sorted(pathlib.Path(config.data.dir).rglob(pattern))


@pytest.mark.parametrize("how", ["cut", "flip", "empty", "gone"])
@pytest.mark.parametrize("pattern", ["*.array_record*", "dataset_info.json", "features.json", "metadata.json"])
def test_no_damaged_file_goes_unnoticed(own, pattern, how, tmp_path):
    """One file after the other: what is read is what was read before, or an error that names the folder."""
    whole, folder = read(own), own.data.dir
    found = files(own, f"faces-*/*/{pattern}") + files(own, f"labeled-*/*/{pattern}")
    assert len(found) >= 2
    for path in found:
        before = path.read_bytes()
        middle = len(before) // 2
        flipped = before[:middle] + bytes([before[middle] ^ 4]) + before[middle + 1 :]
        path.write_bytes({"cut": before[:middle], "flip": flipped}.get(how, b""))
        if how == "gone":
            path.unlink()
        # Read elsewhere, since tables that were opened stay in memory.
        own.data.dir = shutil.copytree(folder, str(tmp_path / f"{len(os.listdir(tmp_path))}"))
        try:
            np.testing.assert_equal(read(own), whole)
        except (prepared.DamagedData, FileNotFoundError, ValueError) as error:
            assert type(error) in (prepared.DamagedData, FileNotFoundError), path
            assert own.data.dir in str(error) and "prepare" in str(error)
        path.write_bytes(before)


def test_a_description_that_leaves_out_records_is_refused(own):
    (path,) = files(own, "labeled-*/*/dataset_info.json")
    described = json.loads(path.read_text())
    (train,) = [split for split in described["splits"] if split["name"] == "train"]
    train["shardLengths"] = ["5"]
    path.write_text(json.dumps(described))
    with pytest.raises(prepared.DamagedData, match=r"'train' cannot .*contains 24 records but should contain 5"):
        data.open_split(own.data, "labeled", "train")


def test_rows_without_a_face_are_refused(own):
    (folder,) = files(own, "ranked-*")
    with pytest.raises(prepared.DamagedData, match="'test' cannot be read .*refers to faces that do not exist; only 3"):
        prepared.read_rows(os.fspath(folder), "ranked", "test", 3)


def test_a_record_without_a_field_is_named():
    record = tf_example_pb2.Example()
    record.features.feature["left"].int64_list.value.append(3)
    with pytest.raises(KeyError, match="right"):
        prepared.values(record.SerializeToString(), "left", "right")
    record.features.feature["right"].int64_list.value.extend([1, 2])
    with pytest.raises(ValueError, match="too many values"):
        prepared.values(record.SerializeToString(), "left", "right")


def test_a_picture_that_cannot_be_decoded_is_named():
    record = tf_example_pb2.Example()
    record.features.feature["image"].bytes_list.value.append(b"no picture")
    images = data._Images("somewhere", [record.SerializeToString()], cache=False)
    with pytest.raises(prepared.DamagedData, match="somewhere: the picture of face 0 .*UnidentifiedImage"):
        images[0]
