import re
import shutil

import numpy as np
import pytest

from blur_jax.data import batches, splits, user_cache
from blur_jax.data.preprocessing import Preprocessing


def opened(config, kind="labeled", split="train", **kwargs):
    return splits.open_split(config.data, kind, split, **kwargs)


def take(config, count, *, seed=0, first_step=0, **kwargs):
    labeled, unlabeled = opened(config), opened(config, "unlabeled")
    stream = batches.train_batches(labeled, 8, unlabeled, 4, seed=seed, first_step=first_step, **kwargs)
    return [next(stream) for _ in range(count)]


def assert_same(left, right):
    for a, b in zip(left, right, strict=True):
        np.testing.assert_array_equal(a, b)


def colored(*, names="abc", rows, labels=None):
    """A split of flat faces: the face of row i has the gray value 10 * i."""
    images = [np.full((2, 2, 3), 10 * row, np.uint8) for row in range(len(names))]
    faces = splits.Faces(images, list(names), np.zeros(len(names), np.float32), [""] * len(names))
    return splits.Split(faces, np.array(rows, np.int32), labels, Preprocessing(), {})


def test_splits_are_rows_of_faces_of_the_schema(config):
    labeled, unlabeled, ranked = opened(config), opened(config, "unlabeled"), opened(config, "ranked", "test")
    # The demo renders two faces for each of 24 + 10 + 16 pairs, and 25 ranked ones.
    assert len(labeled.faces.names) == len(labeled.faces.images) == len(labeled.faces.groups) == 125
    assert labeled.faces.sizes.dtype == np.float32 and labeled.faces.sizes.shape == (125,)
    assert (len(labeled), len(unlabeled), len(ranked)) == (24, 16, 25)
    assert labeled.rows.shape == (24, 2) and labeled.rows.dtype == np.int32
    assert labeled.labels.dtype == np.int8 and set(labeled.labels) == {-1, 1}
    assert unlabeled.rows.shape == (16, 2) and unlabeled.labels is None
    assert ranked.rows.shape == (25,) and ranked.labels.dtype == np.float32
    assert labeled.preprocessing == Preprocessing(image_size=32)


def test_images_and_names_are_those_of_the_rows():
    pairs = colored(rows=[[2, 0], [1, 2]])
    assert pairs.images([1, 0, 1])[:, :, 0, 0, 0].tolist() == [[10, 20], [20, 0], [10, 20]]
    assert pairs.images(np.array([1])).shape == (1, 2, 2, 2, 3) and pairs.images([0]).dtype == np.uint8
    assert pairs.names.tolist() == [["c", "a"], ["b", "c"]]
    ranked = colored(rows=[2, 1])
    assert ranked.images(range(2))[:, 0, 0, 0].tolist() == [20, 10]
    assert ranked.images([0]).shape == (1, 2, 2, 3)
    assert ranked.names.tolist() == ["c", "b"]


def test_the_splits_of_a_data_set_share_its_decoded_faces(config):
    labeled, ranked = opened(config), opened(config, "ranked", "test")
    assert labeled.faces is ranked.faces
    assert labeled.faces.images[3] is labeled.faces.images[3]


def test_batches_have_sizes_and_types_and_the_same_labeled_pairs_without_unlabeled_ones(config):
    alone = next(batches.train_batches(opened(config), 8, None, 4, seed=0, first_step=0))
    both = take(config, 1)[0]
    assert [(field.shape, field.dtype) for field in both] == [
        ((8, 2, 32, 32, 3), np.uint8),
        ((8,), np.int8),
        ((4, 2, 32, 32, 3), np.uint8),
    ]
    assert alone.unlabeled is None
    assert_same(alone[:2], both[:2])


def test_a_batch_has_the_order_of_its_own_pairs():
    rows = [[row, (row + 1) % 6] for row in range(6)]
    split = colored(names="abcdef", rows=rows, labels=np.array([-1, 0, 1, -1, 0, 1], np.int8))
    batch = next(batches.train_batches(split, 6, None, 0, seed=0, first_step=0))
    left = batch.labeled[:, 0, 0, 0, 0] // 10
    assert sorted(left.tolist()) == [0, 1, 2, 3, 4, 5]
    assert batch.order.tolist() == [int(row) % 3 - 1 for row in left]


def test_the_order_depends_on_the_seed_alone(config):
    first, again, other = take(config, 2), take(config, 2), take(config, 2, seed=1)
    for left, right in zip(first, again):
        assert_same(left, right)
    assert not np.array_equal(first[0].labeled, other[0].labeled)


def test_any_step_can_be_resumed_from(config):
    straight = take(config, 9)
    for step in (1, 2, 5, 8):  # 3 steps are an epoch of the labeled pairs
        assert_same(take(config, 1, first_step=step)[0], straight[step])


