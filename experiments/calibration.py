"""Checks the calibration of scores: probabilities, thresholds and percentiles on held-out faces.

    python -m experiments.calibration --run=seed0=runs/seed0 --run=seed1=runs/seed1 --far=PHOTOS

Writes `calibration.md` and `reliability.webp` to the workdir.

Probabilities are checked on all pairs of test faces that have different ranks and are in the same face-size bin, in
random left-right order. The expected calibration error (ECE) is the mean gap between the predicted probability that the
first face is blurrier and the share of pairs in which it is, over ten bins of equal width, weighted by their number of
pairs.

Thresholds are chosen to discard 10% of a random half of the test faces and applied to the other half. "Within" is how
often, in 1,000 random splits, the share discarded in the other half is within the interval stated for all faces of that
kind. Because the other half is also a sample, a correct interval gives 83%, not 95%.

Percentiles are compared on the same faces between two runs with the same reference set.

With `--far`, all of this is also measured on a different kind of pictures: a folder with a `ranked.csv` (docs/data.md).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from absl import flags
from scipy import stats

from blur_jax.data import splits as data
from blur_jax.evaluate import figures
from blur_jax.metrics import bootstrap, calibration
from blur_jax.metrics.calibration import Calibration
from blur_jax.metrics.interval import interval_text
from blur_jax.runs import run_dir
from blur_jax.score.scorer import Scorer, load_scorer
from blur_jax.threshold import rules
from experiments import command, evaluated_runs, ranked, tables

BINS = 10
RATE = 0.1
HALVES = 1000


class Bin(NamedTuple):
    """Pairs with similar predictions: the mean prediction, the observed fraction, and its 95% interval."""

    predicted: float
    observed: float | None
    low: float | None
    high: float | None


def comparable_pairs(split: data.Split) -> np.ndarray:
    """Returns pairs of faces with different ranks in the same size bin, int [m, 2], as indices (sharper, blurrier)."""
    size_bin = np.digitize(ranked.sizes(split), split.metadata["size_bins"])
    first, second = np.triu_indices(len(split), 1)
    ranks = np.asarray(split.labels)
    comparable = (size_bin[first] == size_bin[second]) & (ranks[first] != ranks[second])
    pairs = np.stack([first, second], axis=1)[comparable]
    return np.where((ranks[pairs[:, 0]] > ranks[pairs[:, 1]])[:, None], pairs[:, ::-1], pairs)


def on_random_sides(pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Randomly swaps (sharper, blurrier) pairs [m, 2]; also returns bool [m], whether the first face is blurrier."""
    swap = np.random.default_rng(0).integers(2, size=len(pairs)).astype(bool)
    return np.where(swap[:, None], pairs[:, ::-1], pairs), swap


def calibration_errors(
    predicted: np.ndarray, true: np.ndarray, pairs: np.ndarray, faces: int, resamples: int
) -> tuple[np.ndarray, list[Bin]]:
    """Returns the expected calibration error [1 + resamples], like in `bootstrap`, and the nonempty bins.

    `predicted` [m] is the probability that the first face of a pair, int [m, 2], is blurrier; `true` [m] is the truth.
    """
    rng = np.random.default_rng(0)
    bin_of_pair = np.minimum((predicted * BINS).astype(int), BINS - 1)
    sums = np.zeros((1 + resamples, 3, BINS))  # Sums of weights, predictions and true answers.
    for index, row in enumerate(sums):
        drawn = np.bincount(rng.integers(faces, size=faces), minlength=faces) if index else np.ones(faces)
        weights = drawn[pairs].prod(axis=1)
        row[:] = [np.bincount(bin_of_pair, values, BINS) for values in (weights, weights * predicted, weights * true)]
    weight, prediction, truth = sums.transpose(1, 0, 2)
    with np.errstate(invalid="ignore"):  # 0 / 0: an empty bin, or a resample without pairs.
        error = np.abs(prediction - truth).sum(axis=1) / weight.sum(axis=1)
        shares, means = truth / weight, prediction / weight
    bins = []
    for k in np.flatnonzero(weight[0]):
        interval = bootstrap.interval(shares[:, k])
        bins.append(Bin(means[0, k], interval["value"], interval["low"], interval["high"]))
    return error, bins


class Scored(NamedTuple):
    """A run, its test splits, and its scores on them."""

    scorer: Scorer
    calibration: Calibration
    scale: float
    splits: dict[str, data.Split]
    scores: dict[str, np.ndarray]


def score(path: str, data_dir: str | None) -> Scored:
    """Scores all test faces of a run; raises ValueError if the run has no calibrated scale."""
    scorer = load_scorer(path)
    fitted = scorer.calibration
    if fitted is None or fitted.scale is None:
        raise ValueError(f"{path}: the checkpoint has no calibrated scale; rerun training")
    if data_dir is not None:
        scorer.config.data.dir = data_dir
    splits = ranked.open_splits(scorer.config.data)
    images = {name: split.images(range(len(split))) for name, split in splits.items()}
    scores = {name: scorer.score_images(faces, progress=name) for name, faces in images.items()}
    return Scored(scorer, fitted, fitted.scale, splits, scores)


def score_far(run: Scored, far: str) -> Scored:
    """Scores the ranked faces in the folder `far` with a run."""
    splits = {"far": data.open_split(ranked.far_data(run.scorer.config.data, far), "ranked", "test")}
    scores = {name: run.scorer.score_images(split.images(range(len(split)))) for name, split in splits.items()}
    return run._replace(splits=splits, scores=scores)


