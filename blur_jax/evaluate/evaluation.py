"""Evaluates a run on its test faces (each counted once) and validation pairs, on any devices and processes."""

import csv
import dataclasses
import functools
import io
import json
import os
from collections.abc import Iterable
from typing import Any

import numpy as np
from etils import epath
from ml_collections import ConfigDict

from blur_jax.data import judged_table, splits, user_cache
from blur_jax.data.judged_table import JudgedTable
from blur_jax.data.names import normalize
from blur_jax.data.summary import describe_data
from blur_jax.evaluate import content, judged_agreement, report
from blur_jax.metrics import bootstrap, labeled_pairs
from blur_jax.metrics.labeled_pairs import LabeledPairs
from blur_jax.metrics.ranked_split import Evaluation
from blur_jax.runs import checkpoints, distributed, provenance, run_dir
from blur_jax.runs.threshold import read_threshold
from blur_jax.score.scorer import Scorer
from blur_jax.shipped import is_shipped

METRICS_FILE = "metrics.json"
SCORES_FILE = "scores.csv"
PAIRS_FILE = "validation_pairs.csv"
REPORT_FILE = "report.html"
_VALIDATION = "validation"
_DECIMALS = 6  # Decimal places of the metrics; more than their intervals justify.
Scored = dict[str, tuple[splits.Split, np.ndarray]]


def score_splits(config: ConfigDict, workdir: str) -> tuple[checkpoints.Checkpoint, Scored]:
    """Returns a run's best checkpoint and the scores of all ranked splits; see `evaluate` for arguments and errors."""
    saved = distributed.everywhere(checkpoints.find, workdir)
    return saved, score_data(config, Scorer(saved), ("ranked",))


def score_data(config: ConfigDict, scorer: Scorer, kinds: Iterable[str] = ("ranked", "labeled")) -> Scored:
    """Scores a data set's ranked test faces and the faces of its labeled validation pairs, or only one of these kinds.

    Returns:
        {split: (the opened split, scores float32 [n] of its ranked faces or of `splits.used_faces`)}.

    Raises:
        FileNotFoundError: the data are not prepared.
        ValueError: the data do not match the checkpoint.
    """
    scored = {}
    for name, split in distributed.everywhere(_open_splits, config, scorer, kinds).items():
        rows = split.rows if split.rows.ndim == 1 else splits.used_faces(split)[0]
        images = distributed.everywhere(split.faces.stack, rows)
        scores = scorer.score_images(images, batch_size=config.evaluation.batch_size, progress=f"evaluating {name}")
        scored[name] = (split, scores)
    return scored


def _open_splits(config: ConfigDict, scorer: Scorer, kinds: Iterable[str]) -> dict[str, splits.Split]:
    opened = {
        name: splits.open_split(config.data, kind, name)
        for kind in kinds
        for name in splits.split_names(config.data, kind)
        if kind == "ranked" or name == _VALIDATION
    }
    for field in ("image_size", "context"):
        for split in opened.values():
            trained, prepared = getattr(scorer.preprocessing, field), getattr(split.preprocessing, field)
            if trained != prepared:
                raise ValueError(
                    f"{scorer.path} was trained on faces with {field}={trained}, but these data have {prepared};"
                    f" pass --config.data.{field}={trained}"
                )
    return opened


def evaluations(config: ConfigDict, scored: Scored) -> tuple[list[Evaluation], LabeledPairs | None]:
    """Returns plain data with metrics for each test split and the validation pairs, from `score_data`'s result."""
    pairs = _labeled_pairs(*scored[_VALIDATION]) if _VALIDATION in scored else None
    tests = {name: columns for name, columns in scored.items() if name != _VALIDATION}
    return [_evaluation(config, name, *columns) for name, columns in tests.items()], pairs


