"""Measures whether scores respond to blur or to content, and which groups of faces a threshold discards.

    python -m experiments.content --config.data.manual_dir=CELEBA --run=ours=runs/wider_blur --workdir=runs/content

CELEBA is a folder of pictures with `ranked.csv` and, to compare groups, `attributes.csv` (docs/data.md). Its faces
should all have the same size, at least 64 pixels, because smaller faces keep their own blur. Every run is compared with
the closed-form baselines. `--half=even` measures only faces with an even number in their name, for choosing a recipe;
`--half=odd` measures the others, for reporting. Nothing is trained or chosen here. Writes to the workdir: `content.md`
(the tables) and `content.json` (everything).

A run's reading is the logit of its score; a baseline's reading is minus the logarithm of its measure. For equal blur,
the prepared crop of every face is reduced to 20, 32, 45 or 64 pixels and enlarged again. *Content share* is the
standard deviation of these readings, divided by that of the unmodified faces' readings. *AUC* is how often a clear face
(of the lowest rank) in a group reads blurrier than another clear face at equal blur. *Discarded* is the share of clear
faces discarded by a threshold that discards 10% of all faces, either unmodified or at random sizes: log-uniform, 20 to
64 pixels, eight for each face (`blur_jax/evaluate/content.py`).
"""

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import ml_collections
import numpy as np
from absl import flags

from blur_jax.data import splits
from blur_jax.data.preprocessing import Preprocessing
from blur_jax.evaluate import content
from blur_jax.metrics.interval import Interval, interval_text
from blur_jax.runs import run_dir
from blur_jax.score.scorer import load_scorer
from experiments import command, evaluated_runs, ranked, tables
from experiments.baselines import CLOSED_FORM
from experiments.robustness import read_by_baseline, read_by_run
from tfds_builders.prepare import prepare_configured

HALVES = ("even", "odd")


def in_half(names: Sequence[str], half: str | None) -> np.ndarray:
    """Returns a mask of the names whose last number is even or odd, bool [n]; None selects all.

    Raises ValueError if a name has no number.
    """
    if half is None:
        return np.full(len(names), True)
    numbers = [re.findall(r"\d+", name) for name in names]
    if not all(numbers):
        raise ValueError(f"{names[numbers.index([])]} has no number in its name; omit --half to measure all faces")
    return np.array([int(found[-1]) % 2 == HALVES.index(half) for found in numbers])


def faces_in_half(split: splits.Split, half: str | None) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Returns what `content.measure` needs of the faces `in_half` of a ranked split: images, ranks and attributes."""
    chosen = np.flatnonzero(in_half(split.names.tolist(), half))
    attributes = {name: members[chosen] for name, members in content.attributes_of(split).items()}
    return split.images(chosen), np.asarray(split.labels)[chosen], attributes


def reading_of_run(name: str, path: str, protocol: Preprocessing) -> Callable[[np.ndarray], np.ndarray]:
    scorer = load_scorer(path)
    if scorer.preprocessing != protocol:
        raise ValueError(
            f"--run={name}={path} uses {scorer.preprocessing.tag} crops, but these data have {protocol.tag}"
            " crops; set --config.data.image_size and --config.data.context to the run's values"
        )
    return partial(read_by_run, scorer)


def table_of_shares(measured: Mapping[str, Any]) -> str:
    sides = [str(side) for side in content.SIDES]
    rows = [
        [name, *(interval_text(found["content_share"][side]) for side in sides), interval_text(found["spearman_drawn"])]
        for name, found in measured.items()
    ]
    return tables.markdown(["scorer", *(f"{side} px" for side in sides), "Spearman with random size"], rows)


def table_of_groups(found: Mapping[str, Any]) -> str:
    rows = []
    for name, group in found["groups"].items():
        row = [name, f"{group['clear']:,}", interval_text(group["auc"][content.SHOWN])]
        for kind in ("unchanged", "drawn"):
            row += [*(_percent(group[kind][part]) for part in ("group", "others")), interval_text(group[kind]["ratio"])]
        rows.append(row)
    parts = ["discarded", "others", "ratio"]
    header = [
        "group",
        "clear faces",
        f"AUC at {content.SHOWN} px",
        *parts,
        *(f"{part}, random sizes" for part in parts),
    ]
    return tables.markdown(header, rows)


def table_over_scorers(measured: Mapping[str, Any], cell: Callable[[Mapping[str, Any]], Interval]) -> str:
    """Returns a table with a row for each group and a column for each scorer; `cell` selects a group's interval."""
    (first, *_) = measured.values()
    rows = [
        [name, *(interval_text(cell(found["groups"][name])) for found in measured.values())] for name in first["groups"]
    ]
    return tables.markdown(["group", *measured], rows)


def _percent(interval: Interval) -> str:
    return "" if interval["value"] is None else f"{interval['value']:.1%}"


def run(config: ml_collections.ConfigDict, run: list[str], half: str | None, workdir: str) -> None:
    runs = evaluated_runs.parse(run)
    if taken := runs.keys() & CLOSED_FORM.keys():
        raise ValueError(f"--run={min(taken)}=... uses the name of a baseline; choose a different name")
    config.data.sources = prepare_configured(config.data, required=("ranked",))
    split = splits.open_split(config.data, "ranked", "test")
    reads = {name: reading_of_run(name, path, split.preprocessing) for name, path in runs.items()}
    reads |= {name: partial(read_by_baseline, measure) for name, measure in CLOSED_FORM.items()}
    images, ranks, attributes = faces_in_half(split, half)
    options = {"resamples": config.evaluation.resamples, "seed": config.seed}
    measured = {name: content.measure(read, images, ranks, attributes, **options) for name, read in reads.items()}
    sizes = ranked.sizes(split)[in_half(split.names.tolist(), half)]
    results = {"half": half, "runs": runs, "sizes": [float(sizes.min()), float(sizes.max())], "scorers": measured}
    run_dir.write_atomically(os.path.join(workdir, "content.json"), json.dumps(results, indent=1) + "\n")
    faces = f"{len(sizes):,} faces of {sizes.min():g} to {sizes.max():g} px"
    published = {f"Content share at equal blur, {faces}": table_of_shares(measured)}
    if attributes:
        published |= {f"{name}: groups of clear faces": table_of_groups(measured[name]) for name in runs}
        published[f"AUC of a group at {content.SHOWN} px"] = table_over_scorers(
            measured, lambda group: group["auc"][content.SHOWN]
        )
        title = "Discarded share of a group relative to the others, at random sizes"
        published[title] = table_over_scorers(measured, lambda group: group["drawn"]["ratio"])
    tables.publish(workdir, "content", published)


if __name__ == "__main__":
    command.define_config("content")
    flags.DEFINE_multi_string("run", [], "A trained run as NAME=PATH; repeatable.")
    flags.DEFINE_enum("half", None, HALVES, "Measure only faces whose last number is even or odd; default: all.")
    command.define_workdir("runs/content")
    command.main(run)
