"""How many labels, and what are unlabeled pictures worth? A grid of runs, a table, a figure and the raw rows.

    python benchmarks/study.py --config.data.manual_dir=LISTS --workdir=runs/study

Trains configs/wider_study.py once for each unlabeled loss (none, pairwise consistency, quadruplet consistency, both),
number of labeled pairs and seed. A seed draws the labeled pairs too; the same seed draws the same pairs for every
loss, so losses are compared in pairs. Started again, it goes on where it was: a run that has its scores is not
trained again. On an accelerator, give more seeds, steps and pictures: --seeds=10 --config.steps=2000.

In the workdir: `rows.csv` (a row for each run), `study.json` (all figures), `study.md` (the table), `study.webp`.
"""

import concurrent.futures
import csv
import io
import json
import multiprocessing
import os
import sys
import time

import jax
import numpy as np
from absl import app, flags, logging
from ml_collections import config_flags
from tqdm import tqdm

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from blur_jax import bootstrap, data, evaluate, writers  # noqa: E402
from blur_jax.train import train  # noqa: E402
from tfds_builders.build import prepare_configured  # noqa: E402

# Unlabeled loss -> the weights of config.consistency that stay as they are; the others become 0.
WEIGHTS = ("quadruplet_weight", "pairwise_weight")
LOSSES = {"none": (), "pairwise": WEIGHTS[1:], "quadruplet": WEIGHTS[:1], "both": WEIGHTS}
COUNTS = (100, 300, 1000, 3000, 10000)  # A count above the pairs there are takes all of them.
ROW_FILE = "row.json"
MONITORED = ("validation_accuracy", "pseudo_order_share", "pseudo_order_accuracy", "score_spread", "trusted")


def cells(counts, seeds):
    """All runs, (loss, count, seed), the first seed of everything first: an early look at the whole."""
    return [(loss, count, seed) for seed in range(seeds) for count in counts for loss in LOSSES]


def cell_config(config, loss, count, seed, available):
    """The config of one run."""
    config = config.copy_and_resolve_references()
    config.seed = seed
    config.data.labeled_count = count if count < available else 0
    for weight in set(WEIGHTS) - set(LOSSES[loss]):
        config.consistency[weight] = 0.0
    return config


def run_cell(config, folder):
    """Trains and scores one run and leaves its row in `folder`; returns whether it came to its end."""
    begin = time.monotonic()
    if not train(config, folder):
        return False
    _, splits = evaluate.score_splits(config, folder)
    monitored = {}
    for row in writers.read_history(folder):
        monitored |= {name: row[name] for name in MONITORED if name in row}
    row = {"seconds": time.monotonic() - begin, **monitored, "splits": {}}
    for split, columns in splits.items():
        row["splits"][split] = {key: np.asarray(columns[key]).tolist() for key in ("name", "rank", "size", "score")}
    writers.write_atomically(os.path.join(folder, ROW_FILE), json.dumps(row) + "\n")
    return True


def read_row(folder):
    """What `run_cell` left; None where it has not come to its end."""
    try:
        with open(os.path.join(folder, ROW_FILE), encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return None


def figures_of(row, resamples):
    """Of a row that `run_cell` left: see `bootstrap.headlines`, the mean being over the headline splits."""
    splits = {
        split: [columns[key] for key in ("score", "rank", "size")] for split, columns in sorted(row["splits"].items())
    }
    return bootstrap.headlines(splits, bootstrap.headline_splits(splits), resamples=resamples)


def over_seeds(values, seed=0):
    """Mean over runs [seeds, 1 + resamples] with resamples of the runs, too: [1 + resamples].

    An interval of it speaks of other faces and of other labels and draws; with three seeds the latter is a rough guess.
    """
    values = np.asarray(values)
    seeds, columns = values.shape
    drawn = np.random.default_rng(seed).integers(seeds, size=(seeds, columns))
    drawn[:, 0] = np.arange(seeds)
    return np.take_along_axis(values, drawn, axis=0).mean(axis=0)


def summarize(figures, counts, seeds):
    """Size-matched AUC over seeds and its gain over no unlabeled loss, with intervals: {loss: {count or "mean": ...}}.

    "mean", over the counts, is surer than each of them.
    """

    def auc(loss, counts):
        of_runs = [[figures[loss, count, seed]["mean"]["auc"] for count in counts] for seed in range(seeds)]
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


def rows_csv(cells, rows, figures):
    """A row for each run: what it was, what was watched, and its size-matched figures."""
    splits = sorted(next(iter(figures.values())))
    names = [(split, name) for split in splits for name in ("auc", "pairwise_accuracy", "spearman", "kendall")]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["loss", "labeled_pairs", "seed", *MONITORED, "seconds", *(f"{s}_{n}" for s, n in names)])
    for cell in cells:
        watched = [_number(rows[cell].get(name)) for name in MONITORED]
        values = [_number(figures[cell][split][name][0]) for split, name in names]
        writer.writerow([*cell, *watched, f"{rows[cell]['seconds']:.0f}", *values])
    return text.getvalue()


