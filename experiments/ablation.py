"""Measures what changes to the recipe contribute: agreement with judges, AUC, and how much content affects scores.

    python -m experiments.ablation --config.data.manual_dir=LISTS --far=CELEBA --judged=JUDGED --seeds=2

Trains the config as it is and with each change, once for each seed. *Near* faces are the test faces of the config's
data set; *far* faces are those in CELEBA, a folder in the layout of docs/data.md that is never used for training. With
`--half=even`, content is measured on faces with an even number in their name, for choosing a recipe; with
`--half=odd`, on the others, for reporting. To resume, run the command again.

Writes to the workdir: `ablation.md` (the tables), `ablation.json` (everything).
"""

import json
import os
import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from absl import flags
from ml_collections import ConfigDict

from blur_jax.data import judged_table
from blur_jax.evaluate import content, judged_agreement
from blur_jax.metrics import bootstrap
from blur_jax.metrics.interval import Interval, interval_text
from blur_jax.runs import run_dir
from experiments import baselines, command, grid, judged_tables, ranked, tables
from experiments.content import HALVES, faces_in_half

WHOLE = "the recipe"
# {variant: {field: value}}
VARIANTS: dict[str, dict[str, Any]] = {
    WHOLE: {},
    "no prior": {"probe.prior": 0.0},
    "labels weighed as in configs/folder.py": {"probe.strength": 1e-3},
    "200 steps of training": {"steps": 200, "checkpoint_every": 200},
}
AXES = ("near", "far")


def configs_of(config: ConfigDict, seeds: int) -> dict[str, ConfigDict]:
    """Returns {"variant, seed N": config}, starting with all variants of seed 0."""
    configs = {}
    for seed in range(seeds):
        for variant, fields in VARIANTS.items():
            name = f"{variant}, seed {seed}"
            configs[name] = config.copy_and_resolve_references()
            configs[name].update_from_flattened_dict({**fields, "seed": seed})
    return configs


def read(config: ConfigDict, folder: str, *, far: dict[str, Any], half: str | None) -> dict[str, Any]:
    """Returns a run's scores, {"near": {split: [n]}, "far": the same}, and "content" of the far faces."""
    scorer, axes = ranked.score_axes(config, folder, far)
    row: dict[str, Any] = {
        axis: {name: scores.tolist() for name, (_, scores) in scored.items()} for axis, scored in axes.items()
    }
    ((split, _),) = axes["far"].values()
    reading = partial(content.read_scores, scorer, batch_size=config.evaluation.batch_size)
    row["content"] = content.measure(reading, *faces_in_half(split, half), resamples=config.evaluation.resamples)
    return row


def least_fair(measured: Mapping[str, Any]) -> tuple[str, Interval]:
    """Returns the group whose AUC at equal blur is farthest from 0.5, and that AUC; ("", empty) without groups."""
    aucs = {name: group["auc"][content.SHOWN] for name, group in measured["groups"].items()}
    known = {name: auc for name, auc in aucs.items() if auc["value"] is not None}
    if not known:
        return "", bootstrap.interval(np.array([np.nan]))
    worst = max(known, key=lambda name: abs(known[name]["value"] - 0.5))
    return worst, known[worst]


def table(
    rows: Mapping[str, Any], judged: Mapping[str, Any], metrics: Mapping[str, Mapping[str, Any]]
) -> tuple[str, str]:
    """Returns a table with a row for each run, and one of paired differences between the recipe and each run."""
    first, body, differences = next(iter(rows)), [], []
    for name, row in rows.items():
        agreement = [judged_agreement.cell(judged[axis]["scorers"][name], "consensus") for axis in AXES]
        aucs = [interval_text(metrics[axis][name]["mean"]["auc"]) for axis in AXES]
        share = interval_text(row["content"]["content_share"][content.SHOWN])
        group, auc = least_fair(row["content"])
        spearman = interval_text(row["content"]["spearman_drawn"])
        body.append([name, *agreement, *aucs, share, spearman, f"{group} {interval_text(auc)}".strip()])
        if name != first:
            parts = [judged_agreement.cell(judged[axis]["scorers"][name], "first_minus_this") for axis in AXES]
            parts += [interval_text(metrics[axis][name]["first_minus_this"]["auc"], "+") for axis in AXES]
            differences.append([name, *parts])
    columns = [*(f"judged, {group}" for group in AXES), *(f"AUC, {axis}" for axis in AXES)]
    content_columns = [f"content share at {content.SHOWN} px", "Spearman with random size", "least fair group, AUC"]
    return tables.markdown(["run", *columns, *content_columns], body), tables.markdown(["run", *columns], differences)


def run(config: ConfigDict, workdir: str, far: str, judged: str, half: str | None, seeds: int, workers: int) -> None:
    pairs = judged_table.read(judged)
    ranked.prepare(config.data)
    axes = {"near": config.data, "far": ranked.far_data(config.data, far)}
    fields = axes["far"].to_dict()
    configs = configs_of(config, seeds)
    names = {name: re.sub(r"\W+", "_", name) for name in configs}
    runs = {names[name]: grid.Run(configs[name], partial(read, far=fields, half=half)) for name in configs}
    rows = dict(zip(names, grid.rows(runs, workdir=workdir, workers=workers).values()))
    tests = {axis: ranked.open_splits(data) for axis, data in axes.items()}
    first, resamples = next(iter(rows)), config.evaluation.resamples
    scores = {axis: {name: _arrays(row[axis]) for name, row in rows.items()} for axis in tests}
    metrics = {axis: baselines.compare(scores[axis], tests[axis], first, resamples) for axis in tests}
    agreement = judged_tables.measure_axes(pairs, scores, tests, first=first, resamples=resamples)
    results = {"half": half, "judged": agreement, "metrics": metrics, "content": {n: rows[n]["content"] for n in rows}}
    run_dir.write_atomically(os.path.join(workdir, "ablation.json"), json.dumps(results, indent=1) + "\n")
    everything, differences = table(rows, agreement, metrics)
    published = {"Each run": everything, f"{first} minus each run": differences}
    minutes = sum(row["seconds"] for row in rows.values()) / 60
    note = f"{len(rows)} runs, {minutes:.0f} minutes of training and scoring"
    tables.publish(workdir, "ablation", published, note=note)


def _arrays(scores: Mapping[str, list[float]]) -> dict[str, np.ndarray]:
    return {split: np.array(values) for split, values in scores.items()}


if __name__ == "__main__":
    command.define_config("ablation")
    command.define_workdir("runs/ablation")
    command.define_grid(seeds=2)
    command.define_far(required=True)
    command.define_judged(required=True)
    flags.DEFINE_enum("half", None, HALVES, "Measure content only on faces with an even or odd number in their name.")
    command.main(run)