def evaluate(
    config: ConfigDict, workdir: str, output: str | None = None, saved: checkpoints.Checkpoint | None = None
) -> dict[str, Any]:
    """Measures how well a run's best checkpoint orders the ranked test faces and the labeled validation pairs.

    Writes `metrics.json`, `report.html`, `scores.csv` with a row for each test face (only if faces are ranked), and
    `validation_pairs.csv` with a row for each labeled pair; the metrics can be recomputed from the last two. Agreement
    with judges is measured on the pairs in `config.evaluation.judged` whose faces are test faces.

    Args:
        config: the run's config; only `data`, `evaluation` and `seed` are used.
        workdir: the run directory, or one checkpoint in it, `checkpoints/<step>`.
        output: the folder to write to, created if missing; None means the run directory.
        saved: the checkpoint; None means the best one in `workdir`.

    Returns:
        the content of `metrics.json`: "step", "checkpoint", "validation_accuracy"; "sources", the data hash; "judged",
        `judged_agreement.measure` of the scorer "run", or None without judged pairs; "splits", `grouped_metrics` for
        each, and `content.measure` under "content" if its faces have attributes; and "validation",
        `labeled_pairs.pair_metrics`, or None without labeled pairs.

    Raises:
        checkpoints.CheckpointError: the run has no usable checkpoint.
        FileNotFoundError: the data are not prepared.
        ValueError: the data do not match the checkpoint, or contain nothing to evaluate, or the table of judged pairs
            is invalid or names other faces.
    """
    path = config.evaluation.judged
    judged = None if path is None else distributed.everywhere(judged_table.read, path)
    saved = saved or distributed.everywhere(checkpoints.find, workdir)
    scorer = Scorer(saved)
    scored = score_data(config, scorer)
    contents = _measure_content(config, scorer, scored)
    return distributed.on_process_zero(_write_results, config, workdir, output, scorer, saved, scored, contents, judged)


def _measure_content(config: ConfigDict, scorer: Scorer, scored: Scored) -> dict[str, Any]:
    """Returns `content.measure` for each split whose faces have attributes; every process scores its share."""
    read = functools.partial(content.read_scores, scorer, batch_size=config.evaluation.batch_size)
    contents, options = {}, {"resamples": config.evaluation.resamples, "seed": config.seed}
    for name, (split, _) in scored.items():
        if attributes := content.attributes_of(split):
            images = distributed.everywhere(split.images, range(len(split)))
            contents[name] = content.measure(read, images, np.asarray(split.labels), attributes, **options)
    return contents


def results_folder(workdir: str, output: str | None = None) -> epath.Path:
    """Returns the results folder: `output`, or by default the run directory, even if `workdir` is a checkpoint.

    Raises ValueError if `workdir` is a scorer that comes with the package, and `output` is None.
    """
    if output is None and is_shipped(workdir):
        raise ValueError(f"{workdir} comes with the package, so its results need a folder; pass --output")
    return run_dir.run_of(workdir) if output is None else run_dir.resolve(output)


def summary_text(results: dict[str, Any], workdir: str, output: str | None = None) -> str:
    """Returns text with the result paths and headline metrics; see `evaluate` for the arguments and for `results`."""
    folder = results_folder(workdir, output)
    files = {"report": REPORT_FILE} | ({"scores": SCORES_FILE} if results["splits"] else {}) | {"pairs": PAIRS_FILE}
    lines = [f"checkpoint  {os.path.normpath(run_dir.run_of(workdir) / results['checkpoint'])}"]
    lines += [f"{name:<10}  {folder / file}" for name, file in files.items()]
    return "\n".join([*lines, *report.summary_lines(results["splits"], results["validation"], results["judged"])])


def _write_results(
    config: ConfigDict,
    workdir: str,
    output: str | None,
    scorer: Scorer,
    saved: checkpoints.Checkpoint,
    scored: Scored,
    contents: dict[str, Any],
    judged: JudgedTable | None,
) -> dict[str, Any]:
    run, folder = run_dir.run_of(workdir), results_folder(workdir, output)
    ranked, pairs = evaluations(config, scored)
    for evaluation in ranked:
        if evaluation.split in contents:
            evaluation.metrics["content"] = contents[evaluation.split]
    results: dict[str, Any] = {
        "checkpoint": os.path.relpath(saved.path, run) if run_dir.is_local(run) else saved.path,
        "step": saved.step,
        "validation_accuracy": saved.validation_accuracy,
        "sources": config.data.sources,
        "judged": None if judged is None else _judged_metrics(config, judged, ranked),
        "splits": {evaluation.split: evaluation.metrics for evaluation in ranked},
        "validation": pairs.metrics if pairs else None,
    }
    results = _rounded(results)
    run_dir.write_atomically(folder / METRICS_FILE, json.dumps(results, indent=2) + "\n")
    if ranked:
        run_dir.write_atomically(folder / SCORES_FILE, scores_csv({name: scored[name] for name in results["splits"]}))
    if pairs:
        run_dir.write_atomically(folder / PAIRS_FILE, _pairs_csv(pairs))
    threshold = read_threshold(run)
    report.write_report(
        folder / REPORT_FILE,
        title=f"blur_jax: {run.name} on {config.data.name}",
        history=run_dir.read_history(run),
        evaluations=ranked,
        judged=results["judged"],
        pairs=pairs,
        calibration=saved.calibration,
        threshold=threshold if threshold and threshold.checkpoint == scorer.fingerprint else None,
        data=describe_data(config.data),
        config=json.loads(saved.config.to_json()),
        starts=provenance.read_starts(run),
        facts=_facts(config, saved),
    )
    return results


