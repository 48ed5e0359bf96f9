import numpy as np
import pytest

from blur_jax import data


def opened(config, kind="labeled", split="train", **kwargs):
    return data.open_split(config.data, kind, split, **kwargs)


def take(config, count, **kwargs):
    parts = {"labeled": (opened(config), 8), "unlabeled": (opened(config, "unlabeled"), 4)}
    batches = data.train_batches(parts, seed=kwargs.pop("seed", 0), first_step=kwargs.pop("first_step", 0), **kwargs)
    return [next(batches) for _ in range(count)]


def assert_same(left, right):
    assert left.keys() == right.keys()
    for part in left:
        assert left[part].keys() == right[part].keys()
        for key in left[part]:
            np.testing.assert_array_equal(left[part][key], right[part][key])


def test_splits_hold_decoded_examples_of_the_schema(config):
    example = opened(config).examples[0]
    assert example["left"].shape == example["right"].shape == (32, 32, 3)
    assert example["left"].dtype == np.uint8
    assert example["order"] in (-1, 1)
    assert isinstance(example["left_name"], str)
    assert "order" not in opened(config, "unlabeled").examples[0]
    ranked = opened(config, "ranked", "test").examples[0]
    assert set(ranked) == {"image", "name", "rank", "size", "group"}


def test_batches_have_their_sizes_and_types(config):
    batch = take(config, 1)[0]
    assert batch["labeled"]["left"].shape == (8, 32, 32, 3)
    assert batch["labeled"]["order"].dtype == np.int8
    assert set(batch["unlabeled"]) == {"left", "right"}
    assert batch["unlabeled"]["right"].shape == (4, 32, 32, 3)


def test_the_order_depends_on_the_seed_alone(config):
    first, again, other = take(config, 2), take(config, 2), take(config, 2, seed=1)
    for left, right in zip(first, again):
        assert_same(left, right)
    assert not np.array_equal(first[0]["labeled"]["left"], other[0]["labeled"]["left"])


def test_any_step_can_be_resumed_from(config):
    straight = take(config, 9)
    for step in (1, 2, 5, 8):  # 3 steps are an epoch of the labeled pairs
        assert_same(take(config, 1, first_step=step)[0], straight[step])


def test_processes_share_the_global_batch(config):
    whole = take(config, 3)
    shares = [take(config, 3, process_index=index, process_count=2) for index in range(2)]
    for step in range(3):
        for part in ("labeled", "unlabeled"):
            joined = np.concatenate([shares[index][step][part]["left"] for index in range(2)])
            np.testing.assert_array_equal(joined, whole[step][part]["left"])


def test_an_epoch_holds_every_example_once_and_the_next_has_another_order(config):
    images = [batch["labeled"]["left"] for batch in take(config, 6)]  # 24 pairs: 3 batches are an epoch
    stored = sorted(example["left"].tobytes() for example in opened(config).examples)
    first, second = np.concatenate(images[:3]), np.concatenate(images[3:])
    assert sorted(image.tobytes() for image in first) == stored
    assert sorted(image.tobytes() for image in second) == stored
    assert not np.array_equal(first, second)


def test_a_count_draws_examples_by_the_seed_and_a_larger_one_holds_the_smaller(config):
    def drawn(**options):
        return [example["left"].tobytes() for example in opened(config, **options).examples]

    few = drawn(count=5, seed=1)
    assert len(set(few)) == 5
    assert set(few) < set(drawn())
    assert drawn(count=5, seed=1) == few
    assert drawn(count=9, seed=1)[:5] == few
    assert drawn(count=5, seed=2) != few
    with pytest.raises(ValueError, match=r"labeled_count=25 .* 24 pairs"):
        opened(config, count=25)


def test_pairs_with_a_left_out_face_are_not_there(config):
    examples = list(opened(config).examples)
    person = examples[0]["left_name"]
    kept = opened(config, leave_out=person).examples
    assert [example["left_name"] for example in kept] == [
        example["left_name"] for example in examples if person not in example["left_name"] + example["right_name"]
    ]
    assert 0 < len(kept) < len(examples)
    with pytest.raises(ValueError, match=r"labeled_count=24 .* 0 \(all\) to the \d+ pairs"):
        opened(config, leave_out=person, count=24)
    with pytest.raises(ValueError, match="leave_out='/' leaves out every pair"):
        opened(config, leave_out="/")


def test_without_the_cache_the_examples_are_the_same(config):
    cached = opened(config).examples
    config.data.cache_mb = 0
    streamed = opened(config).examples
    assert type(cached) is not type(streamed)
    for index in (0, 23):
        np.testing.assert_array_equal(cached[index]["left"], streamed[index]["left"])


def test_unique_faces_takes_pairs_apart():
    pixels = {name: np.full((2, 2, 3), value, np.uint8) for value, name in enumerate("abc")}
    examples = [
        {"left": pixels[left], "right": pixels[right], "left_name": left, "right_name": right, "order": order}
        for left, right, order in (("c", "a", 1), ("a", "b", -1), ("b", "c", 0))
    ]
    names, images, pairs, order = data.unique_faces(iter(examples))
    assert names == ["c", "a", "b"]
    assert images[:, 0, 0, 0].tolist() == [2, 0, 1] and images.shape == (3, 2, 2, 3)
    assert pairs.tolist() == [[0, 1], [1, 2], [2, 0]] and order.tolist() == [1, -1, 0]


def test_unprepared_data_say_how_to_prepare_them(config, tmp_path):
    config.data.dir = str(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"python -m tfds_builders\.prepare --dataset=demo_face_blur"):
        opened(config)


def test_unknown_splits_list_the_known_ones(config):
    with pytest.raises(ValueError, match=r"no split 'tset'.*'train', 'validation'"):
        opened(config, split="tset")


def test_data_of_another_protocol_are_refused(config):
    config.data.image_size = 48
    with pytest.raises(ValueError, match=r"image_size=32.*image_size=48"):
        opened(config)


def test_split_names(config):
    assert data.split_names(config.data, "ranked") == ["test"]
    assert data.split_names(config.data, "labeled") == ["train", "validation"]


@pytest.mark.parametrize("count", [1, 7, 8, 9, 16])
def test_padded_batches_count_every_image_once_on_any_number_of_processes(count):
    images = np.arange(1, count + 1, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    whole = np.concatenate(list(data.padded_batches(images, 8)))
    assert whole.shape[0] % 8 == 0
    np.testing.assert_array_equal(whole[:count], images)
    assert not whole[count:].any()
    shares = [list(data.padded_batches(images, 8, process_index=index, process_count=4)) for index in range(4)]
    np.testing.assert_array_equal(np.concatenate([part for step in zip(*shares) for part in step]), whole)


def test_the_default_folder_can_be_moved(monkeypatch, tmp_path):
    monkeypatch.delenv("BLUR_JAX_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert data.default_dir() == str(tmp_path / "blur_jax")
    monkeypatch.setenv("BLUR_JAX_DATA", "/somewhere")
    assert data.default_dir() == "/somewhere"
