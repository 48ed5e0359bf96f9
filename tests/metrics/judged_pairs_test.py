"""Agreement with judges, worked out by hand."""

import numpy as np
import pytest

from blur_jax.metrics import judged_pairs

# Two judges agree on pairs 0, 1 and 3; both are sure of pairs 0 and 1, and of pair 2, where they disagree.
ORDERS = np.array([[1, 1], [-1, -1], [1, -1], [1, 1]])
SURE = np.array([[1, 1], [1, 1], [1, 1], [1, 0]], bool)
# The scores order pair 0 right, pair 1 wrong, pair 2 to the left; in pair 3 they are equal.
SCORES = np.array([[0.1, 0.2], [0.3, 0.4], [0.9, 0.2], [0.5, 0.5]])


def summarize(**changed):
    arguments = {"orders": ORDERS, "sure": SURE, "judges": ("ann", "ben"), "scores": {"ours": SCORES}} | changed
    return judged_pairs.summarize(**arguments, resamples=200)


def value(interval):
    return interval["value"]


def test_the_consensus_needs_all_judges():
    assert judged_pairs.consensus(ORDERS).tolist() == [1, -1, 0, 1]
    three = np.array([[1, 1, 1], [1, 1, -1], [-1, -1, -1]])
    assert judged_pairs.consensus(three).tolist() == [1, 0, -1]
    assert judged_pairs.consensus(ORDERS[:, :1]).tolist() == [1, -1, 1, 1]


def test_agreement_counts_pairs_as_often_as_they_were_drawn():
    counts = np.array([[1.0, 1, 1], [3, 0, 1], [0, 0, 5]])
    # Pair 2 has no order: 1 of 2, then 3 of 3, then nothing.
    found = judged_pairs.agreement(np.array([1.0, 0, 0]), np.array([1, -1, 0]), counts)
    np.testing.assert_array_equal(found, [0.5, 1, np.nan])


def test_counts_and_agreement():
    found = summarize()
    assert (found["pairs"], found["agreed"], found["sure"]) == (4, 3, 2)
    ours = found["scorers"]["ours"]
    assert value(ours["consensus"]) == pytest.approx((1 + 0 + 0.5) / 3)
    assert value(ours["sure"]) == pytest.approx(1 / 2)
    # With the first judge 1, 0, 0 and 1/2 of four; with the second 1, 0, 1 and 1/2.
    assert value(ours["each_judge"]) == pytest.approx((1.5 / 4 + 2.5 / 4) / 2)
    assert "first_minus_this" not in ours


def test_a_judge_is_measured_against_the_others():
    assert {judge: value(share) for judge, share in summarize()["judges"].items()} == {"ann": 0.75, "ben": 0.75}
    three = np.column_stack([ORDERS, [1, 1, 1, 1]])
    found = summarize(orders=three, sure=np.ones_like(three), judges=("ann", "ben", "cy"))["judges"]
    # ben and cy agree on pairs 0 and 3, and ann with them on both; ann and cy on 0, 2 and 3, and ben on all but 2; ann
    # and ben on 0, 1 and 3, and cy on all but 1.
    assert (value(found["ann"]), value(found["ben"])) == pytest.approx((1, 2 / 3))
    assert value(found["cy"]) == pytest.approx(2 / 3)


def test_one_judge_has_no_others():
    found = summarize(orders=ORDERS[:, :1], sure=SURE[:, :1], judges=("ann",))
    assert found["judges"] == {} and found["agreed"] == 4


def test_intervals_resample_pairs():
    # 300 of 400 agreed pairs are right: the standard error is sqrt(0.75 * 0.25 / 400) = 0.0217.
    orders, scores = np.ones((400, 2), int), np.tile([0.0, 1.0], (400, 1))
    scores[:100] = [1.0, 0.0]
    found = judged_pairs.summarize(orders, orders > 0, "ab", {"ours": scores}, resamples=4000)["scorers"]["ours"]
    assert found["consensus"]["low"] == pytest.approx(0.75 - 1.96 * 0.0217, abs=0.006)
    assert found["consensus"]["high"] == pytest.approx(0.75 + 1.96 * 0.0217, abs=0.006)


def test_differences_are_paired():
    # Both are wrong on the same 100 pairs, `worse` also on one more, so the difference is at least 0 on every resample.
    orders, first = np.ones((400, 2), int), np.tile([0.0, 1.0], (400, 1))
    first[:100] = [1.0, 0.0]
    worse = first.copy()
    worse[100] = [1.0, 0.0]
    scores = {"worse": worse, "ours": first}
    found = judged_pairs.summarize(orders, orders > 0, "ab", scores, first="ours")["scorers"]
    assert "first_minus_this" not in found["ours"]
    difference = found["worse"]["first_minus_this"]
    assert difference["value"] == pytest.approx(1 / 400) and 0 <= difference["low"] < difference["high"] < 0.02


def test_a_first_scorer_that_did_not_score_these_pairs_is_not_subtracted_from():
    assert "first_minus_this" not in summarize(first="another")["scorers"]["ours"]


def test_disagreement_alone_leaves_agreement_undefined():
    found = summarize(orders=ORDERS[2:3], sure=SURE[2:3], scores={"ours": SCORES[2:3]})
    assert found["agreed"] == 0
    assert found["scorers"]["ours"]["consensus"] == {"value": None, "low": None, "high": None}
    assert value(found["scorers"]["ours"]["each_judge"]) == 0.5


def test_no_pairs_are_refused():
    with pytest.raises(ValueError, match="no judged pairs"):
        summarize(orders=ORDERS[:0], sure=SURE[:0], scores={})
