"""Labeled pairs alone against labeled and unlabeled pairs: the demo, with the same budget.

    python -m experiments.demo_ablation --workdir=runs/demo_ablation

Writes `demo_ablation.md` to the workdir.
"""

from typing import Any

import ml_collections

from blur_jax.evaluate import evaluation
from experiments import command, grid, tables
from tfds_builders.prepare import prepare_configured

# Training pairs -> weight of quadruplet consistency.
ARMS = {"labeled only": 0.0, "labeled and unlabeled": 1.0}


def read(config: ml_collections.ConfigDict, folder: str) -> dict[str, Any]:
    """Evaluates a run; returns its metrics on the test split, by group, those of all faces under "all"."""
    test = evaluation.evaluate(config, folder)["splits"]["test"]
    groups = test.pop("groups")
    return {"all": test, **groups}


def table(rows: dict[str, list[dict]]) -> str:
    """Returns a table of {training pairs: what `read` gave for each seed}."""
    (unseen,) = (group for group in next(iter(rows.values()))[0] if "unseen" in group)
    columns = [("all", "spearman"), ("all", "pairwise_accuracy"), (unseen, "spearman")]
    header = ["training pairs", *(f"{metric.replace('_', ' ')}, {group}" for group, metric in columns)]
    cells = (
        [name, *(tables.over_seeds([run[group][metric]["value"] for run in runs]) for group, metric in columns)]
        for name, runs in rows.items()
    )
    return tables.markdown(header, cells)


def run(config: ml_collections.ConfigDict, workdir: str, seeds: int, workers: int) -> None:
    """Makes the runs that have not been made and prints the table.

    Args:
        config: of a run; seed and weight are set here.
        workdir: where runs and results go.
        seeds: runs of each kind.
        workers: runs at a time.

    Raises:
        ValueError: as `grid.rows`.
    """
    config.data.sources = prepare_configured(config.data)
    runs = {}
    for seed in range(seeds):
        for name, weight in ARMS.items():
            cell = config.copy_and_resolve_references()
            cell.seed, cell.consistency.quadruplet_weight = seed, weight
            runs[f"{name.replace(' ', '_')}_{seed}"] = grid.Run(cell, read)
    found = grid.rows(runs, workdir=workdir, workers=workers)
    rows = {name: [found[f"{name.replace(' ', '_')}_{seed}"] for seed in range(seeds)] for name in ARMS}
    tables.publish(workdir, "demo_ablation", {"The demo, mean over seeds and each of them": table(rows)})


if __name__ == "__main__":
    command.define_config("demo_labeled_only")
    command.define_workdir("runs/demo_ablation")
    command.define_grid(seeds=3)
    command.main(run)
