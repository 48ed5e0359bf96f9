"""Labeled pairs alone against labeled and unlabeled pairs: the demo, same budget, three seeds.

    python benchmarks/semi_supervised.py --workdir=runs/semi_supervised

Trains six runs one after the other through launch.py and prints the README's table. Started again, it goes on where
it was.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys

import jax

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RUNS = {"labeled only": "demo_labeled_only", "labeled and unlabeled": "default"}
SEEDS = (0, 1, 2)


def figures(config, seed, workdir):
    """Trains one run where needed; returns its test figures, by group."""
    folder = os.path.join(workdir, f"{config}_{seed}")
    results = os.path.join(folder, "metrics.json")
    if not os.path.exists(results):
        flags = [f"--config=configs/{config}.py", f"--config.seed={seed}", f"--workdir={os.path.abspath(folder)}"]
        subprocess.run([sys.executable, "launch.py", *flags], cwd=ROOT, check=True, stdout=sys.stderr)
    with open(results, encoding="utf-8") as file:
        test = json.load(file)["splits"]["test"]
    return {"all": test, **test["groups"]}


def cell(runs, group, figure):
    values = [run[group][figure]["value"] for run in runs]
    return f"{statistics.mean(values):.3f} ({', '.join(f'{value:.3f}' for value in values)})"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", default="runs/semi_supervised", help="where the six runs go")
    workdir = parser.parse_args().workdir
    table = {name: [figures(config, seed, workdir) for seed in SEEDS] for name, config in RUNS.items()}
    unseen = next(group for group in table["labeled only"][0] if "unseen" in group)
    columns = [("all", "spearman"), ("all", "pairwise_accuracy"), (unseen, "spearman")]
    names = [f"{figure.replace('_', ' ')}, {group}" for group, figure in columns]
    seeds = ", ".join(map(str, SEEDS))
    print(f"Mean (seeds {seeds}); jax {jax.__version__}, {platform.machine()}, {os.cpu_count()} cores\n")
    print("| training pairs | " + " | ".join(names) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for name, runs in table.items():
        print(f"| {name} | " + " | ".join(cell(runs, *column) for column in columns) + " |")


if __name__ == "__main__":
    main()
