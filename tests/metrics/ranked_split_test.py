import numpy as np
import pytest

from blur_jax.metrics import ranked_split


def test_mistaken_pairs_by_hand():
    # Wrong: (2, 1) by two places, (3, 1) and (2, 3) by one. 1 and 2 are used up by the first.
    assert ranked_split.mistaken_pairs([0.1, 0.2, 0.9, 0.8], [0.0, 3.0, 1.0, 2.0], 8) == [(2, 1)]
    # Those of equal rank gap go by score.
    scores, ranks = [0.9, 0.6, 0.1, 0.3], [0, 0, 2, 2]
    assert ranked_split.mistaken_pairs(scores, ranks, 8) == [(0, 2), (1, 3)]
    assert ranked_split.mistaken_pairs(scores, ranks, 1) == [(0, 2)]


@pytest.mark.parametrize(
    "scores, ranks",
    [([0.1, 0.2, 0.3], [1, 2, 3]), ([0.5, 0.5], [1, 2]), ([0.9, 0.1], [1, 1]), ([0.3], [1])],
)
def test_right_order_equal_scores_and_equal_ranks_are_no_mistakes(scores, ranks):
    assert ranked_split.mistaken_pairs(scores, ranks, 8) == []


@pytest.mark.parametrize("levels", [3, 40])
def test_worst_pair_is_the_worst_of_all_pairs(levels):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        ranks = rng.integers(levels, size=30)
        scores = rng.integers(15, size=30) / 15
        ((sharper, blurrier),) = ranked_split.mistaken_pairs(scores, ranks, 1)
        places = [np.sum(ranks < rank) + np.sum(ranks <= rank) for rank in ranks]
        worst = max(
            (places[j] - places[i], scores[i] - scores[j])
            for i in range(30)
            for j in range(30)
            if ranks[i] < ranks[j] and scores[i] > scores[j]
        )
        assert (places[blurrier] - places[sharper], scores[sharper] - scores[blurrier]) == worst


def test_sorted_sample_runs_evenly_from_sharp_to_blurred():
    scores = [0.8, 0.0, 0.6, 0.2, 0.4]
    assert ranked_split.sorted_sample(scores, 3).tolist() == [1, 4, 0]
    assert ranked_split.sorted_sample(scores, 99).tolist() == [1, 3, 4, 2, 0]


def test_evaluation_of_unequal_lengths_is_refused():
    with pytest.raises(ValueError, match="'test1' has .*'names': 1"):
        ranked_split.Evaluation("test1", [0.1, 0.2], [1, 2], ["a"], ["", ""], [0, 0], {})


def test_a_threshold_catches_blurred_faces_and_loses_clear_ones():
    # Clear are the two of rank 0. At 0.5: of five faces 0.5, 0.6 and 0.9 go, that is one clear one of two, and two of
    # the three blurred ones. A score at the threshold is discarded.
    scores, ranks = [0.1, 0.6, 0.3, 0.5, 0.9], [0, 0, 1, 1, 2]
    row, none = ranked_split.at_thresholds(scores, ranks, [0.5, 0.95])
    assert row == (0.5, pytest.approx(3 / 5), pytest.approx(2 / 3), pytest.approx(1 / 2))
    assert none == (0.95, 0, 0, 0)


def test_clear_and_blurred_are_thirds_where_every_face_has_its_own_rank():
    ranks = np.arange(30)
    clear, blurred = ranked_split.clear_and_blurred(ranks)
    assert not ranked_split.has_clear_level(ranks)
    assert np.flatnonzero(clear).tolist() == list(range(10)) and np.flatnonzero(blurred).tolist() == list(range(20, 30))
    ranks[:3] = 0
    clear, blurred = ranked_split.clear_and_blurred(ranks)
    assert np.flatnonzero(clear).tolist() == [0, 1, 2] and blurred.sum() == 27


def test_faces_of_one_rank_have_no_table_of_thresholds():
    assert ranked_split.at_thresholds([0.1, 0.2], [1, 1], [0.15]) == []


def test_round_thresholds_discard_from_a_twentieth_to_four_fifths():
    scores = np.arange(1001) / 1000
    found = ranked_split.round_thresholds(scores)
    assert found == [0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95]
    assert ranked_split.round_thresholds([0.25, 0.25]) == [0.25]
