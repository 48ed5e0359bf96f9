"""The verdict is words: each case of it, from numbers made up here."""

import pytest

from blur_jax.evaluate.report import verdict
from tests.helpers.evaluations import evaluate, label


def split(value, low, high, *, name="test", faces=20, groups=None, matched=False):
    """An evaluation with this pairwise accuracy."""
    evaluation = evaluate([0.1 + 0.01 * i for i in range(faces)], range(faces), split=name)
    accuracy = {"pairwise_accuracy": {"value": value, "low": low, "high": high}}
    evaluation.metrics.update({"size_matched": accuracy} if matched else accuracy)
    evaluation.metrics["groups"] = {
        group: {"examples": 10, "pairwise_accuracy": {"value": value, "low": 0.0, "high": 1.0}}
        for group, value in (groups or {}).items()
    }
    return evaluation


@pytest.mark.parametrize(
    ("interval", "judgment", "to_do"),
    [
        ((0.95, 0.93, 0.97), "The scorer sorts well", "Choose a threshold"),
        ((0.8, 0.78, 0.83), "The scorer sorts roughly", "discard only the most blurred"),
        ((0.6, 0.55, 0.64), "The scorer sorts poorly", "Do not discard pictures"),
        ((0.6, 0.49, 0.7), "cannot be distinguished from chance", "Do not discard pictures"),
        ((0.95, 0.4, 1.0), "cannot be distinguished from chance", "Do not discard pictures"),
    ],
)
def test_judgment_evidence_and_what_to_do(interval, judgment, to_do):
    said = verdict.sentences([split(*interval)], None)
    assert judgment in said[0] and to_do in said[-1]
    value, low, high = (f"{100 * each:.1f}%" for each in interval)
    assert f"{value} of cases on test (95% interval {low} to {high}, 20 faces)" in said[1]
    assert any("wider than 10" in sentence for sentence in said) == (interval[2] - interval[1] > 0.1)


def test_the_worst_split_decides_and_comes_first():
    said = verdict.sentences([split(0.95, 0.94, 0.96, name="a"), split(0.8, 0.79, 0.81, name="b", matched=True)], None)
    assert "roughly" in said[0]
    assert "two faces of similar size" in said[1] and said[1].index("on b") < said[1].index("on a")


def test_only_the_headline_splits_count_where_they_are_named():
    splits = [split(0.95, 0.94, 0.96, name="a"), split(0.8, 0.79, 0.81, name="b")]
    said = verdict.sentences(splits, None, ["a"])
    assert "well" in said[0] and "on b" not in " ".join(said)


def test_many_splits_are_summed_up():
    splits = [split(0.9 + i / 100, 0.9, 0.95, name=f"t{i}") for i in range(6)]
    assert "on t0" in (said := verdict.sentences(splits, None)[1]) and "more on 4 other splits and" in said


def test_the_weakest_group_is_named():
    said = verdict.sentences([split(0.95, 0.93, 0.97, groups={"x": 0.9, "y": 0.7})], None)
    assert "It is weakest on y (70.0%, in test)." in said
    said = verdict.sentences([split(0.95, 0.93, 0.97, groups={"x": 0.9})], None)
    assert "weakest" not in " ".join(said)


@pytest.mark.parametrize(("faces", "judgment"), [(9, "Too few faces to tell"), (10, "The scorer sorts well")])
def test_too_few_faces_come_before_a_judgment(faces, judgment):
    said = verdict.sentences([split(1.0, 1.0, 1.0, faces=faces)], None)
    assert judgment in said[0] and "100.0% of cases on test" in said[1]
    assert (f"{faces} faces, too few" in said[1]) == ("Rank at least 10 test faces" in said[-1]) == (faces < 10)


def test_a_split_of_few_faces_does_not_decide_beside_a_large_one():
    splits = [split(0.5, 0.2, 0.8, name="small", faces=9), split(0.8, 0.78, 0.83, name="large")]
    said = verdict.sentences(splits, None)
    assert "The scorer sorts roughly" in said[0]
    assert "on small" in said[1] and "on large" in said[1] and "wider than 10" not in " ".join(said)


@pytest.mark.parametrize(
    ("pairs", "judgment"), [(4, "Too few pairs to tell"), (49, "Too few"), (50, "The scorer sorts well")]
)
def test_too_few_pairs_come_before_a_judgment(pairs, judgment):
    said = verdict.sentences([], label([0.1, 0.9] * pairs))
    assert judgment in said[0] and f"orders 100.0% of {pairs} of them" in said[2]
    assert ("at least 50" in said[-1]) == (pairs < 50)


def test_without_ranked_faces_the_pairs_are_judged():
    said = verdict.sentences([], label([0.1, 0.9] * 48 + [0.9, 0.1] * 12))
    assert "The scorer sorts roughly" in said[0] and "orders 80.0% of 60" in said[2]


def test_nothing_to_judge_by_is_said():
    for pairs in (None, label([0.1, 0.9], order=[0])):
        (said,) = verdict.sentences([evaluate([0.1, 0.2], [1, 1])], pairs)
        assert "cannot be judged" in said