def _judged_metrics(config: ConfigDict, judged: JudgedTable, tests: list[Evaluation]) -> dict[str, Any]:
    scores = {
        normalize(name): score for test in tests for name, score in zip(test.names, test.scores.astype(float).tolist())
    }
    splits = sorted(judged_agreement.scored_splits(judged, config.evaluation.judged, scores))
    groups = {"all": splits} if len(splits) > 1 else {}
    return judged_agreement.measure(judged, {"run": scores}, groups, resamples=config.evaluation.resamples)


def _rounded(values: Any) -> Any:
    if isinstance(values, dict):
        return {name: _rounded(value) for name, value in values.items()}
    return round(values, _DECIMALS) if isinstance(values, float) else values


def _labeled_pairs(split: splits.Split, scores: np.ndarray) -> LabeledPairs:
    (rows, pairs), order = splits.used_faces(split), np.asarray(split.labels, np.int64)
    names, metrics = [split.faces.names[row] for row in rows], labeled_pairs.pair_metrics(scores, pairs, order)
    return LabeledPairs(_VALIDATION, scores, names, split.faces.stack(rows), pairs, order, metrics)


def _evaluation(config: ConfigDict, name: str, split: splits.Split, scores: np.ndarray) -> Evaluation:
    ranks, sizes = np.asarray(split.labels), split.faces.sizes[split.rows]
    groups, images = [split.faces.groups[row] for row in split.rows], split.images(range(len(split)))
    options = {"size_bins": split.metadata["size_bins"], "resamples": config.evaluation.resamples, "seed": config.seed}
    metrics = grouped_metrics(scores, ranks, sizes, groups, **options)
    return Evaluation(name, scores, ranks, list(split.names), groups, images, metrics)


def grouped_metrics(
    scores: np.ndarray, ranks: np.ndarray, sizes: np.ndarray, groups: list[str], **options: Any
) -> dict[str, Any]:
    """Returns the metrics for a split of n faces and, under "groups", for each group; group "" means no group.

    Arguments and `options` are as in `bootstrap.rank_metrics`.
    """
    summary = bootstrap.rank_metrics(scores, ranks, sizes, **options)
    names, summary["groups"] = sorted(set(groups) - {""}), {}
    for name in names if len(names) > 1 else []:
        members = np.asarray(groups) == name
        if members.sum() > 1:
            # A group without clear faces has no AUC, because its own lowest rank is not the clear level.
            columns = (values[members] for values in (scores, ranks, sizes))
            summary["groups"][name] = bootstrap.rank_metrics(*columns, clear=ranks.min(), **options)
    return summary


def scores_csv(scored: Scored) -> str:
    """Returns CSV text with a row for each face; float32 values get the fewest digits that identify them."""
    rows = [("split", "name", "group", "size", "rank", "blur")]
    for name, (split, scores) in scored.items():
        for row, rank, score in zip(split.rows, np.asarray(split.labels), scores):
            face = split.faces.names[row], split.faces.groups[row], split.faces.sizes[row]
            rows.append((name, *face, rank, score))
    return csv_text(rows)


def _pairs_csv(labeled: LabeledPairs) -> str:
    names, scores, rows = labeled.names, labeled.scores, [("left", "right", "order", "left_blur", "right_blur")]
    for (left, right), order in zip(labeled.pairs, labeled.order):
        rows.append((names[left], names[right], order, scores[left], scores[right]))
    return csv_text(rows)


def csv_text(rows: Iterable[tuple]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _facts(config: ConfigDict, saved: checkpoints.Checkpoint) -> dict[str, str]:
    accuracy = saved.validation_accuracy
    measured = "" if accuracy is None else f" (validation accuracy {accuracy:.3f})"
    folder = user_cache.expand(config.data.dir or user_cache.default_dir())
    lists = f", lists in {config.data.manual_dir}" if config.data.manual_dir else ""
    protocol = dataclasses.asdict(saved.preprocessing)
    return {
        "Checkpoint": f"step {saved.step}{measured}, {saved.path}",
        "Data": f"{config.data.name} ({config.data.sources}), prepared in {folder}{lists}",
        "Crop and resize": ", ".join(f"{name} {value}" for name, value in protocol.items()),
        **provenance.describe(),
    }
