"""Every rival against this project's runs, on the same test faces, with paired intervals.

    python benchmarks/rivals.py --data_dir=DIR --manual_dir=LISTS --run best=runs/x --workdir=runs/rivals

Prints tables in Markdown and writes `rivals.json` (everything) and `scores.csv` (scorer, split, name, score; larger is
blurrier) to the workdir. The scores of the rivals are kept in `rivals.json`: a second call, with more runs, takes
seconds; remove the file after changing a rival. A run is a run directory that `launch.py` has evaluated: its
`scores.csv` is read, so each run keeps its own crops, whatever those of the rivals are.

What a rival leaves open (resolution, regularization) is chosen on the labeled `train` pairs alone, see
`rival_rankers.cross_validated`, never on the tests.
"""

import argparse
import csv
import io
import json
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from tqdm import tqdm

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from benchmarks import rival_features, rival_rankers  # noqa: E402
from benchmarks.rival_faces import Faces, RankedTest, read_faces, read_tests  # noqa: E402
from blur_jax import bootstrap, data, writers  # noqa: E402
from blur_jax.evaluate import SCORES_FILE  # noqa: E402
from configs import default  # noqa: E402
from tfds_builders.build import prepare_configured  # noqa: E402

DATASET = "ssranking_face_blur"
RESULTS_FILE = "rivals.json"
SIZE_ALONE = "face size alone"
CLOSED_FORM = {
    "variance of the Laplacian": rival_features.laplacian_variance,
    "variance of the Laplacian, contrast-normalized": rival_features.normalized_laplacian_variance,
    "Tenengrad": rival_features.tenengrad,
    "blur_effect of scikit-image": rival_features.sharpness_of_blur_effect,
}
LEAVES = (1, 3, 10, 30)
OFIQ_STRENGTHS = (0.1, 1.0, 10.0, 100.0)
IMAGENET_STRENGTHS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2)

Fit = Callable[[np.ndarray], np.ndarray]  # Pairs int [m, 2] to fit on -> scores float [n] of all faces.


