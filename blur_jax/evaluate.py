"""Evaluation of a run on the ranked splits: every image counted once, on any number of devices and processes."""

import csv
import dataclasses
import io
import itertools
import json
import os
import platform
from collections.abc import Callable
from typing import Any

import jax
import ml_collections
import numpy as np
from tqdm import tqdm

from blur_jax import bootstrap, checkpoints, data, figures, parallel, report, scorer, train_step, writers

METRICS_FILE = "metrics.json"
SCORES_FILE = "scores.csv"
REPORT_FILE = "report.html"


def make_map_images(
    function: Callable, *, batch_size: int, progress: str = ""
) -> Callable[[Any, np.ndarray], np.ndarray]:
    """Returns `map_images(replicated_params, images)`: a function of images, spread over all devices of all processes.

    Args:
        function: see `train_step.make_map_step`.
        batch_size: images in a global batch, a multiple of the number of devices.
        progress: label of a progress bar; "" shows none.

    `images` are uint8 [n, S, S, 3], the same on every process; what comes back is [n, ...], each image's own, in order.
    """
    step = parallel.pmap(train_step.make_map_step(function))

    def map_images(params, images):
        batches = data.padded_batches(
            images, batch_size, process_index=jax.process_index(), process_count=jax.process_count()
        )
        total = -(-len(images) // batch_size)
        hidden = None if progress and writers.is_main_process() else True
        batches = tqdm(batches, total=total, desc=progress, unit="batch", disable=hidden, leave=False)
        values = [parallel.unreplicate(step(params, parallel.shard(batch))) for batch in batches]
        return np.concatenate(values)[: len(images)]

    return map_images


def make_score_images(model, *, batch_size: int, progress: str = "") -> Callable[[Any, np.ndarray], np.ndarray]:
    """`make_map_images` of the scorer module `model`: scores, float32 [n]."""
    return make_map_images(
        lambda params, images: model.apply({"params": params}, images), batch_size=batch_size, progress=progress
    )


def score_splits(config: ml_collections.ConfigDict, workdir: str) -> tuple[checkpoints.Saved, dict[str, dict]]:
    """Scores every ranked split with the best checkpoint of a run.

    Args:
        config, workdir: as of `evaluate`, which also says what is raised.

    Returns:
        the checkpoint, and for each split its columns: "image" uint8 [n, S, S, 3], "rank", "size" and "score"
        float32 [n], "name" and "group" lists of n texts.
    """
    batch_size = config.evaluation.batch_size
    parallel.check_batch_size(batch_size, "evaluation.batch_size")
    saved = checkpoints.find(workdir)
    model, params = scorer.load_model(saved)
    score_images = make_score_images(model, batch_size=batch_size, progress="evaluating")
    replicated = parallel.replicate(params)
    splits = {}
    for split in data.split_names(config.data, "ranked"):
        opened = data.open_split(config.data, "ranked", split)
        if opened.preprocessing != saved.preprocessing:
            raise ValueError(
                f"{saved.path} was trained with {saved.preprocessing}, the data have {opened.preprocessing}"
            )
        columns = {key: [example[key] for example in opened.examples] for key in opened.examples[0]}
        columns |= {key: np.asarray(columns[key], np.float32) for key in ("rank", "size")}
        columns["image"] = np.stack(columns["image"])
        columns["score"] = score_images(replicated, columns["image"])
        splits[split] = columns
    return saved, splits


def evaluate(config: ml_collections.ConfigDict, workdir: str) -> dict[str, Any]:
    """Scores every ranked split with the best checkpoint of a run.

    Writes `metrics.json`, `report.html`, and `scores.csv` with a row for each face, from which anyone can compute
    the figures anew.

    Args:
        config: the config of the run; its `data` and `evaluation` fields are read here, its model from the checkpoint.
        workdir: the run directory.

    Returns:
        what `metrics.json` holds: step, checkpoint, validation accuracy, and for each split what
        `bootstrap.summarize` returns, with the same of each group of its images under "groups".

    Raises:
        checkpoints.CheckpointError: there is no usable checkpoint.
        FileNotFoundError, ValueError: the data are not prepared or do not fit the checkpoint.
    """
    saved, splits = score_splits(config, workdir)
    evaluations, rows = [], []
    for split, columns in splits.items():
        scores, ranks, sizes, groups = (columns[key] for key in ("score", "rank", "size", "group"))
        summary = _summaries(scores, ranks, sizes, groups, resamples=config.evaluation.resamples, seed=config.seed)
        names, images = columns["name"], columns["image"]
        evaluations.append(figures.Evaluation(split, scores, ranks, names, groups, images, summary))
        rows += zip(itertools.repeat(split), names, groups, sizes, ranks, scores)
    results = {
        "checkpoint": os.path.relpath(saved.path, workdir),
        "step": saved.step,
        "validation_accuracy": saved.validation_accuracy,
        "splits": {evaluation.split: evaluation.metrics for evaluation in evaluations},
    }
    if writers.is_main_process():
        writers.write_atomically(os.path.join(workdir, METRICS_FILE), json.dumps(results, indent=2) + "\n")
        writers.write_atomically(os.path.join(workdir, SCORES_FILE), _csv(rows))
        report.write_report(
            os.path.join(workdir, REPORT_FILE),
            title=f"blur_jax: {os.path.basename(os.path.abspath(workdir))} on {config.data.name}",
            history=writers.read_history(workdir),
            evaluations=evaluations,
            facts=_facts(config, saved),
        )
    return results


def _summaries(scores, ranks, sizes, groups, **options):
    """Figures of a whole split and, below "groups", of each group of its images."""
    summary = bootstrap.summarize(scores, ranks, sizes, **options)
    names = sorted(set(groups) - {""})
    summary["groups"] = {}
    for name in names if len(names) > 1 else []:
        of = np.asarray(groups) == name
        if of.sum() > 1:
            # A group without clear faces has no AUC of clear faces: its own lowest rank is not the clear level.
            part = bootstrap.summarize(scores[of], ranks[of], sizes[of], clear=ranks.min(), **options)
            summary["groups"][name] = part
    return summary


def _csv(rows):
    """Names may hold commas; float32 is written in the fewest digits that give the same number again."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("split", "name", "group", "size", "rank", "score"))
    writer.writerows(rows)
    return text.getvalue()


def _facts(config, saved):
    return {
        "Checkpoint": f"step {saved.step} (validation accuracy {saved.validation_accuracy})",
        "Data": config.data.name,
        "Backbone": saved.config.model.backbone,
        "Crop and resize": ", ".join(f"{k} {v}" for k, v in dataclasses.asdict(saved.preprocessing).items()),
        "Seed": str(saved.config.seed),
        "Devices": f"{jax.device_count()} x {jax.devices()[0].device_kind}",
        "Software": f"jax {jax.__version__}, Python {platform.python_version()}",
    }