def _number(value):
    return "" if value is None else f"{value:.4f}"


def table(summary, counts):
    """The Markdown table: AUC over seeds for each loss and count, and the gain over no unlabeled loss below it."""
    lines = [["unlabeled loss", *(f"{count:,} pairs" for count in counts), "mean"], ["---"] * (len(counts) + 2)]
    for loss, groups in summary.items():
        lines.append([loss, *(bootstrap.interval_text(group["auc"]) for group in groups.values())])
        if loss != "none":
            gains = (bootstrap.interval_text(group["gain"], "+") for group in groups.values())
            lines.append([f"gain of {loss}", *gains])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def draw(summary, counts, path):
    """Left: AUC against the number of labeled pairs, a line for each loss. Right: the gain over no unlabeled loss."""
    from matplotlib.figure import Figure

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
    left.set_ylabel("size-matched AUC, mean of unseen events")
    right.set_ylabel("gain over labels alone")
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_xticks(counts, [f"{count:,}" for count in counts])
        axes.minorticks_off()
        axes.set_xlabel("labeled pairs")
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, title="unlabeled loss", loc="outside upper center", ncols=4, frameon=False)
    figure.savefig(path, dpi=110)


def run(config, *, workdir, seeds, counts, workers=1):
    """Runs what of the grid has not been run, and writes and prints the results.

    Args:
        config: of a cell; seed, number of labels and weights are the grid's.
        workdir: where runs and results go.
        seeds: number of seeds of each cell.
        counts: numbers of labeled pairs.
        workers: runs at a time.
    """
    for weight in WEIGHTS:
        if config.consistency[weight] <= 0:
            raise ValueError(f"config.consistency.{weight}={config.consistency[weight]} must be above 0 to be studied")
    counts = sorted(counts)
    if config.data.manual_dir:  # Not needed once the data are prepared.
        prepare_configured(config.data)
    available = len(data.open_split(config.data, "labeled", config.data.labeled_split).examples)
    grid = cells(counts, seeds)
    folders = {cell: os.path.join(workdir, "{}_{}_{}".format(*cell)) for cell in grid}
    todo = {folders[cell]: cell_config(config, *cell, available) for cell in grid if not read_row(folders[cell])}
    # Each run has a process of its own: programs compiled for a CPU are never unmapped, and after some tens of runs
    # one process is out of mappings.
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(workers, mp_context=spawn, max_tasks_per_child=1) as pool:
        ended = pool.map(run_cell, todo.values(), todo)
        if not all(tqdm(ended, total=len(todo), desc="study", unit="run", disable=None)):
            sys.exit("stopped; the same command goes on from here")
    rows = {cell: read_row(folders[cell]) for cell in grid}
    figures = {cell: figures_of(row, config.evaluation.resamples) for cell, row in rows.items()}
    summary = summarize(figures, counts, seeds)
    for name, text in {
        "rows.csv": rows_csv(grid, rows, figures),
        "study.json": json.dumps(summary, indent=2) + "\n",
        "study.md": table(summary, counts),
    }.items():
        writers.write_atomically(os.path.join(workdir, name), text)
    draw(summary, counts, os.path.join(workdir, "study.webp"))
    minutes = sum(row["seconds"] for row in rows.values()) / 60
    print(table(summary, counts))
    print(f"{len(rows)} runs, {minutes:.0f} minutes of training; jax {jax.__version__}, {jax.devices()[0].device_kind}")


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unknown argument {argv[1]!r}; fields are set as --config.<field>=<value>")
    if not flags.FLAGS["verbosity"].present:
        logging.set_verbosity(logging.WARNING)
    workdir = os.path.abspath(flags.FLAGS.workdir)
    # Runs differ in seed and weights only: what one has compiled serves the next.
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", os.path.join(workdir, "compiled"))
    try:
        run(
            flags.FLAGS.config,
            workdir=workdir,
            seeds=flags.FLAGS.seeds,
            counts=[int(count) for count in flags.FLAGS.counts],
            workers=flags.FLAGS.workers,
        )
    except (ValueError, OSError, FloatingPointError) as error:
        sys.exit(f"study.py: {error}")


if __name__ == "__main__":
    config_flags.DEFINE_config_file("config", os.path.join(ROOT, "configs", "wider_study.py"), "The run of a cell.")
    flags.DEFINE_string("workdir", "runs/study", "Where runs and results go.")
    flags.DEFINE_integer("seeds", 3, "Seeds of each cell.", lower_bound=1)
    flags.DEFINE_integer("workers", 2, "Runs at a time; 1 on an accelerator.", lower_bound=1)
    flags.DEFINE_list("counts", [str(count) for count in COUNTS], "Numbers of labeled pairs.")
    app.run(main)
