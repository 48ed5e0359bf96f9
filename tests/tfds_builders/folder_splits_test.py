import collections

import pytest

from tfds_builders.folder_face_blur import splits
from tfds_builders.folder_face_blur.votes import Pair


def chain(count, order=1):
    """Pairs p0-p1, p1-p2, ..."""
    return [Pair(i + 2, f"p{i}", f"p{i + 1}", order) for i in range(count)]


def alone(pairs):
    return {name: name for pair in pairs for name in pair.names}


def split(pairs, same=None):
    train, validation = splits.split_pairs(pairs, same or alone(pairs))
    assert sorted(train + validation) == sorted(pairs)
    return train, validation


def test_about_a_tenth_of_the_pairs_is_held_out():
    for count in (20, 100, 1000):
        train, validation = split(chain(count))
        assert 0.1 * count <= len(validation) <= 0.11 * count + 1
        held = collections.Counter(name for pair in validation for name in pair.names)
        trained = {name for pair in train for name in pair.names}
        # Each validation pair has a picture that no training pair has.
        assert all(set(pair.names) - trained for pair in validation) and held


def test_pictures_are_drawn_by_a_hash_whatever_their_names_look_like_or_their_order():
    # sha256sum: p0 169b, p1 f645, p2 3946, p3 43bb, p4 ab71.
    pairs = chain(4)
    _, validation = split(pairs)
    assert [pair.names for pair in validation] == [("p0", "p1")]
    assert split(pairs[::-1])[1] == validation[::-1]


@pytest.mark.parametrize(
    "pairs", [chain(2), [Pair(i, "hub", f"p{i}", -1) for i in range(9)], chain(1) + [Pair(9, "a", "b", 1)]]
)
def test_each_side_gets_an_ordered_pair(pairs):
    for more in ([], [Pair(50, "x", "y", 0), Pair(51, "p0", "y", 0)]):
        train, validation = split(pairs + more)
        assert any(pair.order for pair in train) and any(pair.order for pair in validation)


def test_pictures_that_look_the_same_are_held_out_together():
    pairs = [Pair(2 * i + j, f"s{i}{side}", f"t{i}{j}", 1) for i in range(10) for j, side in enumerate("ab")]
    same = alone(pairs) | {f"s{i}b": f"s{i}a" for i in range(10)}
    train, validation = split(pairs, same)
    trained = {same[name] for pair in train for name in pair.names}
    assert validation and all({same[name] for name in pair.names} - trained for pair in validation)


def test_pairs_of_pictures_that_all_look_the_same_are_split_all_the_same():
    pairs = chain(5)
    train, validation = split(pairs, dict.fromkeys(alone(pairs), "p0"))
    assert train and validation


def test_unlabeled_pairs_use_every_picture_alike_and_none_twice():
    names = [f"p{i}" for i in range(100)]
    pairs = splits.unlabeled_pairs(names)
    assert len({frozenset(pair) for pair in pairs}) == len(pairs) > 450
    counts = collections.Counter(name for pair in pairs for name in pair)
    assert set(counts) == set(names) and max(counts.values()) <= 10 and min(counts.values()) >= 7
    assert splits.unlabeled_pairs(names[::-1]) == pairs
    assert splits.unlabeled_pairs(["a"]) == [] and len(splits.unlabeled_pairs(["a", "b"])) == 1


def test_there_are_no_more_unlabeled_pairs_than_are_of_use(monkeypatch):
    monkeypatch.setattr(splits, "MOST_UNLABELED", 7)
    assert len(splits.unlabeled_pairs(map(str, range(50)))) == 7


def test_of_many_pictures_a_fixed_draw_and_the_named_ones_are_stored(monkeypatch):
    names = [f"p{i}" for i in range(30)]
    assert splits.chosen(names[::-1], []) == sorted(names)
    monkeypatch.setattr(splits, "MOST_PICTURES", 10)
    drawn = splits.chosen(names, [])
    assert len(drawn) == 10 and drawn == sorted(drawn)
    other = next(name for name in names if name not in drawn)
    assert splits.chosen(names, [other, drawn[0], "unknown"]) == sorted([*drawn, other])
