import pytest

from tfds_builders.folder_face_blur.tables import Vote
from tfds_builders.folder_face_blur.votes import Pair, agreement, combine, cycles, krippendorff_alpha


def votes(*texts):
    """Votes such as "ab+ ann": a < b, b is blurrier."""
    orders = {"+": 1, "-": -1, "0": 0}
    return [Vote(line, t[0], t[1], orders[t[2]], t[3:].strip()) for line, t in enumerate(texts, 2)]


def orders(*texts):
    return {pair.left + pair.right: pair.order for pair in combine(votes(*texts)).pairs}


def places(problems):
    return [(problem.kind, problem.line) for problem in problems]


def test_most_votes_decide_whichever_way_round_the_pair_stands():
    assert orders("ab+ 1", "ab+ 2", "ab- 3") == {"ab": 1}
    assert orders("ab+ 1", "ba- 2", "ba+ 3") == {"ab": 1}  # ba-: a is blurrier on the right of b? No: b is blurrier.
    assert orders("ab- 1", "ba+ 2", "ab+ 3") == {"ab": -1}
    assert orders("ab+ 1", "cd- 1", "ab0 2", "ab+ 3") == {"ab": 1, "cd": -1}


@pytest.mark.parametrize(
    "given",
    [
        ("ab+ 1", "ab- 2"),
        ("ab+ 1", "ba+ 2"),
        ("ab0 1",),
        ("ab+ 1", "ab0 2"),
        ("ab+ 1", "ab+ 2", "ab0 3", "ab0 4", "ab- 5"),
    ],
)
def test_equally_many_votes_are_a_tie(given):
    assert orders(*given) == {"ab": 0}


def test_an_annotator_has_one_vote_and_must_not_contradict_it():
    combined = combine(votes("ab+ 1", "ba- 1", "ab- 2", "ab+ 3"))
    assert [pair.order for pair in combined.pairs] == [1]
    assert places(combined.warnings) == [("repeated vote", 3)] and combined.problems == []
    combined = combine(votes("ab+ 1", "ba+ 1", "cd+ 1", "cd0 1"))
    assert places(combined.problems) == [("contradictory pair", 3), ("contradictory pair", 5)]
    assert "ba" not in str(combined.problems[0]) and "line 2" in str(combined.problems[0])


def test_without_annotators_all_lines_are_those_of_one():
    assert places(combine(votes("ab+", "ab-")).problems) == [("contradictory pair", 3)]
    assert places(combine(votes("ab+", "ab+")).warnings) == [("repeated vote", 3)]


def test_alpha_of_the_published_example():
    """Krippendorff (2011), section C: nominal data, four observers A to D, 12 units, missing values; alpha is 0.743."""
    observers = ["123321412...", "1233224125.3", ".3332342251.", "12332441251."]
    units = [[int(value) for value in unit if value != "."] for unit in zip(*observers)]
    # 40 pairable values: 9 x 1, 13 x 2, 10 x 3, 5 x 4, 3 x 5. The diagonal of the coincidence matrix is 7, 10, 8, 4, 3.
    # alpha = (39 * 32 - (9 * 8 + 13 * 12 + 10 * 9 + 5 * 4 + 3 * 2)) / (40 * 39 - 344) = (1248 - 344) / 1216.
    assert krippendorff_alpha(units) == pytest.approx(904 / 1216, abs=1e-12)
    assert krippendorff_alpha([[2, 2], [2, 2, 2], [1]]) is None


def test_agreement_is_krippendorffs_alpha_of_pairs_counted_both_ways_round():
    # Of 4 pairs by 2 annotators one is disputed. Both ways round: 8 units, 16 votes, 8 of +1 and 8 of -1.
    # Observed disagreement: 2 disputed units of 2 ordered pairs of votes each, over 16: 0.25.
    # Expected: 2 * 8 * 8 / (16 * 15) = 0.5333. alpha = 1 - 0.25 / 0.5333 = 0.53125.
    given = [{"1": 1, "2": 1}, {"1": 1, "2": 1}, {"1": -1, "2": -1}, {"1": 1, "2": -1}, {"1": 1}]
    assert agreement(given) == {"annotators": 2, "pairs": 4, "alpha": 0.5312}
    turned = [{who: -order for who, order in given[0].items()}, *given[1:]]  # Another picture stands left.
    assert agreement(turned)["alpha"] == 0.5312


def test_agreement_is_claimed_only_where_it_can_be():
    assert agreement([{"1": 1}, {"2": -1}]) is None
    assert combine(votes("ab+", "bc+")).agreement is None
    assert agreement([{"1": 1, "2": 1}, {"1": -1, "2": -1}])["alpha"] == 1.0
    assert agreement([{"1": 0, "2": 0}])["alpha"] is None  # One answer only: there is no chance to compare with.


def test_one_shortest_cycle_is_reported_for_pictures_whose_orders_go_round():
    # a < b < c < d < a, and the shortcut b < d; e < f < g < e apart from them; h < i is sound.
    pairs = combine(votes("ab+", "bc+", "cd+", "ad-", "bd+", "ef+", "gf-", "ge+", "hi+", "fa+")).pairs
    assert [(p.line, p.details) for p in cycles(pairs)] == [
        (2, "a < b < d < a (lines 2, 6, 5)"),
        (7, "e < f < g < e (lines 7, 8, 9)"),
    ]


def test_ties_make_no_cycle():
    assert cycles([Pair(2, "a", "b", 1), Pair(3, "b", "c", 0), Pair(4, "a", "c", -1)]) == []
    assert cycles([]) == []
