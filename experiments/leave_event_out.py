"""Measures how well a config orders faces from events that it was not trained on, for choosing between configs.

    python -m experiments.leave_event_out --config.data.manual_dir=LISTS --workdir=runs/events/center
    python -m experiments.leave_event_out ... --workdir=runs/events/no_center --config.model.pool_center=False

For each event that contains enough labeled pairs, trains on the pairs without faces from the event and measures the
share of the event's own pairs that the run orders as labeled. Unlike validation pairs, these have no photographs in
common with training, so configs can be chosen without looking at test results. Writes `leave_event_out.md`, a table
with a row for this config, to the workdir.
"""

import os
from collections.abc import Sequence
from functools import partial

import ml_collections
import numpy as np
from absl import flags

from blur_jax.data import splits
from blur_jax.metrics import rank_statistics
from blur_jax.score import scorer
from experiments import command, grid, ranked, tables


def event(name: str) -> str:  # The event for WIDER photographs, otherwise the person.
    return os.path.dirname(name)


def events(names: np.ndarray | Sequence[Sequence[str]], least_pairs: int) -> dict[str, list[int]]:
    """Returns {event: indices of its pairs}, sorted, for events with at least `least_pairs`; names are [m][2]."""
    pairs = {}
    for index, (left, right) in enumerate(names):
        if event(left) == event(right):
            pairs.setdefault(event(left), []).append(index)
    return {name: indices for name, indices in sorted(pairs.items()) if len(indices) >= least_pairs}


def read(config: ml_collections.ConfigDict, folder: str, *, indices: Sequence[int]) -> dict[str, float]:
    """Returns the share of the labeled pairs at `indices`, excluding ties, that a run's scorer orders correctly."""
    split = splits.open_split(config.data, "labeled", config.data.labeled_split)
    rows, pairs = np.unique(split.rows[indices], return_inverse=True)
    images, order = split.faces.stack(rows), np.asarray(split.labels)[indices]
    scores = scorer.load_scorer(folder).score_images(images, batch_size=config.evaluation.batch_size)
    in_order = rank_statistics.in_order(*scores[pairs.reshape(-1, 2)].T, order)
    return {"accuracy": float(np.mean(in_order[order != 0])), "pairs": len(indices)}


def table(label: str, accuracy: dict[str, list[float]]) -> str:
    """Returns a table row: each event's mean accuracy with its seeds, "0.850 (0.800, 0.900)", and the overall mean."""
    means = [np.mean(values) for values in accuracy.values()]
    by_seed = [", ".join(f"{value:.3f}" for value in values) for values in accuracy.values()]
    row = [label, *(f"{mean:.3f} ({seeds})" for mean, seeds in zip(means, by_seed)), f"{np.mean(means):.3f}"]
    return tables.markdown(["config", *map(os.path.basename, accuracy), "mean"], [row])


def run(config: ml_collections.ConfigDict, workdir: str, seeds: int, least_pairs: int, workers: int) -> None:
    ranked.prepare(config.data)
    split = splits.open_split(config.data, "labeled", config.data.labeled_split)
    pairs = events(split.names, least_pairs)
    if not pairs:
        raise ValueError(f"{config.data.name} has no event with {least_pairs} or more pairs; lower --least_pairs")
    runs = {}
    for name, indices in pairs.items():
        for seed in range(seeds):
            cell = config.copy_and_resolve_references()
            cell.seed, cell.data.leave_out = seed, f"{name}/"
            runs[f"{name.replace('/', '_')}_{seed}"] = grid.Run(cell, partial(read, indices=indices))
    rows = iter(grid.rows(runs, workdir=workdir, workers=workers).values())
    accuracy = {name: [next(rows)["accuracy"] for _ in range(seeds)] for name in pairs}
    title, label = (
        "Share of labeled pairs ordered correctly, for events left out of training",
        os.path.basename(os.path.abspath(workdir)),
    )
    tables.publish(workdir, "leave_event_out", {title: table(label, accuracy)})


if __name__ == "__main__":
    command.define_config("leave_event_out")
    command.define_workdir("runs/leave_event_out")
    command.define_grid(seeds=1)
    flags.DEFINE_integer("least_pairs", 500, "Minimum number of labeled pairs in an event.")
    command.main(run)
