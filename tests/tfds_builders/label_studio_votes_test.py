"""Which of an annotator's answers to a pair counts."""

import pytest

from tfds_builders.label_studio.votes import Vote, latest


def vote(order, time, who="7", left="a.jpg", right="b.jpg"):
    return Vote(left, right, order, who, time, "task 1")


def turned(order, time):
    return vote(order, time, left="b.jpg", right="a.jpg")


@pytest.mark.parametrize(
    ("votes", "kept"),
    [
        ([vote(1, "2026-01-02T10:00:00Z"), vote(-1, "2026-01-02T09:30:00.5Z")], [0]),
        ([vote(1, "2026-01-02T10:00:00+02:00"), vote(-1, "2026-01-02T09:00:00")], [1]),  # By default in UTC.
        ([vote(1, "1590157459"), vote(-1, "1590157460"), vote(0, "1590157458")], [1]),
        ([vote(1, "1590157459"), vote(-1, "2020-05-22T14:24:18Z")], [0]),  # 14:24:19 and 14:24:18.
        ([vote(1, "2026-01-01"), turned(1, "2026-01-02")], [1]),
        ([vote(1, "2026-01-01"), turned(-1, "2026-01-01")], [1]),  # The same answer.
        ([vote(1, ""), vote(1, "yesterday")], [1]),
        ([vote(1, "2026-01-02", ""), vote(-1, "2026-01-01", "")], [0]),
        ([vote(1, "2026-01-02"), vote(-1, "2026-01-01", "8"), vote(1, "2026-01-01", right="c.jpg")], [0, 1, 2]),
    ],
)
def test_the_latest_vote_of_an_annotator_on_a_pair_counts(votes, kept):
    assert latest(votes) == [votes[index] for index in kept]


@pytest.mark.parametrize("time", ["2026-01-01", "", "yesterday", "inf", "nan", "9" * 400, "99999-01-01"])
def test_votes_without_a_latest_one_are_refused(time):
    with pytest.raises(ValueError, match="task 1: annotator '7' gave 'a.jpg' and 'b.jpg' different orders.* delete"):
        latest([vote(1, time), vote(-1, time)])
    with pytest.raises(ValueError, match="different orders"):
        latest([vote(1, "2026-01-01"), vote(-1, "")])
