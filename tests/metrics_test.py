import json
import time

import numpy as np
import pytest
from scipy import stats

from blur_jax import metrics

FIGURES = ("pairwise_accuracy", "spearman", "kendall")


def noisy(n, seed=0, noise=0.7):
    generator = np.random.default_rng(seed)
    ranks = generator.normal(size=n)
    return ranks + noise * generator.normal(size=n), ranks


def test_hand_worked_values_with_ties_in_scores_and_ranks():
    # Six pairs: (2,3) ties in rank and is left out; (1,2) ties in score and counts one half; the
    # other four agree: 4.5 / 5. tau-b = 4 / sqrt(5 * 5).
    # Centred mid-ranks (-1.5, 0, 0, 1.5) and (-1.5, -0.5, 1, 1): 3.75 / sqrt(4.5 * 4.5).
    scores, ranks = [0.1, 0.4, 0.4, 0.9], [0, 1, 2, 2]
    assert metrics.pairwise_accuracy(scores, ranks) == 0.9
    assert metrics.kendall(scores, ranks) == 0.8
    assert metrics.spearman(scores, ranks) == pytest.approx(3.75 / 4.5, abs=1e-15)
    summary = metrics.summarize(scores, ranks)
    assert (summary["examples"], summary["pairs"]) == (4, 5)
    assert [summary[name]["value"] for name in FIGURES] == [0.9, 3.75 / 4.5, 0.8]


def test_one_pair_wrong_of_three():
    # 0<1 and 0<2 agree, 1<2 does not: 2/3, tau = 1/3, rho = 1 - 6 * 2 / (3 * 8) = 1/2.
    scores, ranks = [1.0, 3.0, 2.0], [10.0, 20.0, 30.0]
    assert metrics.pairwise_accuracy(scores, ranks) == pytest.approx(2 / 3, abs=1e-15)
    assert metrics.kendall(scores, ranks) == pytest.approx(1 / 3, abs=1e-15)
    assert metrics.spearman(scores, ranks) == 0.5


@pytest.mark.parametrize("n", [2, 3, 57])
def test_perfect_and_reversed_scores_are_exact_with_their_intervals(n):
    ranks = np.arange(n, dtype=np.float32) ** 2
    for scores, expected in ((np.sqrt(ranks), (1, 1, 1)), (-ranks, (0, -1, -1))):
        summary = metrics.summarize(scores, ranks, resamples=200)
        for name, value in zip(FIGURES, expected):
            assert summary[name] == {"value": value, "low": value, "high": value}


def test_constant_scores_are_at_chance_and_have_no_correlation():
    summary = metrics.summarize(np.full(20, 0.5), np.arange(20), resamples=50)
    assert summary["pairwise_accuracy"] == {"value": 0.5, "low": 0.5, "high": 0.5}
    undefined = {"value": None, "low": None, "high": None}
    assert summary["spearman"] == summary["kendall"] == undefined
    assert np.isnan(metrics.spearman(np.full(20, 0.5), np.arange(20)))


@pytest.mark.parametrize("ranks", [[3.0], [1.0, 1.0, 1.0]])
def test_no_pair_is_nan_and_none_in_json(ranks):
    scores = np.arange(len(ranks))
    for function in (metrics.pairwise_accuracy, metrics.spearman, metrics.kendall):
        assert np.isnan(function(scores, ranks))
    summary = metrics.summarize(scores, ranks, resamples=20)
    undefined = {"value": None, "low": None, "high": None}
    assert summary == {"examples": len(ranks), "pairs": 0} | {name: undefined for name in FIGURES}


def test_summary_is_plain_json():
    scores, ranks = noisy(30)
    summary = metrics.summarize(scores.astype(np.float32), ranks.astype(np.float32), resamples=20)
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


@pytest.mark.parametrize("levels", [None, 3])
def test_agrees_with_scipy(levels):
    scores, ranks = noisy(300)
    if levels:
        scores, ranks = np.round(scores), np.digitize(ranks, [-0.5, 0.8])
    assert metrics.kendall(scores, ranks) == pytest.approx(
        stats.kendalltau(scores, ranks, variant="b").statistic, abs=1e-12
    )
    assert metrics.spearman(scores, ranks) == pytest.approx(stats.spearmanr(scores, ranks).statistic, abs=1e-12)