def rivals(faces: Faces) -> Iterator[tuple[str, dict[str, Fit]]]:
    """Yields (rival, {setting: fit}); one of the settings is to be chosen."""
    size = faces.images.shape[1]
    crops = {f"{side} px": faces.resized(side) for side in (size // 2, size)}
    for name, measure in CLOSED_FORM.items():
        yield name, {crop: partial(_unfitted, -_measured(measure, images, name)) for crop, images in crops.items()}

    ofiq = {crop: _measured(rival_features.ofiq_sharpness, images, "OFIQ") for crop, images in crops.items()}
    # Logarithms, as the features spread over decades; on held-out pairs the linear ranker is 1% better for it.
    ofiq = {crop: np.log(features + 1e-3) for crop, features in ofiq.items()}
    forest, logistic = rival_rankers.forest_scores, rival_rankers.logistic_scores
    yield (
        "OFIQ's 26 features, random forest",
        {f"{c}, leaves of {n}": partial(forest, x, min_samples_leaf=n) for c, x in ofiq.items() for n in LEAVES},
    )
    yield (
        "OFIQ's 26 features, logistic ranker",
        {f"{c}, C {s:g}": partial(logistic, x, strength=s) for c, x in ofiq.items() for s in OFIQ_STRENGTHS},
    )
    features = rival_features.imagenet_features(faces.images)
    yield (
        "ImageNet features, logistic ranker",
        {f"{size} px, C {s:g}": partial(logistic, features, strength=s) for s in IMAGENET_STRENGTHS},
    )


def _unfitted(scores, pairs):
    del pairs
    return scores


def _measured(measure, images, name):
    return np.array([measure(image) for image in tqdm(images, desc=name, unit="face", disable=None, leave=False)])


def score_rivals(faces: Faces) -> dict[str, dict]:
    """Chooses the setting of each rival and scores all faces with it.

    Returns:
        {rival: {"setting": the chosen one, "accuracy": {setting: cross-validated pairwise accuracy on train pairs},
        "scores": {name of a face: score}}}.
    """
    found = {}
    for rival, fits in rivals(faces):
        bar = tqdm(fits.items(), desc=rival, unit="setting", disable=None, leave=False)
        accuracy = {setting: rival_rankers.cross_validated(fit, faces.pairs, faces.photographs) for setting, fit in bar}
        setting = max(accuracy, key=accuracy.get)
        scores = dict(zip(faces.names, fits[setting](faces.pairs).tolist()))
        found[rival] = {"setting": setting, "accuracy": accuracy, "scores": scores}
    return found


def cached_rivals(config, workdir: str) -> dict:
    """The rivals of these data, from the workdir where they are kept there, else made and kept.

    Returns:
        {"data": facts of the prepared data, "rivals": what `score_rivals` returns}.
    """
    path = os.path.join(workdir, RESULTS_FILE)
    metadata = data.open_split(config, "labeled", "train").metadata
    facts = {key: metadata.get(key) for key in ("preprocessing", "lists_sha256", "partial")}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            kept = json.load(file)
        if kept["data"] == facts:
            return {key: kept[key] for key in ("data", "rivals")}
    results = {"data": facts, "rivals": score_rivals(read_faces(config))}
    os.makedirs(workdir, exist_ok=True)
    _write_json(path, results)
    return results


def _write_json(path, results):
    writers.write_atomically(path, json.dumps(results, indent=1) + "\n")


def read_run(path: str, tests: dict[str, RankedTest]) -> dict[str, np.ndarray]:
    """The scores {split: float [n]} that the evaluation of a run gave the faces of `tests`, in their order.

    Raises:
        ValueError: the run is not evaluated, or on other faces.
    """
    file = os.path.join(path, SCORES_FILE)
    if not os.path.exists(file):
        raise ValueError(f"there is no {file}; evaluate the run first: launch.py --mode=evaluate --workdir={path}")
    with open(file, encoding="utf-8", newline="") as stream:
        found = {(row["split"], row["name"]): row for row in csv.DictReader(stream)}
    wanted = {(split, name): rank for split, test in tests.items() for name, rank in zip(test.names, test.ranks)}
    odd = sorted(found.keys() ^ wanted.keys())
    odd = odd or [key for key, rank in wanted.items() if float(found[key]["rank"]) != rank]
    if odd:
        raise ValueError(
            f"{file} was made on other lists: {len(odd)} of {len(wanted)} test faces are in one of both only, or of"
            f" another rank, such as {' '.join(odd[0])}; evaluate the run on the data set of --data_dir"
        )
    return {
        split: np.array([float(found[split, name]["score"]) for name in test.names]) for split, test in tests.items()
    }


def compare(scores: dict[str, dict[str, np.ndarray]], tests: dict[str, RankedTest], first: str | None, resamples: int):
    """The size-matched figures of all scorers.

    Args:
        scores: {scorer: {split: float [n]}}.
        tests: {split: its ranks and sizes}.
        first: the scorer that the others are subtracted from; None compares nothing.
        resamples: of the bootstrap.

    Returns:
        {scorer: {split: {figure: interval}, "mean": {figure: interval of the mean over test1 and test2},
        "first_minus_this": {figure: interval of the paired difference of the means}}}; intervals as of
        `bootstrap.interval`.
    """
    figures = {}
    for scorer, of_splits in tqdm(scores.items(), desc="comparing", unit="scorer", disable=None, leave=False):
        splits = {split: (of_splits[split], test.ranks, test.sizes) for split, test in sorted(tests.items())}
        figures[scorer] = bootstrap.headlines(splits, bootstrap.MEAN_OF, resamples=resamples)
    if first is not None:
        ours = figures[first]["mean"]
        for scorer in figures.keys() - {first}:
            rival = figures[scorer]["mean"]
            figures[scorer]["first_minus_this"] = {name: ours[name] - rival[name] for name in rival}
    return {
        scorer: {part: {name: bootstrap.interval(v) for name, v in found.items()} for part, found in parts.items()}
        for scorer, parts in figures.items()
    }


def table(figures: dict[str, dict], first: str | None) -> str:
    """The Markdown table of what `compare` returns, a row for each scorer."""
    columns = {f"AUC {split}": (split, "auc") for split in bootstrap.MEAN_OF}
    columns |= {
        "AUC, mean": ("mean", "auc"),
        "AUC, like size": ("mean", "auc_like_size"),
        "AUC test3": ("test3", "auc"),
    }
    columns |= {name.replace("_", " "): ("mean", name) for name in ("spearman", "kendall", "pairwise_accuracy")}
    if first is not None:
        columns[f"AUC, {first} less this"] = ("first_minus_this", "auc")
    rows = [["scorer", *columns], ["---"] * (len(columns) + 1)]
    for scorer, found in figures.items():
        cells = (found[part][name] if part in found else None for part, name in columns.values())
        rows.append([scorer, *("" if cell is None else bootstrap.interval_text(cell) for cell in cells)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def run(*, data_dir: str, manual_dir: str, runs: dict[str, str], workdir: str, image_size: int, resamples: int) -> str:
    """Prepares the data where needed, scores, compares and writes; returns the tables.

    Args:
        data_dir, manual_dir: as `config.data.dir` and `.manual_dir`; without manual_dir the data must be prepared.
        runs: {name: run directory}, the first being the one that is compared with all others.
        workdir: where results and the rivals' cached scores go.
        image_size: side of the rivals' crops; closed-form rivals may choose half of it.
        resamples: of the bootstrap.

    Raises:
        ValueError, FileNotFoundError: of the data, or of a run that is not evaluated on them.
    """
    config = default.get_config().data
    config.name, config.dir, config.manual_dir = DATASET, data_dir, manual_dir
    config.image_size, config.cache_mb = image_size, 0
    if manual_dir:
        prepare_configured(config)
    tests = read_tests(config)
    if missing := set(bootstrap.MEAN_OF) - set(tests):
        raise ValueError(f"{data_dir} has no {' and no '.join(sorted(missing))}; their lists must be in --manual_dir")
    scores = {name: read_run(path, tests) for name, path in runs.items()}

    results = cached_rivals(config, workdir)
    for rival, found in results["rivals"].items():
        if rival in runs:
            raise ValueError(f"--run {rival}=... has the name of a rival; choose another")
        scores[rival] = {
            split: np.array([found["scores"][name] for name in test.names]) for split, test in tests.items()
        }
    scores[SIZE_ALONE] = {split: -test.sizes for split, test in tests.items()}
    first = next(iter(runs), None)
    results |= {"runs": runs, "resamples": resamples, "figures": compare(scores, tests, first, resamples)}

    writers.write_atomically(os.path.join(workdir, SCORES_FILE), _csv(scores, tests))
    _write_json(os.path.join(workdir, RESULTS_FILE), results)
    settings = ["| rival | chosen | cross-validated accuracy on train pairs |", "|---|---|---|"]
    for rival, found in results["rivals"].items():
        settings.append(f"| {rival} | {found['setting']} | {found['accuracy'][found['setting']]:.3f} |")
    return "\n".join([table(results["figures"], first), "", *settings])


def _csv(scores, tests):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("scorer", "split", "name", "score"))
    for scorer, of_splits in scores.items():
        for split, values in of_splits.items():
            writer.writerows((scorer, split, name, value) for name, value in zip(tests[split].names, values.tolist()))
    return text.getvalue()


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", required=True, help="prepared data at --image_size, made where missing")
    parser.add_argument("--manual_dir", default="", help="lists and photographs, to prepare the data from")
    parser.add_argument("--run", action="append", default=[], metavar="NAME=PATH", help="an evaluated run; repeatable")
    parser.add_argument("--workdir", default="runs/rivals", help="where the results go")
    parser.add_argument("--image_size", type=int, default=128, help="side of the rivals' crops in pixels")
    parser.add_argument("--resamples", type=int, default=1000, help="of the bootstrap")
    options = vars(parser.parse_args(argv))
    pairs = [run.partition("=")[::2] for run in options.pop("run")]
    if not all(name and path for name, path in pairs) or len(dict(pairs)) < len(pairs):
        parser.error("--run takes NAME=PATH, each name once")
    try:
        print(run(runs=dict(pairs), **options))
    except (ValueError, OSError) as error:
        sys.exit(f"rivals.py: {error}")


if __name__ == "__main__":
    main()
