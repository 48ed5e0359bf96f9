"""How many labels, and what are unlabeled pairs worth? A grid of runs, a table, a figure and the raw rows.

    python -m experiments.label_efficiency --config.data.manual_dir=LISTS --workdir=runs/label_efficiency --workers=2

Trains the config once for each unlabeled loss (none, pairwise consistency, quadruplet consistency, both), number of
labeled pairs and seed. A seed draws the labeled pairs too; the same seed draws the same pairs for every loss, so losses
are compared in pairs. On an accelerator, use more seeds, steps and pairs: --seeds=10 --config.steps=2000.

Writes to the workdir: `rows.csv` (a row for each run), `label_efficiency.json` (all metrics), `label_efficiency.md`
(the table), `label_efficiency.webp` (the figure).
"""

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import ml_collections
import numpy as np
from absl import flags
from matplotlib.figure import Figure

from blur_jax import bootstrap, data, evaluate, run_dir
from experiments import command, grid, ranked, tables

# Unlabeled loss -> the weights of config.consistency that stay as they are; the others become 0.
WEIGHTS = ("quadruplet_weight", "pairwise_weight")
LOSSES = {"none": (), "pairwise": WEIGHTS[1:], "quadruplet": WEIGHTS[:1], "both": WEIGHTS}
COUNTS = (100, 300, 1000, 3000, 10000)  # A count above the number of pairs takes all of them.
MONITORED = ("validation_accuracy", "pseudo_label_share", "pseudo_label_accuracy", "score_spread", "confident")

Cell = tuple[str, int, int]  # Unlabeled loss, number of labeled pairs, seed.
Summary = dict[str, dict[str, dict[str, dict[str, float]]]]  # {loss: {count or "mean": {"auc", "gain": interval}}}


def cells(counts: Sequence[int], seeds: int) -> list[Cell]:
    """Returns all cells, the first seed of everything first, which gives an early look at the whole."""
    return [(loss, count, seed) for seed in range(seeds) for count in counts for loss in LOSSES]


def cell_config(config: ml_collections.ConfigDict, cell: Cell, available: int) -> ml_collections.ConfigDict:
    """Returns the config of one cell; `available` is the number of labeled pairs that there are."""
    loss, count, seed = cell
    config = config.copy_and_resolve_references()
    config.seed = seed
    config.data.labeled_count = count if count < available else None
    for weight in set(WEIGHTS) - set(LOSSES[loss]):
        config.consistency[weight] = 0.0
    return config


def read(config: ml_collections.ConfigDict, folder: str) -> dict[str, Any]:
    """Reads what was last monitored in a run, and the scores of its best checkpoint, {split: [n]}, under "scores"."""
    monitored = {}
    for row in run_dir.read_history(folder):
        monitored |= {name: row[name] for name in MONITORED if name in row}
    _, scored = evaluate.score_splits(config, folder)
    return monitored | {"scores": {name: scores.tolist() for name, (_, scores) in scored.items()}}


def over_seeds(values: Sequence[np.ndarray], seed: int = 0) -> np.ndarray:
    """Averages over runs [seeds, 1 + resamples] with resamples of the runs, too: [1 + resamples].

    Its interval allows for other faces and for other labels and draws; with three seeds the latter is a rough guess.
    """
    values = np.asarray(values)
    seeds, columns = values.shape
    drawn = np.random.default_rng(seed).integers(seeds, size=(seeds, columns))
    drawn[:, 0] = np.arange(seeds)
    return np.take_along_axis(values, drawn, axis=0).mean(axis=0)


def summarize(metrics: Mapping[Cell, dict], counts: Sequence[int], seeds: int) -> Summary:
    """Returns size-matched AUC over seeds and its gain over no unlabeled loss, with intervals.

    "mean", over the counts, is more certain than any of them.
    """

    def auc(loss: str, counts: Sequence[int]) -> np.ndarray:
        of_runs = [[metrics[loss, count, seed]["mean"]["auc"] for count in counts] for seed in range(seeds)]
        return np.mean(of_runs, axis=1)

    groups = {str(count): [count] for count in counts} | {"mean": counts}
    return {
        loss: {
            name: {
                "auc": bootstrap.interval(over_seeds(auc(loss, group))),
                "gain": bootstrap.interval(over_seeds(auc(loss, group) - auc("none", group))),
            }
            for name, group in groups.items()
        }
        for loss in LOSSES
    }


