"""Which pair a person is shown next."""

import dataclasses
from collections import Counter

import numpy as np
import pytest

from blur_jax.label import questions
from blur_jax.label.answers import State
from blur_jax.label.pairs import Ranker
from blur_jax.label.questions import Question, Questions
from tests.helpers.labels import answer

NAMES = [f"{row:02}.png" for row in range(40)]


def drawing(count=40, seed=0, **options):
    return Questions(NAMES, range(count), np.random.default_rng(seed), **options)


def given(number, question, order=1, **fields):
    left, right = NAMES[question.left], NAMES[question.right]
    return answer(number, left=left, right=right, order=order, picker=question.picker, **fields)


def answered(drawn, count, state=None, **fields):
    """Answers `count` questions; returns them and the state."""
    state, found = state or State(), []
    while len(found) < count:
        found.append(drawn.next(state, fields.get("annotator", "")))
        state.add(given(len(state.answers) + 1, found[-1], **fields))
    return found, state


@pytest.fixture
def ranker():
    """Knows that the first feature is blur and nothing about the second."""
    ranker = Ranker(np.random.default_rng(0).standard_normal((40, 2)))
    ranker.learn(np.array([[0, 1]]), np.array([1]))
    return ranker


def test_without_a_ranker_pairs_are_random():
    found, _ = answered(drawing(), 20)
    assert {question.picker for question in found} <= {"random", "repeat"}
    assert {(question.step, question.predicted) for question in found} == {(0, None)}


def test_a_ranker_leaves_a_share_of_random_pairs_and_states_what_it_expects(ranker):
    drawn = drawing()
    drawn.ranker = ranker
    state = State()
    found = [drawn.next(state, "") for _ in range(400)]
    counts = Counter(question.picker for question in found)
    assert counts["random"] / 400 == pytest.approx(questions.RANDOM_SHARE, abs=0.06) and not counts["repeat"]
    for question in found:
        assert question.step == 1 and question.predicted == pytest.approx(
            ranker.probability(np.array([[question.left, question.right]]))[0], abs=1e-6
        )
    doubt = {
        picker: np.mean([abs(question.predicted - 0.5) for question in found if question.picker == picker])
        for picker in ("picked", "random")
    }
    assert doubt["picked"] < doubt["random"] / 2
    assert np.mean([question.left < question.right for question in found]) == pytest.approx(0.5, abs=0.1)


def test_random_stays_a_choice(ranker):
    drawn = drawing(random_share=1.0)
    drawn.ranker = ranker
    assert {drawn.next(State(), "").picker for _ in range(50)} == {"random"}


def test_a_pair_is_repeated_once_later_and_with_its_sides_swapped():
    found, state = answered(drawing(), 400)
    repeats = [place for place, question in enumerate(found) if question.picker == "repeat"]
    assert len(repeats) / 400 == pytest.approx(questions.REPEAT_SHARE, abs=0.03)
    for place in repeats:
        question = found[place]
        (first,) = (q for q in found if (q.left, q.right) == (question.right, question.left))
        assert place - found.index(first) > 10
    counts = Counter(frozenset(question[:2]) for question in found)
    assert set(counts.values()) == {1, 2} and sum(count == 2 for count in counts.values()) == len(repeats)


def test_a_skipped_pair_and_one_of_somebody_else_are_not_repeated():
    _, state = answered(drawing(), 60, order=None)
    _, state = answered(drawing(seed=1), 60, state, annotator="ben")
    drawn = drawing(seed=2)
    assert "repeat" not in {drawn.next(state, "").picker for _ in range(300)}
    assert "repeat" in {drawn.next(state, "ben").picker for _ in range(300)}


def test_a_picture_does_not_come_all_the_time(ranker):
    drawn = drawing()
    ranker.features[:2] *= 50  # Odd pictures, about which an answer seems to say most.
    drawn.ranker = ranker
    found, _ = answered(drawn, 200)
    counts = Counter(row for question in found if question.picker != "repeat" for row in question[:2])
    assert max(counts.values()) <= questions.MOST_APPEARANCES


def test_where_all_pictures_came_often_they_come_again():
    found, _ = answered(drawing(count=4), 6)
    state = State(answer(n, left=NAMES[0], right=NAMES[1 + n % 3], annotator=f"{n}") for n in range(80))
    assert drawing(count=4).next(state, "") is not None and len(found) == 6


def test_unreadable_pictures_are_not_asked():
    drawn = drawing(count=5)
    drawn.set_sizes(np.arange(5), np.array([9, 9, np.nan, 9, np.nan]))
    assert {row for _ in range(100) for row in drawn.next(State(), "")[:2]} == {0, 1, 3}


def test_fixed_pairs_are_asked_in_order_once_each_from_both_sides():
    fixed = [(3, 1), (4, 5), (0, 9)]
    sides = set()
    for seed in range(20):
        found, state = answered(drawing(seed=seed, fixed=fixed), 3)
        assert [{question.left, question.right} for question in found] == [{1, 3}, {4, 5}, {0, 9}]
        assert {question.picker for question in found} == {"list"}
        assert drawing(fixed=fixed).next(state, "") is None and drawing(fixed=fixed).next(state, "ann") is not None
        sides.add((found[0].left, found[0].right))
    assert sides == {(1, 3), (3, 1)}


def test_answers_about_pictures_that_are_gone_do_no_harm():
    state = State([answer(1, left="gone.png"), answer(2, left=NAMES[0], right=NAMES[1])])
    drawn = drawing(count=2)
    assert drawn.next(state, "") is None and drawn.next(state, "ann") is not None
    assert drawn.rows_of(answer(1, left="gone.png")) is None
    assert dataclasses.astuple(answer(1))[0] == "0" * 15 + "1" and isinstance(drawn.next(state, "ann"), Question)
