"""Summarizes a set of runs, such as a seed sweep, by the mean and spread of each metric.

    for seed in 0 1 2; do python launch.py --config.seed=$seed --workdir=runs/seed$seed; done
    python -m experiments.summarize runs/seed*

Reads each run's metrics.json, and uses size-matched metrics if there are any. The spread is the standard deviation
across runs (n - 1), which is a rough estimate with few runs. It accounts for random draws and initial states, but not
for the choice of test faces.
"""

import argparse
import json
import pathlib
import statistics
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from blur_jax.runs import command_line

METRICS = ("auc", "pairwise_accuracy", "spearman")


def read(run: str) -> dict[str, Any]:
    """Returns the evaluation of a run; raises FileNotFoundError if the run has not been evaluated."""
    path = pathlib.Path(run, "metrics.json")
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; run launch.py --mode=evaluate --workdir={run} first")
    return json.loads(path.read_text("utf-8"))


def values(results: Mapping[str, Any]) -> dict[tuple[str, str], float]:
    """Returns {(split, metric): value} for the ranked splits and the validation pairs."""
    metrics = {}
    for split, summary in results["splits"].items():
        summary = summary.get("size_matched", summary)
        metrics |= {(split, name): summary[name]["value"] for name in METRICS}
    pairs = (results.get("validation") or {}).get("pairwise_accuracy", {}).get("value")
    pairs = results["validation_accuracy"] if pairs is None else pairs
    return metrics if pairs is None else metrics | {("validation", "pairwise_accuracy"): pairs}


def rows(runs: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Returns a row (split, metric, mean, spread, each run) for each metric; `runs` is {name: `read` of the run}.

    Raises ValueError if there are fewer than two runs or if they were evaluated on different data.
    """
    if len(runs) < 2:
        raise ValueError(f"only {len(runs)} run was passed; pass at least two")
    metrics = [values(results) for results in runs.values()]
    data = {run: f"{results.get('sources')} ({', '.join(results['splits'])})" for run, results in runs.items()}
    if len(set(data.values())) > 1:
        different = "; ".join(f"{run} on {run_data}" for run, run_data in data.items())
        raise ValueError(f"the runs were evaluated on different data: {different}; evaluate them on the same data")
    table = []
    for key in metrics[0]:
        column = [run_metrics[key] for run_metrics in metrics]
        cells = [f"{value:.3f}" for value in (statistics.mean(column), statistics.stdev(column), *column)]
        table.append((*key, *cells[:2], ", ".join(cells[2:])))
    return table


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    lines, name = argparse.RawTextHelpFormatter, "python -m experiments.summarize"
    parser = argparse.ArgumentParser(name, description=__doc__, formatter_class=lines)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run directory that launch.py has evaluated")

    def command(arguments: argparse.Namespace) -> int:
        table = rows({run: read(run) for run in arguments.runs})
        from experiments import tables

        print(tables.markdown(("Split", "Metric", "Mean", "Spread", "Each run"), table))
        return 0

    return command_line.run(parser, command, argv)


if __name__ == "__main__":
    sys.exit(main())
