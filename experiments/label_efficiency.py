"""How many labels, and what are unlabeled pictures worth, near and far? The comparison that decides, in one command.

    python -m experiments.label_efficiency --config.data.manual_dir=LISTS --far=PHOTOS --workers=2

Trains the config once for each unlabeled loss (none, pairwise and quadruplet consistency, distillation), number of
labeled pairs and seed, and fits a linear ranker on frozen ImageNet features to the same pairs. A seed draws the pairs,
the same for every scorer, so scorers are compared in pairs. *Near* are the test faces of the config's data set; *far*
those of PHOTOS, another data set in the layout of the user's own pictures (docs/data.md), of which nothing is trained
on, except by the scorer "target", which --scorers may name: distillation of its unlabeled pictures, too. On an
accelerator, use more: --seeds=10 --config.steps=2000. A stopped grid resumes.

Writes to the workdir: `rows.csv` (a row for each scorer), `label_efficiency.json` (all metrics), `label_efficiency.md`
(the tables), `label_efficiency.webp` (the figure).
"""

import json
import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import ml_collections
from absl import flags

from blur_jax.data import splits as data
from blur_jax.evaluate import evaluation
from blur_jax.runs import run_dir
from experiments import command, grid, label_efficiency_summary, linear_ranker, ranked, tables, target_pictures
from experiments.label_efficiency_summary import LINEAR, LOSSES, MONITORED, TARGET, TRAINED, Cell
from tfds_builders.prepare import prepare_configured

COUNTS = (30, 100, 300, 1000, 3000, 10000)  # A count above the number of pairs takes all of them.


def cells(scorers: Sequence[str], counts: Sequence[int], seeds: int) -> list[Cell]:
    """Returns all cells, the first seed of everything first, which gives an early look at the whole."""
    return [(scorer, count, seed) for seed in range(seeds) for count in counts for scorer in scorers]


def cell_config(config: ml_collections.ConfigDict, cell: Cell, available: int) -> ml_collections.ConfigDict:
    """Returns the config of one cell; `available` is the number of labeled pairs that there are."""
    scorer, count, seed = cell
    loss = "distillation" if scorer == TARGET else scorer
    config = config.copy_and_resolve_references()
    config.seed = seed
    config.data.labeled_count = count if count < available else None
    for name in LOSSES[1:]:
        if name != loss:
            config.consistency[f"{name}_weight"] = 0.0
    return config


def far_data(config: ml_collections.ConfigDict, far: str) -> ml_collections.ConfigDict:
    """Prepares the pictures of `far` as those of `config.data` are and returns their `config.data`."""
    found = config.data.copy_and_resolve_references()
    found.update(name="folder_face_blur", manual_dir=far, sources=None, allow_missing=False)
    found.sources = prepare_configured(found, required=("ranked",))
    return found


def target_data(
    config: ml_collections.ConfigDict, far: ml_collections.ConfigDict, folder: str
) -> ml_collections.ConfigDict:
    """Prepares `config.data` with the unlabeled pairs of `far` beside its own and returns that `config.data`.

    Args:
        config: of a run, whose data come from the release's lists in `config.data.manual_dir`.
        far: what `far_data` returns.
        folder: where the lists of both go.

    Raises:
        ValueError: the data are of another kind, or as `target_pictures.add`.
        FileNotFoundError: `far` has no unlabeled pictures.
    """
    if config.data.name != "ssranking_face_blur" or config.data.manual_dir is None:
        raise ValueError(
            "--scorers=target adds pictures to the release's lists; say where these are: --config.data.manual_dir="
        )
    pairs = data.open_split(far, "unlabeled", "train").names
    target_pictures.add(config.data.manual_dir, far.manual_dir, pairs, folder)
    found = config.data.copy_and_resolve_references()
    found.update(manual_dir=folder, sources=None)
    ranked.prepare(found)
    return found


def read(config: ml_collections.ConfigDict, folder: str, *, far: dict[str, Any] | None) -> dict[str, Any]:
    """Reads what was last monitored in a run, and scores the tests with its checkpoint, {axis: {split: [n]}}."""
    row = {}
    for each in run_dir.read_history(folder):
        row |= {name: each[name] for name in MONITORED if name in each}
    configs = {"near": config}
    if far is not None:
        configs["far"] = config.copy_and_resolve_references()
        configs["far"].data = ml_collections.ConfigDict(far)
    for axis, of_axis in configs.items():
        _, scored = evaluation.score_splits(of_axis, folder)
        row[axis] = {name: scores.tolist() for name, (_, scores) in scored.items()}
    return row