def reliability_rows(name: str, run: Scored, resamples: int) -> tuple[list[list[str]], list[Bin]]:
    """Returns a run's rows in the probability table, and the bins for all of its splits combined."""
    parts, start = {}, 0
    for split_name, split in run.splits.items():
        pairs, true = on_random_sides(comparable_pairs(split))
        left, right = run.scores[split_name].astype(np.float64)[pairs].T
        predicted = calibration.probability_blurrier(left, right, run.scale)
        parts[split_name] = (predicted, true, pairs + start)
        start += len(split)
    if len(parts) > 1:
        parts["all"] = tuple(map(np.concatenate, zip(*parts.values())))
    low, high = run.calibration.scale_interval or (np.nan, np.nan)
    rows, bins = [], []
    for part, (predicted, true, pairs) in parts.items():
        error, bins = calibration_errors(predicted, true, pairs, start, resamples)
        in_order, confidence = np.mean((predicted > 0.5) == true), np.mean(np.maximum(predicted, 1 - predicted))
        row = [name, part, f"{len(pairs):,}", f"{in_order:.3f}", f"{confidence:.3f}"]
        rows.append([*row, interval_text(bootstrap.interval(error)), f"{run.scale:.2f} [{low:.2f}, {high:.2f}]"])
    return rows, bins


def half_discards(scores: np.ndarray) -> list[tuple[rules.Share, float]]:
    """Returns `HALVES` pairs of (stated share, share of the other half) discarded by a threshold at `RATE`."""
    rng, shares = np.random.default_rng(0), []
    for _ in range(HALVES):
        mixed = rng.permutation(scores)
        chosen, others = mixed[: len(mixed) // 2], mixed[len(mixed) // 2 :]
        threshold = rules.for_discard(chosen, RATE)
        shares.append((rules.share(chosen >= threshold), float(np.mean(others >= threshold))))
    return shares


def threshold_row(name: str, run: Scored, elsewhere: Scored | None) -> list[str]:
    scores = np.concatenate(list(run.scores.values()))
    shares = half_discards(scores)
    stated, other = shares[0]
    within = np.mean([share.low <= share_of_other <= share.high for share, share_of_other in shares])
    far = "" if elsewhere is None else f"{np.mean(elsewhere.scores['far'] >= rules.for_discard(scores, RATE)):.1%}"
    mean = np.mean([share_of_other for _, share_of_other in shares])
    interval = f"{stated.low:.1%} to {stated.high:.1%}"
    return [name, f"{stated.total:,}", interval, f"{other:.1%}", f"{mean:.1%}", f"{within:.1%}", far]


def retraining_row(label: str, calibrations: Sequence[Calibration], blur: Sequence[np.ndarray]) -> list[str]:
    """Returns a row of the percentile table, given calibrations and scores [n] of two runs on the same faces."""
    percentiles = [calibration.percentile(scores, fitted.quantiles) for scores, fitted in zip(blur, calibrations)]
    row = [label, f"{len(blur[0]):,}", f"{stats.spearmanr(*blur).statistic:.3f}"]
    for first, second in (100 * np.asarray(blur), percentiles):
        row += [f"{np.mean(np.abs(second - first)):.1f}", f"{np.mean(second - first):+.1f}"]
    return row


def _retraining(runs: Mapping[str, Scored], elsewhere: Mapping[str, Scored]) -> str:
    rows, firsts = [], {}
    for name, scored in runs.items():
        first = firsts.setdefault(scored.calibration.reference, name)
        if first == name:
            continue
        calibrations = [runs[first].calibration, scored.calibration]
        blur = [np.concatenate(list(run.scores.values())) for run in (runs[first], scored)]
        rows.append(retraining_row(f"{first}, {name}: test faces", calibrations, blur))
        if elsewhere:
            blur = [elsewhere[run].scores["far"] for run in (first, name)]
            rows.append(retraining_row(f"{first}, {name}: far faces", calibrations, blur))
    columns = ("runs", "faces", "spearman", "100 * blur: distance", "shift", "percentile: distance", "shift")
    return tables.markdown(columns, rows)


def run(run: list[str], data_dir: str | None, far: str | None, resamples: int, workdir: str) -> None:
    runs = {name: score(path, data_dir) for name, path in evaluated_runs.parse(run).items()}
    elsewhere = {name: score_far(scored, far) for name, scored in runs.items()} if far else {}
    rows, bins = [], {}
    for name, scored in runs.items():
        run_rows, bins[name] = reliability_rows(name, scored, resamples)
        rows += run_rows
        if far:
            rows += reliability_rows(name, elsewhere[name], resamples)[0]
    columns = ("run", "test faces", "pairs", "share in order", "mean confidence", "ECE", "scale")
    published = {"Probability that a face is blurrier, on held-out faces": tables.markdown(columns, rows)}
    columns = ("run", "faces per half", "stated interval", "other half", "mean of 1,000 other halves", "within")
    rows = [threshold_row(name, scored, elsewhere.get(name)) for name, scored in runs.items()]
    published["Threshold to discard 10%"] = tables.markdown([*columns, "discarded far"], rows)
    published["Two runs on the same faces: mean distance and shift of the second"] = _retraining(runs, elsewhere)
    tables.publish(workdir, "calibration", published)
    folder = run_dir.resolve(workdir)
    (folder / "reliability.webp").write_bytes(figures.to_webp(figures.reliability(bins), quality=90))


if __name__ == "__main__":
    flags.DEFINE_multi_string("run", None, "A trained run as NAME=PATH; repeatable.", required=True)
    flags.DEFINE_string("data_dir", None, "Folder with the runs' prepared data; default: as recorded in the runs.")
    command.define_far(required=False)
    flags.DEFINE_integer("resamples", 1000, "Number of bootstrap resamples.", lower_bound=1)
    command.define_workdir("runs/calibration")
    command.main(run)
