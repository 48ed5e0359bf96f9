"""What runs have in common, such as those of a sweep over seeds: the mean and the spread of each metric.

    for seed in 0 1 2; do python launch.py --config.seed=$seed --workdir=runs/seed$seed; done
    python -m experiments.summarize runs/seed*

Reads the metrics.json of each run, size-matched metrics where there are any. Spread is the standard deviation over runs
(n - 1), so a rough guess with few of them; it allows for other draws and starts, not for other test faces.
"""

import argparse
import json
import os
import statistics
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from blur_jax.runs import command_line

METRICS = ("auc", "pairwise_accuracy", "spearman")


def read(run: str) -> dict[str, Any]:
    """Returns what launch.py found of a run; raises FileNotFoundError, saying what to do, where it is not evaluated."""
    path = os.path.join(run, "metrics.json")
    if not os.path.exists(path):
        raise FileNotFoundError(f"there is no {path}; evaluate it first: launch.py --mode=evaluate --workdir={run}")
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def values(results: Mapping[str, Any]) -> dict[tuple[str, str], float]:
    """Returns {(split, metric): value} of the ranked splits and of the validation pairs."""
    found = {}
    for split, summary in results["splits"].items():
        shown = summary.get("size_matched", summary)
        found |= {(split, name): shown[name]["value"] for name in METRICS}
    pairs = (results.get("validation") or {}).get("pairwise_accuracy", {}).get("value")
    pairs = results["validation_accuracy"] if pairs is None else pairs
    return found if pairs is None else found | {("validation", "pairwise_accuracy"): pairs}


def rows(runs: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str, str, str, str]]:
    """Returns a row (split, metric, mean, spread, each run) for each metric.

    Args:
        runs: {name: what `read` returns}.

    Raises:
        ValueError: they are fewer than two, or were not evaluated on the same data.
    """
    if len(runs) < 2:
        raise ValueError("give two runs or more")
    found = [values(results) for results in runs.values()]
    data = {run: f"{run} on {results.get('sources')} ({', '.join(results['splits'])})" for run, results in runs.items()}
    if len({text.removeprefix(run) for run, text in data.items()}) > 1:
        raise ValueError(f"the runs were evaluated on different data: {'; '.join(data.values())}")
    table = []
    for key in found[0]:
        of = [one[key] for one in found]
        each = ", ".join(f"{value:.3f}" for value in of)
        table.append((*key, f"{statistics.mean(of):.3f}", f"{statistics.stdev(of):.3f}", each))
    return table


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.summarize", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run directory that launch.py has evaluated")

    def command(arguments: argparse.Namespace) -> int:
        table = rows({run: read(run) for run in arguments.runs})
        from experiments import tables

        print(tables.markdown(("Split", "Metric", "Mean", "Spread", "Each run"), table))
        return 0

    return command_line.run(parser, command, argv)


if __name__ == "__main__":
    sys.exit(main())
