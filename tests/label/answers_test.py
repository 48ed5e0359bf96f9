"""What answers add up to."""

import dataclasses
import json

import pytest

from blur_jax.label import answers
from blur_jax.label.answers import Answer, Line, State, Undo
from tests.helpers.labels import answer, undo


def test_entries_survive_json():
    for entry in (answer(1, predicted=0.25), answer(2, order=None), undo(1)):
        assert answers.from_json(json.loads(json.dumps(answers.to_json(entry)))) == entry


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "../../etc"), ("id", "ABCDEF01"), ("id", 7), ("annotator", " ann"), ("annotator", "a\nb"),
        ("annotator", "x" * 61), ("left", ""), ("left", "b.png"), ("right", None), ("order", 2), ("order", True),
        ("order", 0.5), ("ms", -1), ("ms", "7"), ("picker", "me"), ("reason", "x" * 201), ("step", -1),
        ("predicted", 1.5), ("predicted", float("nan")), ("predicted", True),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_by_name(field, value):
    fields = answers.to_json(answer(1)) | {field: value}
    with pytest.raises(ValueError, match=f"^{'right' if value == 'b.png' else field} must be "):
        answers.from_json(fields)


@pytest.mark.parametrize(
    "fields", [None, [], {}, {"entry": "drop"}, {"entry": "undo", "of": "0" * 8, "time": "", "x": 1}]
)
def test_other_entries_are_refused(fields):
    with pytest.raises(ValueError, match="must"):
        answers.from_json(fields)


def test_an_answer_counts_once_however_often_it_comes():
    state = State([answer(1), answer(1), undo(1), answer(1), undo(1)])
    assert not state.answers and not state.lines.current
    assert state.has(answer(1)) and state.has(undo(1)) and not state.has(answer(2))


def test_only_what_was_answered_is_taken_back():
    with pytest.raises(ValueError, match="no answer 0{15}2"):
        State([answer(1), undo(2)])


def test_a_skip_gives_no_line_and_a_tie_does():
    state = State([answer(1, order=None), answer(2, left="c.png", order=0)])
    assert [line.order for line in state.lines.current.values()] == ["0"]
    assert len(state.of_annotator("")) == 2


def test_a_repeated_pair_gives_one_line_from_both_sides():
    """Seen the other way round, the same order has the other sign."""
    swapped = dict(left="b.png", right="a.png")
    agreeing = State([answer(1, order=1), answer(2, order=-1, **swapped)])
    assert list(agreeing.lines.current.values()) == [Line("a.png", "b.png", "1", "", "t2")]
    contradicting = State([answer(1, order=1), answer(2, order=1, **swapped)])
    assert list(contradicting.lines.current.values()) == [Line("a.png", "b.png", "0", "", "t2")]
    settled = State([answer(1, order=1), answer(2, order=1, **swapped), answer(3, order=1)])
    assert list(settled.lines.current.values()) == [Line("a.png", "b.png", "1", "", "t3")]
    undone = State([answer(1, order=1), answer(2, order=1, **swapped), undo(2)])
    assert list(undone.lines.current.values()) == [Line("a.png", "b.png", "1", "", "t1")]


def test_people_answer_the_same_pair_independently():
    state = State([answer(1, annotator="ann"), answer(2, annotator="ben", order=-1)])
    assert [line[2:4] for line in state.lines.current.values()] == [("1", "ann"), ("-1", "ben")]


def test_own_agreement_counts_repeats_with_an_order():
    swapped = dict(left="b.png", right="a.png", picker="repeat")
    same, other = answer(2, order=-1, **swapped), answer(2, order=1, **swapped)
    assert answers.own_agreement(State([answer(1), same]), "") == (1, 1)
    assert answers.own_agreement(State([answer(1), other]), "") == (0, 1)
    assert answers.own_agreement(State([answer(1), dataclasses.replace(same, order=0)]), "") == (0, 0)
    assert answers.own_agreement(State([answer(1, order=0), same]), "") == (0, 0)
    assert answers.own_agreement(State([answer(1, annotator="ben"), same]), "") == (0, 0)
    assert isinstance(undo(1), Undo) and isinstance(same, Answer)
