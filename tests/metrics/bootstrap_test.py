import json
import sys

import numpy as np
import pytest

from blur_jax.metrics import bootstrap

NAMES = ("auc", "pairwise_accuracy", "spearman", "kendall")
SIZE_BINS = [32, 40, 48, 64, 96]
UNDEFINED = {"value": None, "low": None, "high": None}


def noisy(n, seed=0, noise=0.7):
    rng = np.random.default_rng(seed)
    ranks = rng.normal(size=n)
    return ranks + noise * rng.normal(size=n), ranks


def graded(n, seed=0, noise=0.7):
    """Scores, three grades, and sizes in several bins."""
    scores, ranks = noisy(n, seed, noise)
    return scores, np.digitize(ranks, [-0.3, 0.8]), np.random.default_rng(seed + 1).uniform(30, 150, n)


def test_summary_of_hand_worked_values():
    summary = bootstrap.rank_metrics([0.1, 0.4, 0.4, 0.9], [0, 1, 2, 2])
    assert (summary["examples"], summary["pairs"]) == (4, 5)
    assert [summary[name]["value"] for name in NAMES] == [1, 0.9, 3.75 / 4.5, 0.8]
    gaps = {gap: (part["pairs"], part["value"]) for gap, part in summary["pairwise_accuracy_by_gap"].items()}
    assert gaps == {"1": (3, pytest.approx(2.5 / 3)), "2": (2, 1)}  # (0,1), (1,2) tied and (1,2); (0,2) twice
    assert {pair: part["value"] for pair, part in summary["auc_between"].items()} == {"0-1": 1, "0-2": 1, "1-2": 0.75}
    assert not {"by_size", "size_matched", "size_alone"} & summary.keys()


def test_summary_by_size():
    # 48-64: one pair, wrong; 96+: clear alone; no bin holds anything else. Size alone has the pair right.
    sizes = np.array([63, 50, 96], np.uint8)
    summary = bootstrap.rank_metrics([3, 1, 5], [0, 1, 0], sizes, size_bins=SIZE_BINS, resamples=20)
    faces = {name: (part["examples"], part["blurred"]) for name, part in summary["by_size"].items()}
    assert faces == {"48-64": (2, 1), "96+": (1, 0)}
    assert summary["by_size"]["96+"]["auc"] == UNDEFINED
    assert summary["size_matched"]["auc"]["value"] == summary["size_matched"]["pairwise_accuracy"]["value"] == 0
    assert summary["size_matched"]["auc_matched_size"] == UNDEFINED
    assert summary["size_alone"]["auc"]["value"] == 1


@pytest.mark.parametrize("n", [2, 3, 57])
def test_perfect_and_reversed_scores_are_exact_with_their_intervals(n):
    ranks = np.arange(n, dtype=np.float32) ** 2
    for scores, expected in ((np.sqrt(ranks), (1, 1, 1, 1)), (-ranks, (0, 0, -1, -1))):
        summary = bootstrap.rank_metrics(scores, ranks, resamples=200)
        for name, value in zip(NAMES, expected):
            assert summary[name] == {"value": value, "low": value, "high": value}


@pytest.mark.parametrize("ranks", [[3.0], [1.0, 1.0, 1.0]])
def test_no_pair_is_none_in_json(ranks):
    none = {"examples": len(ranks), "pairs": 0, "auc_between": {}, "pairwise_accuracy_by_gap": {}}
    assert bootstrap.rank_metrics(np.arange(len(ranks)), ranks, resamples=20) == none | dict.fromkeys(NAMES, UNDEFINED)


def test_summary_is_plain_json():
    arrays = (array.astype(np.float32) for array in graded(30))
    summary = bootstrap.rank_metrics(*arrays, size_bins=SIZE_BINS, resamples=20)
    assert "by_size" in summary
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_interval_is_the_middle_of_the_defined_resamples():
    # 0 to 40: a fortieth from each end is 1 and 39. The value itself is no resample.
    values = np.array([7.0, np.nan, *range(41), np.nan])
    assert bootstrap.interval(values) == {"value": 7, "low": 1, "high": 39}


def test_intervals_contain_the_value_and_shrink_with_n():
    widths = []
    for n in (50, 200):
        found = [bootstrap.rank_metrics(*graded(n, seed), size_bins=SIZE_BINS, resamples=200) for seed in range(10)]
        for summary in found:
            for name in NAMES:
                for part in (summary, summary["size_matched"]):
                    assert part[name]["low"] < part[name]["value"] < part[name]["high"]
        widths.append([np.mean([s[f]["high"] - s[f]["low"] for s in found]) for f in NAMES])
    np.testing.assert_allclose(widths[0], 2 * np.array(widths[1]), rtol=0.15)  # 1 / sqrt(n)


def test_intervals_cover_the_true_value():
    # For a bivariate normal of correlation c: rho = 6/pi asin(c/2), tau = 2/pi asin(c).
    c = 1 / np.hypot(1, 0.7)
    truth = {"spearman": 6 / np.pi * np.arcsin(c / 2), "kendall": 2 / np.pi * np.arcsin(c)}
    truth["pairwise_accuracy"] = (1 + truth["kendall"]) / 2
    covered = dict.fromkeys(truth, 0)
    for trial in range(200):
        found = bootstrap.headline(*noisy(50, seed=trial), resamples=200, seed=trial)
        for name, value in truth.items():
            interval = bootstrap.interval(found[name])
            covered[name] += interval["low"] <= value <= interval["high"]
    assert all(0.90 * 200 <= count <= 0.99 * 200 for count in covered.values()), covered