@pytest.mark.parametrize("count", [2, 4])  # With 4, each process has one unlabeled pair.
def test_processes_share_the_global_batch(config, count):
    whole = take(config, 3)
    shares = [take(config, 3, process_index=index, process_count=count) for index in range(count)]
    for step in range(3):
        assert [len(share[step].unlabeled) for share in shares] == [4 // count] * count
        assert_same([np.concatenate(parts) for parts in zip(*(share[step] for share in shares))], whole[step])


def test_an_epoch_holds_every_pair_once_and_the_next_has_another_order(config):
    pairs = [batch.labeled for batch in take(config, 6)]  # 24 pairs: 3 batches are an epoch
    stored = sorted(pair.tobytes() for pair in opened(config).images(range(24)))
    first, second = np.concatenate(pairs[:3]), np.concatenate(pairs[3:])
    assert sorted(pair.tobytes() for pair in first) == stored
    assert sorted(pair.tobytes() for pair in second) == stored
    assert not np.array_equal(first, second)


def test_a_count_draws_pairs_by_the_seed_and_a_larger_one_holds_the_smaller(config):
    def drawn(**options):
        return opened(config, **options).rows.tolist()

    few = drawn(count=5, seed=1)
    assert len({tuple(pair) for pair in few}) == 5 and all(pair in drawn() for pair in few)
    assert drawn(count=5, seed=1) == few
    assert drawn(count=9, seed=1)[:5] == few
    assert drawn(count=5, seed=2) != few
    split = opened(config, count=5, seed=1)
    by_row = dict(zip(map(tuple, opened(config).rows), opened(config).labels))
    assert [by_row[tuple(pair)] for pair in split.rows] == split.labels.tolist()


@pytest.mark.parametrize("count", [0, 25, -1])
def test_a_count_that_there_is_not_is_refused(config, count):
    with pytest.raises(ValueError, match=rf"config\.data\.labeled_count={count} must be .* pairs \(24\)"):
        opened(config, count=count)


def test_pairs_with_a_left_out_face_are_not_there(config):
    split = opened(config)
    person = split.names[0, 0]
    kept = opened(config, leave_out=person)
    expected = [pair for pair in split.names.tolist() if not any(person in name for name in pair)]
    assert kept.names.tolist() == expected
    assert 0 < len(kept) < len(split) and len(kept.labels) == len(kept)
    with pytest.raises(ValueError, match=rf"labeled_count=24 must be between 1 and .* available pairs \({len(kept)}\)"):
        opened(config, leave_out=person, count=24)
    with pytest.raises(ValueError, match="leave_out='/' excludes every pair"):
        opened(config, leave_out="/")


def test_without_the_cache_the_images_are_the_same(config):
    cached = opened(config)
    config.data.cache_mb = 0
    streamed = opened(config)
    assert streamed.faces.images[0] is not streamed.faces.images[0]
    np.testing.assert_array_equal(cached.images(range(24)), streamed.images(range(24)))


def test_used_faces_takes_pairs_apart():
    pairs = colored(names="abcd", rows=[[3, 0], [0, 1], [1, 3]])
    rows, places = splits.used_faces(pairs)
    assert rows.tolist() == [3, 0, 1]  # in the order they first occur; face c is in no pair
    assert places.tolist() == [[0, 1], [1, 2], [2, 0]]


def test_unprepared_data_say_how_to_prepare_them(config, tmp_path):
    config.data.dir = str(tmp_path)
    arguments = f"--dataset=demo_face_blur --image_size=32 --context=1 --data_dir={tmp_path}"
    with pytest.raises(FileNotFoundError, match=re.escape(f"`python -m tfds_builders.prepare {arguments}`")):
        opened(config)
    config.data.name, config.data.manual_dir = "ssranking_face_blur", "my/faces"
    with pytest.raises(FileNotFoundError, match="--dataset=ssranking_face_blur .* --manual_dir=my/faces`"):
        opened(config)


def test_another_image_size_is_not_there_but_names_what_to_do(config):
    config.data.image_size, config.data.sources = 48, None
    with pytest.raises(FileNotFoundError, match=r"no prepared data with 48 px .*--image_size=48"):
        opened(config)


def test_unknown_splits_list_the_known_ones(config):
    with pytest.raises(ValueError, match=r"no labeled split 'tset'.*'train', 'validation'"):
        opened(config, split="tset")


def test_split_names(config):
    assert splits.split_names(config.data, "ranked") == ["test"]
    assert splits.split_names(config.data, "labeled") == ["train", "validation"]


def test_of_several_prepared_sources_one_must_be_chosen(config, tmp_path):
    first, second = config.data.sources, "00000000"
    shutil.copytree(f"{config.data.dir}/demo_face_blur", tmp_path / "demo_face_blur")
    config.data.dir, config.data.sources = str(tmp_path), None
    assert splits.prepared_sources(config.data) == first
    for kind in ("labeled", "unlabeled", "ranked"):
        folder = tmp_path / "demo_face_blur" / f"{kind}-32px-context1-{first}"
        shutil.copytree(folder, folder.with_name(folder.name.replace(first, second)))
    for path in tmp_path.glob(f"*/*-{second}/*/metadata.json"):
        path.write_text(path.read_text().replace('["test"]', '["second"]'))
    for ask in (lambda: opened(config), lambda: splits.prepared_sources(config.data)):
        with pytest.raises(ValueError, match=f"several sources; pass .*sources=HASH with one of: {second}, {first}"):
            ask()
    for sources, headline in ((first, ["test"]), (second, ["second"])):
        config.data.sources = sources
        assert opened(config, "ranked", "test").metadata["headline_splits"] == headline
        assert splits.prepared_sources(config.data) == sources
    config.data.sources = "76543210"
    with pytest.raises(FileNotFoundError, match=r"config\.data\.sources=76543210"):
        opened(config)


def test_the_default_folder_can_be_moved(monkeypatch, tmp_path):
    monkeypatch.delenv("BLUR_JAX_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert user_cache.default_dir() == str(tmp_path / "blur_jax")
    monkeypatch.setenv("BLUR_JAX_DATA", "/somewhere")
    assert user_cache.default_dir() == "/somewhere"
