"""Compares all baselines with this project's runs on the same test faces, with paired intervals.

    python -m experiments.baselines --config.data.manual_dir=LISTS --run=ours=runs/wider_blur --workdir=runs/baselines
    python -m experiments.baselines ... --far=PHOTOS --far_run=ours=runs/far --judged=judged.csv --group=near=test1

Writes to the workdir: `baselines.md` (the tables), `baselines.json` (everything) and `scores.csv` (scorer, split, name,
score; larger is blurrier). `baselines.json` caches the baselines' scores, so comparing more runs later takes only
seconds; delete the file after changing a baseline. A run is a run directory that `launch.py` has evaluated. Only its
`scores.csv` is read, so its crops may differ from the baselines' crops.

With `--far`, scorers are also compared on a folder of pictures with a `ranked.csv` (docs/data.md); `--far_run` is the
output of the run's evaluation on that folder. With `--judged`, the first tables show the agreement with judged pairs.
`--mean=NAME=A+B` adds the mean of other scorers, each mapped to normal scores over the faces of an axis.

Each baseline's settings (resolution, regularization) are chosen on the labeled `train` pairs (see
`baseline_rankers.cross_validated`), never on test faces.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import ml_collections
import numpy as np
from absl import flags
from PIL import Image
from tqdm import tqdm

from blur_jax.data import judged_table, splits
from blur_jax.data.preprocessing import Preprocessing, crop_and_resize
from blur_jax.evaluate import judged_agreement
from blur_jax.evaluate.evaluation import SCORES_FILE, csv_text
from blur_jax.metrics import bootstrap
from blur_jax.metrics.interval import interval_text
from blur_jax.runs import run_dir
from experiments import (
    baseline_features,
    baseline_rankers,
    command,
    evaluated_runs,
    judged_tables,
    mean_scores,
    ranked,
    tables,
)
from tfds_builders.ssranking_face_blur.builder import photograph

RESULTS_FILE = "baselines.json"
SIZE_ALONE = "face size alone"
CLOSED_FORM = {
    "variance of the Laplacian": baseline_features.laplacian_variance,
    "variance of the Laplacian, contrast-normalized": baseline_features.normalized_laplacian_variance,
    "Tenengrad": baseline_features.tenengrad,
    "blur_effect of scikit-image": baseline_features.sharpness_of_blur_effect,
    "contrast": baseline_features.contrast,
}
LEAVES = (1, 3, 10, 30)
OFIQ_STRENGTHS = (0.1, 1.0, 10.0, 100.0)
IMAGENET_STRENGTHS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2)

Fit = Callable[[np.ndarray], np.ndarray]  # Training pairs, int [m, 2] -> scores of all faces, float [n].
Scores = dict[str, np.ndarray]  # {split: float [n]}


@dataclasses.dataclass(frozen=True, eq=False)
class Faces:
    """All n faces in the labeled training pairs and the test splits."""

    images: np.ndarray  # uint8 [n, S, S, 3].
    names: list[str]  # n unique names.
    pairs: np.ndarray  # int [m, 2], indices (sharper face, blurrier face) of the `train` pairs, excluding ties.

    def resized(self, side: int) -> np.ndarray:
        """Returns the images resized with the crop filter, uint8 [n, side, side, 3]."""
        protocol = Preprocessing(image_size=side)
        return np.stack([crop_and_resize(Image.fromarray(image), None, protocol) for image in self.images])


def read_faces(labeled: splits.Split, tests: Mapping[str, splits.Split]) -> Faces:
    """Reads the faces of labeled pairs and tests; raises ValueError if two data sets have faces with the same name."""
    rows, pairs = splits.used_faces(labeled)
    sources = [(labeled.faces, rows), *((split.faces, split.rows) for split in tests.values())]
    found: dict[str, tuple[splits.Faces, int]] = {}
    for faces, own in sources:
        for row in own.tolist():
            if found.setdefault(faces.names[row], (faces, row))[0] is not faces:
                raise ValueError(
                    f"--config.data and --far both contain a face named {faces.names[row]}; rename one of them"
                )
    images = np.stack([faces.images[row] for faces, row in tqdm(found.values(), desc="reading faces", disable=None)])
    order = np.asarray(labeled.labels)
    pairs = np.where(order[:, None] > 0, pairs, pairs[:, ::-1])[order != 0]
    return Faces(images, list(found), pairs)


def baselines(faces: Faces) -> Iterator[tuple[str, Mapping[str, Fit]]]:
    """Yields (baseline, {setting: fit}); the caller chooses the setting."""
    size = faces.images.shape[1]
    crops = {f"{side} px": faces.resized(side) for side in (size // 2, size)}
    for name, measure in CLOSED_FORM.items():
        scores = {crop: -_measured(measure, images, name) for crop, images in crops.items()}
        yield name, {crop: lambda _, fixed=fixed: fixed for crop, fixed in scores.items()}

    ofiq = {crop: _measured(baseline_features.ofiq_sharpness, images, "OFIQ") for crop, images in crops.items()}
    # The features span orders of magnitude; their logarithms make the linear ranker 1% better on held-out pairs.
    ofiq = {crop: np.log(features + 1e-3) for crop, features in ofiq.items()}
    forest, logistic = baseline_rankers.forest_scores, baseline_rankers.logistic_scores
    fits = {f"{c}, leaves of {n}": partial(forest, x, min_samples_leaf=n) for c, x in ofiq.items() for n in LEAVES}
    yield "OFIQ's 26 features, random forest", fits
    fits = {f"{c}, C {s:g}": partial(logistic, x, strength=s) for c, x in ofiq.items() for s in OFIQ_STRENGTHS}
    yield "OFIQ's 26 features, logistic ranker", fits
    features = baseline_features.imagenet_features(faces.images)
    fits = {f"{size} px, C {s:g}": partial(logistic, features, strength=s) for s in IMAGENET_STRENGTHS}
    yield "ImageNet features, logistic ranker", fits


def _measured(measure: Callable, images: np.ndarray, name: str) -> np.ndarray:
    return np.array([measure(image) for image in tqdm(images, desc=name, unit="face", disable=None, leave=False)])


def score_baselines(faces: Faces) -> dict[str, dict[str, Any]]:
    """Returns {baseline: {"setting", "accuracy", "scores"}} for the best setting of each baseline.

    "accuracy" is {setting: cross-validated pairwise accuracy on train pairs}, and "scores" is {face name: score}.
    """
    results, groups = {}, [photograph(name) for name in faces.names]
    for name, fits in baselines(faces):
        bar = tqdm(fits.items(), desc=name, unit="setting", disable=None, leave=False)
        accuracy = {setting: baseline_rankers.cross_validated(fit, faces.pairs, groups) for setting, fit in bar}
        setting = max(accuracy, key=lambda setting: accuracy[setting])
        scores = dict(zip(faces.names, fits[setting](faces.pairs).tolist()))
        results[name] = {"setting": setting, "accuracy": accuracy, "scores": scores}
    return results


def cached_baselines(labeled: splits.Split, tests: Mapping[str, splits.Split], workdir: str) -> dict[str, Any]:
    """Returns {"data": [metadata], "baselines": `score_baselines`}; reuses cached results for the same data."""
    path, metadata = os.path.join(workdir, RESULTS_FILE), [labeled.metadata]
    metadata += [split.metadata for split in tests.values() if split.metadata not in metadata]
    metadata = json.loads(json.dumps(metadata))
    if os.path.exists(path):
        cached = json.loads(pathlib.Path(path).read_text("utf-8"))
        if cached["data"] == metadata:
            return {key: cached[key] for key in ("data", "baselines")}
    results = {"data": metadata, "baselines": score_baselines(read_faces(labeled, tests))}
    _write_json(path, results)
    return results


def _write_json(path: str, results: dict[str, Any]) -> None:
    run_dir.write_atomically(path, json.dumps(results, indent=1) + "\n")


def compare(
    scores: Mapping[str, Scores], tests: Mapping[str, splits.Split], first: str | None, resamples: int
) -> dict[str, dict[str, dict[str, Any]]]:
    """Computes all scorers' size-matched metrics, and their differences from the metrics of `first`.

    Returns:
        {scorer: {split: {metric: interval}, "mean": the same for the mean over headline splits, "by_faces": the same
        with splits weighted by their number of faces, "first_minus_this" and "first_minus_this_by_faces": the same for
        the paired differences between means}}; for intervals, see `bootstrap.interval`.
    """
    bar = tqdm(scores.items(), desc="comparing", unit="scorer", disable=None, leave=False)
    draws: dict[str, dict[str, dict[str, Any]]]
    draws = {scorer: ranked.headlines(values, tests, resamples=resamples) for scorer, values in bar}
    counts = {name: len(tests[name]) for name in ranked.headline_names(tests)}
    for parts in draws.values():
        weighted = {name: [count * parts[split][name] for split, count in counts.items()] for name in parts["mean"]}
        parts["by_faces"] = {name: sum(values) / sum(counts.values()) for name, values in weighted.items()}
    if first is not None:
        for scorer in draws.keys() - {first}:
            for kind, name in (("mean", "first_minus_this"), ("by_faces", "first_minus_this_by_faces")):
                ours, theirs = draws[first][kind], draws[scorer][kind]
                draws[scorer][name] = {metric: ours[metric] - theirs[metric] for metric in theirs}
    return {
        scorer: {part: {name: bootstrap.interval(v) for name, v in values.items()} for part, values in parts.items()}
        for scorer, parts in draws.items()
    }


def table(metrics: Mapping[str, dict], tests: Mapping[str, splits.Split], first: str | None) -> str:
    """Formats the result of `compare` as a table with one row per scorer, best first."""
    headline = ranked.headline_names(tests)
    columns = {f"AUC {split}": (split, "auc") for split in headline}
    columns |= {"AUC, mean": ("mean", "auc"), "AUC, matched size": ("mean", "auc_matched_size")}
    columns |= {f"AUC {split}": (split, "auc") for split in tests if split not in headline}
    columns |= {name.replace("_", " "): ("mean", name) for name in ("spearman", "kendall", "pairwise_accuracy")}
    if first is not None:
        columns[f"AUC, {first} minus this"] = ("first_minus_this", "auc")
        columns["the same, splits weighted by faces"] = ("first_minus_this_by_faces", "auc")
    rows = []
    for scorer, parts in sorted(metrics.items(), key=lambda item: -(item[1]["mean"]["auc"]["value"] or 0.0)):
        cells = (parts[part][name] if part in parts else None for part, name in columns.values())
        rows.append([scorer, *("" if cell is None else interval_text(cell) for cell in cells)])
    return tables.markdown(["scorer", *columns], rows)


def _csv(scores: Mapping[str, Scores], tests: Mapping[str, splits.Split]) -> str:
    rows = [
        (scorer, name, face, value)
        for scorer, split_scores in scores.items()
        for name, values in split_scores.items()
        for face, value in zip(tests[name].names.tolist(), values.tolist())
    ]
    return csv_text([("scorer", "split", "name", "score"), *rows])


def open_tests(config: ml_collections.ConfigDict, far: str | None) -> dict[str, dict[str, splits.Split]]:
    """Returns the opened ranked splits as {"near": {split name: split}, "far": the same, if given}."""
    tests = {"near": ranked.open_splits(config.data)}
    if far is not None:
        tests["far"] = ranked.open_splits(ranked.far_data(config.data, far))
        if same := tests["near"].keys() & tests["far"].keys():
            raise ValueError(
                f"--config.data and --far both have a test named {min(same)!r}; choose different data for --far"
            )
    return tests


def parse_runs(run: Sequence[str], far_run: Sequence[str], far: str | None) -> dict[str, dict[str, str]]:
    """Parses NAME=PATH strings to {"near": {run: path}, "far": {run: path}}; raises ValueError if names differ."""
    runs = {"near": evaluated_runs.parse(run), "far": evaluated_runs.parse(far_run, flag="--far_run")}
    if runs["far"].keys() != (set() if far is None else runs["near"].keys()):
        raise ValueError("with --far, each --run=NAME=... needs a --far_run=NAME=...; without --far, omit --far_run")
    return runs


def run(
    config: ml_collections.ConfigDict,
    run: list[str],
    workdir: str,
    far: str | None = None,
    far_run: Sequence[str] = (),
    judged: str | None = None,
    group: Sequence[str] = (),
    mean: Sequence[str] = (),
) -> None:
    runs = parse_runs(run, far_run, far)
    if group and judged is None:
        raise ValueError("--group needs judged pairs; pass --judged")
    pairs = None if judged is None else judged_table.read(judged)
    groups = {} if pairs is None else judged_agreement.parse_groups(group, pairs)
    ranked.prepare(config.data)
    axes = open_tests(config, far)
    tests = {name: split for axis in axes.values() for name, split in axis.items()}
    scores: dict[str, Scores] = {name: {} for name in runs["near"]}
    for axis, axis_tests in axes.items():
        for name, path in runs[axis].items():
            scores[name] |= evaluated_runs.read(path, axis_tests)
    first, resamples = next(iter(scores), None), config.evaluation.resamples
    results = cached_baselines(splits.open_split(config.data, "labeled", "train"), tests, workdir)
    results["runs"] = runs
    settings, published = [], {}
    for name, baseline in results["baselines"].items():
        if name in scores:
            raise ValueError(f"--run={name}=... uses the name of a baseline; choose a different name")
        values, setting = baseline["scores"], baseline["setting"]
        scores[name] = {
            test: np.array([values[face] for face in split.names.tolist()]) for test, split in tests.items()
        }
        settings.append([name, setting, f"{baseline['accuracy'][setting]:.3f}"])
    scores[SIZE_ALONE] = {test: -ranked.sizes(split) for test, split in tests.items()}
    for name, parts in mean_scores.parse(mean, scores).items():
        scores[name] = mean_scores.mean([scores[part] for part in parts], axes)
    if pairs is not None:
        by_name = {scorer: evaluated_runs.by_name(values, tests) for scorer, values in scores.items()}
        results["judged"] = judged_agreement.measure(pairs, by_name, groups, first=first, resamples=resamples)
        published |= judged_tables.tables_of(results["judged"], first)
    results["metrics"] = {axis: compare(scores, part, first, resamples) for axis, part in axes.items()}
    for axis, metrics in results["metrics"].items():
        published[f"Size-matched metrics of all scorers, {axis}"] = table(metrics, axes[axis], first)
    run_dir.write_atomically(os.path.join(workdir, SCORES_FILE), _csv(scores, tests))
    _write_json(os.path.join(workdir, RESULTS_FILE), results)
    columns = ["baseline", "chosen", "cross-validated accuracy on train pairs"]
    tables.publish(workdir, "baselines", published | {"Settings": tables.markdown(columns, settings)})


if __name__ == "__main__":
    command.define_config("baselines")
    flags.DEFINE_multi_string("run", [], "An evaluated run as NAME=PATH; repeatable.")
    command.define_far(required=False)
    flags.DEFINE_multi_string("far_run", [], "The output of a run's evaluation on --far as NAME=PATH; repeatable.")
    command.define_judged(required=False)
    flags.DEFINE_multi_string("group", [], "Judged splits to measure together, as GROUP=SPLIT,SPLIT; repeatable.")
    flags.DEFINE_multi_string("mean", [], "The mean of other scorers as NAME=SCORER+SCORER; repeatable.")
    command.define_workdir("runs/baselines")
    command.main(run)