def test_headline_has_the_size_matched_metrics_of_the_summary():
    scores, ranks, sizes = graded(60)
    found = bootstrap.headline(scores, ranks, sizes, size_bins=SIZE_BINS, resamples=50, seed=2)
    summary = bootstrap.rank_metrics(scores, ranks, sizes, size_bins=SIZE_BINS, resamples=50, seed=2)
    assert {name: bootstrap.interval(values) for name, values in found.items()} == summary["size_matched"]
    assert set(found) == {*NAMES, "auc_matched_size"}
    assert all(values.shape == (51,) for values in found.values())
    assert found["auc"][0] != bootstrap.headline(scores, ranks, sizes, resamples=50, seed=2)["auc"][0]


@pytest.mark.parametrize("size_bins", [None, []])
def test_without_bins_of_size_the_metrics_are_plain(size_bins):
    # Two bins would leave the wrong pair (50, 63) and no other; of all three faces 1 pair in 2 is right.
    scores, ranks, sizes = [3, 1, 0], [0, 1, 0], [63, 50, 96]
    summary = bootstrap.rank_metrics(scores, ranks, sizes, size_bins=size_bins, resamples=20)
    assert summary["auc"]["value"] == 0.5
    assert not {"by_size", "size_matched", "size_alone"} & summary.keys()
    assert bootstrap.headline(scores, ranks, sizes, size_bins=size_bins, resamples=20)["auc"][0] == 0.5


def test_scorers_are_compared_on_the_same_faces():
    scores, ranks, sizes = graded(60)
    options = {"size_bins": SIZE_BINS, "resamples": 50}
    found = bootstrap.headline(scores, ranks, sizes, **options)
    itself = bootstrap.headline(np.exp(scores), ranks, sizes, **options)
    opposite = bootstrap.headline(-scores, ranks, sizes, **options)
    for name in NAMES:
        assert bootstrap.interval(found[name] - itself[name]) == {"value": 0, "low": 0, "high": 0}
    # Its opposite mirrors it in every single resample, and the resamples are not all alike.
    np.testing.assert_allclose(found["auc"] + opposite["auc"], 1)
    np.testing.assert_allclose(found["kendall"] + opposite["kendall"], 0, atol=1e-12)
    assert len(np.unique(found["kendall"])) > 40


def test_every_split_has_resamples_of_its_own_and_some_may_be_averaged():
    faces = (*noisy(60), None)
    found = bootstrap.headlines({"test1": faces, "test2": faces, "test3": faces}, ["test1", "test3"], resamples=50)
    auc = {part: values["auc"] for part, values in found.items()}
    assert auc["test1"][0] == auc["test2"][0] and (auc["test1"] != auc["test2"]).sum() > 40
    np.testing.assert_allclose(auc["mean"], (auc["test1"] + auc["test3"]) / 2)


def test_headlines_are_of_the_bins_of_size():
    # Split a: each bin has one pair, right; of all four pairs one is wrong, 6 against 3. Split b: both pairs wrong.
    splits = {"a": ([1, 3, 6, 8], [0, 1, 0, 1], [33, 40, 50, 60]), "b": ([2, 1, 0], [0, 1, 1], [33, 40, 45])}
    for size_bins, of_a in (([48], 1), (None, 0.75)):
        found = bootstrap.headlines(splits, size_bins=size_bins, resamples=20)
        assert [found[part]["auc"][0] for part in ("a", "b", "mean")] == [of_a, 0, of_a / 2]


def test_deterministic_by_seed():
    scores, ranks, sizes = graded(50)
    options = {"size_bins": SIZE_BINS, "resamples": 100}
    first = bootstrap.rank_metrics(scores, ranks, sizes, **options, seed=3)
    assert first == bootstrap.rank_metrics(scores, ranks, sizes, **options, seed=3)
    other = bootstrap.rank_metrics(scores, ranks, sizes, **options, seed=4)
    for name in NAMES:
        assert other[name]["value"] == first[name]["value"]
        assert other[name]["low"] != first[name]["low"]


def test_resamples_are_computed_together():
    """A loop over the resamples would make ten times the calls for ten times the resamples."""
    counts, calls = [], []
    for resamples in (5, 50):
        calls.clear()
        sys.setprofile(lambda _frame, event, _argument: calls.append(event) if event == "call" else None)
        bootstrap.rank_metrics(*graded(60), size_bins=SIZE_BINS, resamples=resamples)
        sys.setprofile(None)
        counts.append(len(calls))
    assert 0 < counts[1] < 1.5 * counts[0]


def test_resamples_must_be_positive():
    for function in (bootstrap.headline, bootstrap.rank_metrics):
        with pytest.raises(ValueError, match="resamples is 0"):
            function([1.0, 2.0], [1.0, 2.0], resamples=0)
