"""Measures how many labels a scorer needs, and how much unlabeled pictures help, on near and far faces.

    python -m experiments.label_efficiency --config.data.manual_dir=LISTS --far=PHOTOS --workers=2

Trains the config once for each unlabeled loss (none, pairwise and quadruplet consistency, distillation), number of
labeled pairs and seed, and fits a linear ranker on frozen ImageNet features to the same pairs. A seed draws the same
pairs for every scorer, so differences between scorers are paired. *Near* faces are the test faces of the config's data
set; *far* faces are those in PHOTOS, a folder in the layout of docs/data.md that is never used for training. On an
accelerator, use more seeds and steps: --seeds=10 --config.steps=2000. To resume, run the command again.

Writes to the workdir: `rows.csv` (a row for each scorer), `label_efficiency.json` (all metrics), `label_efficiency.md`
(the tables), `label_efficiency.webp` (the figure).
"""

import json
import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from absl import flags
from ml_collections import ConfigDict

from blur_jax.data import splits as data
from blur_jax.runs import run_dir
from experiments import command, grid, label_efficiency_summary, linear_ranker, ranked, tables
from experiments.label_efficiency_summary import LINEAR, LOSSES, MONITORED, Cell

Rows = Mapping[Cell, dict]
COUNTS = (30, 100, 300, 1000, 3000, 10000)  # A count larger than the number of pairs uses all pairs.


def cells(scorers: Sequence[str], counts: Sequence[int], seeds: int) -> list[Cell]:
    """Returns all cells, starting with those of the first seed, so that the whole grid can be examined early."""
    return [(scorer, count, seed) for seed in range(seeds) for count in counts for scorer in scorers]


def cell_config(config: ConfigDict, cell: Cell, available: int) -> ConfigDict:
    """Returns the config for one cell; `available` is the number of labeled pairs in the data set."""
    loss, count, seed = cell
    config = config.copy_and_resolve_references()
    config.seed = seed
    config.data.labeled_count = count if count < available else None
    for name in LOSSES[1:]:
        if name != loss:
            config.consistency[f"{name}_weight"] = 0.0
    return config


def read(config: ConfigDict, folder: str, *, far: dict[str, Any] | None) -> dict[str, Any]:
    """Returns a run's last monitored values and its checkpoint's scores, {axis: {split: [n]}}."""
    row = {}
    for record in run_dir.read_history(folder):
        row |= {name: record[name] for name in MONITORED if name in record}
    for axis, scored in ranked.score_axes(config, folder, far)[1].items():
        row[axis] = {name: scores.tolist() for name, (_, scores) in scored.items()}
    return row


def run(
    config: ConfigDict, workdir: str, far: str | None, scorers: list[str], seeds: int, counts: list[str], workers: int
) -> None:
    _check(config, scorers)
    sizes = sorted(map(int, counts))
    ranked.prepare(config.data)
    axes = {"near": config.data} | ({} if far is None else {"far": ranked.far_data(config.data, far)})
    far_fields = None if far is None else axes["far"].to_dict()
    available = len(data.open_split(config.data, "labeled", config.data.labeled_split))
    configs = {cell: cell_config(config, cell, available) for cell in cells(scorers, sizes, seeds)}
    names = {cell: "{}_{}_{}".format(*cell) for cell in configs}
    runs = {name: grid.Run(configs[cell], partial(read, far=far_fields)) for cell, name in names.items()}
    rows = dict(zip(names, grid.rows(runs, workdir=workdir, workers=workers).values()))

    tests = {axis: ranked.open_splits(axis_data) for axis, axis_data in axes.items()}
    fits = {(count, seed): configs["none", count, seed].data for _, count, seed in configs}
    for (count, seed), scores in linear_ranker.score(fits, tests, config.probe.strength).items():
        rows[LINEAR, count, seed] = scores | {"seconds": 0.0}
    resamples = config.evaluation.resamples
    metrics = {
        axis: {cell: ranked.headlines(row[axis], splits, resamples=resamples) for cell, row in rows.items()}
        for axis, splits in tests.items()
    }
    _publish(config.steps, workdir, rows, metrics, sizes, seeds)


def _check(config: ConfigDict, scorers: Sequence[str]) -> None:
    if unknown := set(scorers) - set(LOSSES):
        raise ValueError(f"unknown --scorers={','.join(sorted(unknown))}; choose from {', '.join(LOSSES)}")
    if "none" not in scorers:
        raise ValueError("--scorers must include none, because the others are compared with labels alone; add none")
    for name in set(LOSSES[1:]) & set(scorers):
        weight = config.consistency[f"{name}_weight"]
        if weight <= 0:
            raise ValueError(f"config.consistency.{name}_weight is {weight}; set it above 0 to compare {name}")


def _publish(steps: int, workdir: str, rows: Rows, metrics: Mapping[str, Rows], counts: list[int], seeds: int) -> None:
    summary = {axis: label_efficiency_summary.summarize(values, counts, seeds) for axis, values in metrics.items()}
    path = partial(os.path.join, workdir)
    run_dir.write_atomically(path("rows.csv"), label_efficiency_summary.rows_csv(rows, metrics))
    run_dir.write_atomically(path("label_efficiency.json"), json.dumps(summary, indent=2) + "\n")
    label_efficiency_summary.draw(summary, counts).savefig(path("label_efficiency.webp"), dpi=110)
    minutes = sum(row["seconds"] for row in rows.values()) / 60
    title, table = "Size-matched AUC {}, by number of labeled pairs", label_efficiency_summary.table
    published = {title.format(axis): table(values, counts) for axis, values in summary.items()}
    trained = sum(loss != LINEAR for loss, _, _ in rows)
    note = f"{trained} runs of {steps} steps, {minutes:.0f} minutes of training and scoring"
    tables.publish(workdir, "label_efficiency", published, note=note)


if __name__ == "__main__":
    command.define_config("label_efficiency")
    command.define_workdir("runs/label_efficiency")
    command.define_grid(seeds=3)
    command.define_far(required=False)
    flags.DEFINE_list("scorers", list(LOSSES), f"Scorers to train, including none (labels alone): {', '.join(LOSSES)}.")
    flags.DEFINE_list("counts", [str(count) for count in COUNTS], "Numbers of labeled pairs.")
    command.main(run)
