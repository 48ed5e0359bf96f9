import json

import pytest

from experiments import summarize


def results(auc, spearman, *, matched=None, sources="abc", pairs=0.5):
    """What launch.py writes of a run with one test split; `matched` is its size-matched AUC."""
    summary = {name: {"value": value} for name, value in zip(summarize.METRICS, (auc, 0.25, spearman))}
    if matched is not None:
        summary["size_matched"] = summary | {"auc": {"value": matched}}
    return {"sources": sources, "validation_accuracy": pairs, "splits": {"test": summary}}


def write(folder, found):
    folder.mkdir()
    (folder / "metrics.json").write_text(json.dumps(found))
    return str(folder)


def test_mean_and_spread(tmp_path, capsys):
    """Of 0.8 and 0.9: mean 0.85, deviations of 0.05, so a standard deviation of sqrt(2 * 0.05^2 / 1) = 0.0707."""
    runs = [write(tmp_path / name, results(auc, 0.5)) for name, auc in (("a", 0.8), ("b", 0.9))]
    assert summarize.main(runs) == 0
    assert capsys.readouterr().out.splitlines() == [
        "| Split | Metric | Mean | Spread | Each run |",
        "| --- | --- | --- | --- | --- |",
        "| test | auc | 0.850 | 0.071 | 0.800, 0.900 |",
        "| test | pairwise_accuracy | 0.250 | 0.000 | 0.250, 0.250 |",
        "| test | spearman | 0.500 | 0.000 | 0.500, 0.500 |",
        "| validation | pairwise_accuracy | 0.500 | 0.000 | 0.500, 0.500 |",
    ]


def test_size_matched_metrics_come_first():
    assert summarize.values(results(0.8, 0.5, matched=0.7))["test", "auc"] == 0.7


def test_all_validation_pairs_are_counted_where_the_evaluation_has_done_so():
    found = results(0.8, 0.5) | {"validation": {"pairwise_accuracy": {"value": 0.75}}}
    assert summarize.values(found)["validation", "pairwise_accuracy"] == 0.75
    unlabeled = results(0.8, 0.5, pairs=None) | {"validation": None}
    assert ("validation", "pairwise_accuracy") not in summarize.values(unlabeled)


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ({"a": results(0.8, 0.5)}, "only 1 run was passed; pass at least two"),
        ({"a": results(0.8, 0.5), "b": results(0.8, 0.5, sources="def")}, r"a on abc \(test\); b on def \(test\)"),
    ],
)
def test_what_cannot_be_compared_is_refused(runs, message):
    with pytest.raises(ValueError, match=message):
        summarize.rows(runs)


def test_a_run_without_evaluation_says_what_to_do(tmp_path, capsys):
    assert summarize.main([str(tmp_path)]) == 2
    assert f"launch.py --mode=evaluate --workdir={tmp_path}" in capsys.readouterr().err
