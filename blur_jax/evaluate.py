"""Evaluation of a run on the ranked splits: every face counted once, on any number of devices and processes."""

import csv
import dataclasses
import io
import json
import os
import platform
from typing import Any

import jax
import ml_collections
import numpy as np

from blur_jax import bootstrap, checkpoints, data, distributed, report, run_dir
from blur_jax.ranking import Evaluation
from blur_jax.scorer import Scorer

METRICS_FILE = "metrics.json"
SCORES_FILE = "scores.csv"
REPORT_FILE = "report.html"


def score_splits(
    config: ml_collections.ConfigDict, workdir: str
) -> tuple[checkpoints.Saved, dict[str, tuple[data.Split, np.ndarray]]]:
    """Scores every ranked split with the best checkpoint of a run; arguments and errors are those of `evaluate`.

    Returns:
        the checkpoint, and for each ranked split the opened split and its scores, float32 [n].
    """
    saved = distributed.everywhere(checkpoints.find, workdir)
    splits = distributed.everywhere(_open_splits, config, saved)
    scorer = Scorer(saved)
    scored = {}
    for name, split in splits.items():
        images = distributed.everywhere(split.images, range(len(split)))
        scores = scorer.score_images(images, batch_size=config.evaluation.batch_size, progress=f"evaluating {name}")
        scored[name] = (split, scores)
    return saved, scored


def _open_splits(config: ml_collections.ConfigDict, saved: checkpoints.Saved) -> dict[str, data.Split]:
    names = data.split_names(config.data, "ranked")
    splits = {name: data.open_split(config.data, "ranked", name) for name in names}
    # Prepared faces are as their builder cut them: which way up it read the pictures is no matter of the network.
    for field in ("image_size", "context"):
        for split in splits.values():
            trained, found = getattr(saved.preprocessing, field), getattr(split.preprocessing, field)
            if trained != found:
                raise ValueError(
                    f"{saved.path} was trained on faces with {field}={trained}, but these data have {found};"
                    f" evaluate with --config.data.{field}={trained}"
                )
    return splits


def evaluate(config: ml_collections.ConfigDict, workdir: str) -> dict[str, Any]:
    """Scores every ranked split with the best checkpoint of a run and says how good the order of the scores is.

    Writes `metrics.json`, `report.html`, and `scores.csv` with a row for each face, from which anyone can compute
    the metrics again.

    Args:
        config: the config of the run; its `data` and `evaluation` fields are read here, its network from the
            checkpoint.
        workdir: the run directory.

    Returns:
        what `metrics.json` holds: step, checkpoint, validation accuracy, `sources` of the data, and for each split what
        `bootstrap.summarize` returns, with the same of each group of its faces under "groups".

    Raises:
        checkpoints.CheckpointError: there is no usable checkpoint.
        FileNotFoundError: the data are not prepared.
        ValueError: the data do not fit the checkpoint.
    """
    saved, scored = score_splits(config, workdir)
    return distributed.on_process_zero(_write_results, config, workdir, saved, scored)


def summary_text(results: dict[str, Any], workdir: str) -> str:
    """Says where the results of `evaluate` are, and its headline metrics."""
    folder = run_dir.resolve(workdir)
    lines = [
        f"checkpoint  {folder / results['checkpoint']}",
        f"report      {folder / REPORT_FILE}",
        f"scores      {folder / SCORES_FILE}",
    ]
    return "\n".join(lines + report.summary_lines(results["splits"]))


def _write_results(
    config: ml_collections.ConfigDict,
    workdir: str,
    saved: checkpoints.Saved,
    scored: dict[str, tuple[data.Split, np.ndarray]],
) -> dict[str, Any]:
    folder = run_dir.resolve(workdir)
    evaluations = [_evaluation(config, name, split, scores) for name, (split, scores) in scored.items()]
    results = {
        "checkpoint": os.path.relpath(saved.path, folder) if run_dir.is_local(folder) else saved.path,
        "step": saved.step,
        "validation_accuracy": saved.validation_accuracy,
        "sources": config.data.sources,
        "splits": {evaluation.split: evaluation.metrics for evaluation in evaluations},
    }
    run_dir.write_atomically(folder / METRICS_FILE, json.dumps(results, indent=2) + "\n")
    run_dir.write_atomically(folder / SCORES_FILE, _csv(scored))
    report.write_report(
        folder / REPORT_FILE,
        title=f"blur_jax: {folder.name} on {config.data.name}",
        history=run_dir.read_history(workdir),
        evaluations=evaluations,
        facts=_facts(config, saved),
    )
    return results


def _evaluation(config: ml_collections.ConfigDict, name: str, split: data.Split, scores: np.ndarray) -> Evaluation:
    sizes, groups = split.faces.sizes[split.rows], [split.faces.groups[row] for row in split.rows]
    options = {"size_bins": split.metadata["size_bins"], "resamples": config.evaluation.resamples, "seed": config.seed}
    return Evaluation(
        split=name,
        scores=scores,
        ranks=split.labels,
        names=list(split.names),
        groups=groups,
        images=split.images(range(len(split))),
        metrics=summarize(scores, split.labels, sizes, groups, **options),
    )


def summarize(
    scores: np.ndarray, ranks: np.ndarray, sizes: np.ndarray, groups: list[str], **options: Any
) -> dict[str, Any]:
    """Returns the metrics of a whole split and, below "groups", of each group of its faces.

    Args:
        scores: float [n], predicted blur.
        ranks: float [n], true blur, larger is blurrier.
        sizes: float [n], shorter sides of the original faces in pixels.
        groups: n names; "" belongs to no group.
        **options: of `bootstrap.summarize`.
    """
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


def _csv(scored: dict[str, tuple[data.Split, np.ndarray]]) -> str:
    """Names may hold commas; float32 is written in the fewest digits that give the same number again."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("split", "name", "group", "size", "rank", "score"))
    for name, (split, scores) in scored.items():
        for row, rank, score in zip(split.rows, split.labels, scores):
            faces = split.faces
            writer.writerow((name, faces.names[row], faces.groups[row], faces.sizes[row], rank, score))
    return text.getvalue()


def _facts(config: ml_collections.ConfigDict, saved: checkpoints.Saved) -> dict[str, str]:
    return {
        "Checkpoint": f"step {saved.step} (validation accuracy {saved.validation_accuracy})",
        "Data": f"{config.data.name} ({config.data.sources})",
        "Backbone": saved.config.model.backbone,
        "Crop and resize": ", ".join(f"{k} {v}" for k, v in dataclasses.asdict(saved.preprocessing).items()),
        "Seed": str(saved.config.seed),
        "Devices": f"{jax.device_count()} x {jax.devices()[0].device_kind}",
        "Software": f"jax {jax.__version__}, Python {platform.python_version()}",
    }