def run(
    config: ml_collections.ConfigDict,
    workdir: str,
    far: str | None,
    scorers: Sequence[str],
    seeds: int,
    counts: Sequence[str],
    workers: int,
) -> None:
    """Makes the runs that have not been made, writes the results and prints the tables.

    Args:
        config: of a cell; the grid sets seed, number of labels and which weights are 0.
        workdir: where runs and results go.
        far: a folder of ranked pictures of another kind; None measures near alone.
        scorers: of `label_efficiency_summary.TRAINED`, labels alone among them; the linear ranker comes with them.
        seeds: number of seeds of each cell.
        counts: numbers of labeled pairs.
        workers: runs at a time.

    Raises:
        ValueError: scorers that cannot be compared; or as `grid.rows`.
        OSError: something to prepare from is missing.
    """
    _check(config, scorers, far)
    counts = sorted(map(int, counts))
    ranked.prepare(config.data)
    of_axes = {"near": config.data} | ({} if far is None else {"far": far_data(config, far)})
    far_fields = of_axes["far"].to_dict() if "far" in of_axes else None
    available = len(data.open_split(config.data, "labeled", config.data.labeled_split))
    configs = {cell: cell_config(config, cell, available) for cell in cells(scorers, counts, seeds)}
    if TARGET in scorers:
        of_target = target_data(config, of_axes["far"], os.path.join(os.path.abspath(workdir), "with_target"))
        for (scorer, _, _), of_cell in configs.items():
            if scorer == TARGET:
                of_cell.data.update(manual_dir=of_target.manual_dir, sources=of_target.sources)
    names = {cell: "{}_{}_{}".format(*cell) for cell in configs}
    runs = {name: grid.Run(configs[cell], partial(read, far=far_fields)) for cell, name in names.items()}
    found = grid.rows(runs, workdir=workdir, workers=workers)
    rows = {cell: found[name] for cell, name in names.items()}

    tests = {axis: ranked.open_splits(of_axis) for axis, of_axis in of_axes.items()}
    fits = {(count, seed): configs["none", count, seed].data for _, count, seed in configs}
    for (count, seed), scores in linear_ranker.score(fits, tests, config.model.linear_probe_strength).items():
        rows[LINEAR, count, seed] = scores | {"seconds": 0.0}
    resamples = config.evaluation.resamples
    metrics = {
        axis: {cell: ranked.headlines(row[axis], splits, resamples=resamples) for cell, row in rows.items()}
        for axis, splits in tests.items()
    }
    _publish(config, workdir, rows, metrics, counts, seeds)


def _check(config: ml_collections.ConfigDict, scorers: Sequence[str], far: str | None) -> None:
    if unknown := set(scorers) - set(TRAINED):
        raise ValueError(f"--scorers={','.join(sorted(unknown))}: there are {', '.join(TRAINED)}")
    if "none" not in scorers:
        raise ValueError("--scorers needs none, labels alone, which the others are compared with")
    for name in set(LOSSES[1:]) & set(scorers):
        weight = config.consistency[f"{name}_weight"]
        if weight <= 0:
            raise ValueError(f"config.consistency.{name}_weight={weight} must be above 0 to be compared")
    if TARGET in scorers and far is None:
        raise ValueError(f"--scorers={TARGET} needs the folder of the target's pictures, --far=")


def _publish(
    config: ml_collections.ConfigDict,
    workdir: str,
    rows: Mapping[Cell, dict],
    metrics: Mapping[str, Mapping[Cell, dict]],
    counts: Sequence[int],
    seeds: int,
) -> None:
    summary = {axis: label_efficiency_summary.summarize(of_axis, counts, seeds) for axis, of_axis in metrics.items()}
    write = partial(os.path.join, workdir)
    run_dir.write_atomically(write("rows.csv"), label_efficiency_summary.rows_csv(rows, metrics))
    run_dir.write_atomically(write("label_efficiency.json"), json.dumps(summary, indent=2) + "\n")
    label_efficiency_summary.draw(summary, counts).savefig(write("label_efficiency.webp"), dpi=110)
    minutes = sum(row["seconds"] for row in rows.values()) / 60
    published = {
        f"Size-matched AUC {axis}, by scorer and number of labeled pairs": label_efficiency_summary.table(found, counts)
        for axis, found in summary.items()
    }
    trained = sum(loss != LINEAR for loss, _, _ in rows)
    note = f"{trained} runs of {config.steps} steps, {minutes:.0f} minutes of training and scoring"
    tables.publish(workdir, "label_efficiency", published, note=note)


if __name__ == "__main__":
    command.define_config("label_efficiency")
    command.define_workdir("runs/label_efficiency")
    command.define_grid(seeds=3)
    flags.DEFINE_string("far", None, "A folder of ranked pictures of another kind, with ranked.csv.")
    flags.DEFINE_list("scorers", list(LOSSES), f"What to train, none (labels alone) included, of {', '.join(TRAINED)}.")
    flags.DEFINE_list("counts", [str(count) for count in COUNTS], "Numbers of labeled pairs.")
    command.main(run)