def rows_csv(rows: Mapping[Cell, dict], metrics: Mapping[Cell, dict]) -> str:
    """Returns a row for each run: what it was, what was monitored, and its size-matched metrics."""
    splits = sorted(next(iter(metrics.values())))
    names = [(split, name) for split in splits for name in ("auc", "pairwise_accuracy", "spearman", "kendall")]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["loss", "labeled_pairs", "seed", *MONITORED, "seconds", *(f"{s}_{n}" for s, n in names)])
    for cell, row in rows.items():
        monitored = [f"{row[name]:.4f}" if name in row else "" for name in MONITORED]
        values = [f"{metrics[cell][split][name][0]:.4f}" for split, name in names]
        writer.writerow([*cell, *monitored, f"{row['seconds']:.0f}", *values])
    return text.getvalue()


def table(summary: Summary, counts: Sequence[int]) -> str:
    """Returns the AUC over seeds for each loss and count, and the gain over no unlabeled loss below it."""
    rows = []
    for loss, groups in summary.items():
        rows.append([loss, *(bootstrap.interval_text(group["auc"]) for group in groups.values())])
        if loss != "none":
            gains = (bootstrap.interval_text(group["gain"], "+") for group in groups.values())
            rows.append([f"gain of {loss}", *gains])
    return tables.markdown(["unlabeled loss", *(f"{count:,} pairs" for count in counts), "mean"], rows)


def draw(summary: Summary, counts: Sequence[int]) -> Figure:
    """Draws AUC against the number of labeled pairs, a line for each loss, and the gain over no unlabeled loss."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for place, (loss, groups) in enumerate(summary.items()):
        shifted = np.array(counts) * 1.06 ** (place - 1.5)
        for axes, name in ((left, "auc"), (right, "gain")):
            if name == "gain" and loss == "none":
                continue
            value, low, high = (
                np.array([groups[str(count)][name][key] for count in counts]) for key in ("value", "low", "high")
            )
            axes.errorbar(
                shifted, value, (value - low, high - value), marker="o", capsize=3, label=loss, color=f"C{place}"
            )
    right.axhline(0, color="0.6", linewidth=1)
    left.set_ylabel("size-matched AUC, mean over headline splits")
    right.set_ylabel("gain over labels alone")
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_xticks(counts, [f"{count:,}" for count in counts])
        axes.minorticks_off()
        axes.set_xlabel("labeled pairs")
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, title="unlabeled loss", loc="outside upper center", ncols=4, frameon=False)
    return figure


def run(config: ml_collections.ConfigDict, workdir: str, seeds: int, counts: Sequence[str], workers: int) -> None:
    """Makes the runs that have not been made, writes the results and prints the table.

    Args:
        config: of a cell; the grid sets seed, number of labels and which weights are 0.
        workdir: where runs and results go.
        seeds: number of seeds of each cell.
        counts: numbers of labeled pairs.
        workers: runs at a time.

    Raises:
        ValueError: a weight that the grid turns on and off is 0; or as `grid.rows`.
    """
    for weight in WEIGHTS:
        if config.consistency[weight] <= 0:
            raise ValueError(f"config.consistency.{weight}={config.consistency[weight]} must be above 0 to be compared")
    counts = sorted(map(int, counts))
    ranked.prepare(config.data)
    available = len(data.open_split(config.data, "labeled", config.data.labeled_split))
    names = {cell: "{}_{}_{}".format(*cell) for cell in cells(counts, seeds)}
    runs = {name: grid.Run(cell_config(config, cell, available), read) for cell, name in names.items()}
    found = grid.rows(runs, workdir=workdir, workers=workers)

    rows = {cell: found[name] for cell, name in names.items()}
    splits, resamples = ranked.open_splits(config.data), config.evaluation.resamples
    metrics = {cell: ranked.headlines(row["scores"], splits, resamples=resamples) for cell, row in rows.items()}
    summary = summarize(metrics, counts, seeds)
    run_dir.write_atomically(os.path.join(workdir, "rows.csv"), rows_csv(rows, metrics))
    run_dir.write_atomically(os.path.join(workdir, "label_efficiency.json"), json.dumps(summary, indent=2) + "\n")
    draw(summary, counts).savefig(os.path.join(workdir, "label_efficiency.webp"), dpi=110)
    minutes = sum(row["seconds"] for row in rows.values()) / 60
    title = "Size-matched AUC by unlabeled loss and number of labeled pairs"
    note = f"{len(rows)} runs of {config.steps} steps, {minutes:.0f} minutes of training"
    tables.publish(workdir, "label_efficiency", {title: table(summary, counts)}, note=note)


if __name__ == "__main__":
    command.define_config("label_efficiency")
    command.define_workdir("runs/label_efficiency")
    command.define_grid(seeds=3)
    flags.DEFINE_list("counts", [str(count) for count in COUNTS], "Numbers of labeled pairs.")
    command.main(run)