def test_counted_examples_equal_repeated_examples():
    # What the bootstrap rests on; two blocks of the concordance matrix, to try the seam.
    scores, ranks = noisy(metrics._BLOCK + 76)
    scores, ranks = np.round(scores, 1), np.round(ranks, 1)
    counts = np.random.default_rng(1).poisson(1, size=(2, len(scores)))
    figures = metrics._statistics(scores, ranks, counts.astype(np.float64))
    for row, count in enumerate(counts):
        s, r = np.repeat(scores, count), np.repeat(ranks, count)
        kendall = stats.kendalltau(s, r, variant="b").statistic
        assert figures["kendall"][row] == pytest.approx(kendall, abs=1e-12)
        assert figures["spearman"][row] == pytest.approx(stats.spearmanr(s, r).statistic, abs=1e-12)
        upper = np.triu(r[:, None] != r[None, :])
        agree = np.sign(s[:, None] - s[None, :]) * np.sign(r[:, None] - r[None, :])
        assert figures["pairs"][row] == upper.sum()
        assert figures["pairwise_accuracy"][row] == pytest.approx((agree[upper] + 1).mean() / 2)


def test_intervals_contain_the_value_and_shrink_with_n():
    widths = []
    for n in (50, 450):
        summaries = [metrics.summarize(*noisy(n, seed), resamples=200) for seed in range(20)]
        for summary in summaries:
            for name in FIGURES:
                assert summary[name]["low"] < summary[name]["value"] < summary[name]["high"]
        widths.append([np.mean([s[f]["high"] - s[f]["low"] for s in summaries]) for f in FIGURES])
    np.testing.assert_allclose(widths[0], 3 * np.array(widths[1]), rtol=0.15)  # 1 / sqrt(n)


def test_intervals_cover_the_true_value():
    # For a bivariate normal of correlation c: rho = 6/pi asin(c/2), tau = 2/pi asin(c).
    c = 1 / np.hypot(1, 0.7)
    truth = {"spearman": 6 / np.pi * np.arcsin(c / 2), "kendall": 2 / np.pi * np.arcsin(c)}
    truth["pairwise_accuracy"] = (1 + truth["kendall"]) / 2
    covered = dict.fromkeys(truth, 0)
    for trial in range(200):
        summary = metrics.summarize(*noisy(80, seed=trial), resamples=200, seed=trial)
        for name, value in truth.items():
            covered[name] += summary[name]["low"] <= value <= summary[name]["high"]
    assert all(0.90 * 200 <= count <= 0.99 * 200 for count in covered.values()), covered


def test_deterministic_by_seed():
    scores, ranks = noisy(50)
    first = metrics.summarize(scores, ranks, resamples=100, seed=3)
    assert first == metrics.summarize(scores, ranks, resamples=100, seed=3)
    other = metrics.summarize(scores, ranks, resamples=100, seed=4)
    for name in FIGURES:
        assert other[name]["value"] == first[name]["value"]
        assert other[name]["low"] != first[name]["low"]


def test_only_the_order_of_scores_and_ranks_matters():
    scores, ranks = noisy(80)
    scores, ranks = np.round(scores, 1), np.round(ranks, 1)
    expected = metrics.summarize(scores, ranks, resamples=50)
    assert metrics.summarize(np.exp(scores) * 7 - 3, ranks, resamples=50) == expected
    assert metrics.summarize(scores, ranks**3 - 5, resamples=50) == expected
    mirrored = metrics.summarize(-scores, ranks, resamples=50)
    assert mirrored["spearman"]["value"] == -expected["spearman"]["value"]


def test_a_thousand_faces_take_under_three_seconds():
    scores, ranks = noisy(1000)
    start = time.process_time()
    metrics.summarize(scores, ranks)
    assert time.process_time() - start < 3  # 0.2 s here


@pytest.mark.parametrize(
    "scores, ranks, message",
    [
        ([[1.0, 2.0]], [1.0, 2.0], r"scores has shape \[1, 2\]"),
        ([1.0, 2.0], 1.0, r"ranks has shape \[\]"),
        ([1.0, 2.0, 3.0], [1.0, 2.0], "3 scores but 2 ranks"),
        ([1.0, np.nan], [1.0, 2.0], r"scores\[1\] is nan \(1 of 2 are not finite\)"),
        ([1.0, 2.0], [np.inf, 2.0], r"ranks\[0\] is inf"),
        ([], [], "empty"),
        (["a", "b"], [1.0, 2.0], "scores has dtype"),
    ],
)
def test_bad_input_is_named(scores, ranks, message):
    for function in (metrics.pairwise_accuracy, metrics.summarize):
        with pytest.raises(ValueError, match=message):
            function(scores, ranks)


def test_resamples_must_be_positive():
    with pytest.raises(ValueError, match="resamples is 0"):
        metrics.summarize([1.0, 2.0], [1.0, 2.0], resamples=0)
