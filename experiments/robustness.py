"""Measures what shifts a score besides blur, by scoring the same faces again after known changes.

    python -m experiments.robustness --run=runs/wider_blur --data_dir=DIR --workdir=runs/robustness

DIR contains the run's data set, prepared the same way as for the run. Nothing is trained or tuned. With
`--against=RUN`, a second run scores the same changed faces, and a table compares their AUC under each change.
Writes to the workdir: `robustness.md` (the tables), `robustness.json` (everything) and `robustness.webp` (a panel for
each change).

A run's reading is the logit of its score, clipped to [1e-6, 1 - 1e-6], so saturation does not hide shifts. A
baseline's reading is the negative logarithm of its measure. Shifts are expressed as *fractions of the gap* between the
mean readings of unchanged blurred faces (above the lowest rank of their split) and clear faces (at the lowest rank). At
+1, clear faces read like blurred ones; at -1, blurred faces read like clear ones. Changes are applied to the prepared
crops at the network's resolution.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from absl import flags
from matplotlib.figure import Figure
from tqdm import tqdm

from blur_jax.data import splits as data
from blur_jax.evaluate import content
from blur_jax.metrics import bootstrap
from blur_jax.metrics.interval import interval_text
from blur_jax.runs import run_dir
from blur_jax.score.scorer import Scorer, load_scorer
from experiments import command, ranked, tables
from experiments.baselines import CLOSED_FORM
from experiments.robustness_changes import CHANGES, Face

SLIGHT, LARGE = 0.1, 0.5  # Shares of the gap; shifts below SLIGHT hardly matter, shifts above LARGE are findings.
_TINY = 1e-6
_BATCH = 8  # Number of faces per batch; batches that fit into a CPU's caches are twice as fast as batches of 256.

Name = str | None
Reading = Callable[[np.ndarray], np.ndarray]  # uint8 [n, S, S, 3] -> float [n], larger is blurrier.
Aucs = dict[tuple[str, float | None], np.ndarray]  # (change, strength) -> AUC [1 + resamples].


def read_by_run(scorer: Scorer, images: np.ndarray) -> np.ndarray:
    return content.read_scores(scorer, images, batch_size=_BATCH)


def read_by_baseline(sharpness: Callable[[Face], float], images: np.ndarray) -> np.ndarray:
    return -np.log(np.maximum([sharpness(image) for image in images], _TINY))


def clear_faces(splits: Mapping[str, data.Split]) -> np.ndarray:
    """Returns whether each face of the concatenated splits has the lowest rank of its split, bool [n]."""
    ranks = [np.asarray(split.labels) for split in splits.values()]
    return np.concatenate([split_ranks == split_ranks.min() for split_ranks in ranks])


def measure(
    read: Reading, splits: Mapping[str, data.Split], *, resamples: int, label: str = ""
) -> tuple[dict[str, Any], Aucs]:
    """Reads the faces in ranked splits under every change at every strength.

    Returns:
        (results, AUCs). The results are {"clear", "blurred", "all": mean reading, "auc": interval, both for the
        unchanged faces; "changes": {change: [row for each strength except the neutral one]}}. A row is {"strength";
        "clear", "blurred", "all": mean shift of these faces, "rms": r.m.s. shift of a single face, as shares of the
        gap; "auc": interval; "auc_change": interval of the paired difference from the neutral strength}. The AUCs are
        size-matched means over splits for each change and strength, including the neutral one, in each resample.

    Raises:
        ValueError: the splits contain nothing to compare, or blurred faces do not read as blurrier than clear ones.
    """
    faces = np.concatenate([split.images(range(len(split))) for split in splits.values()])
    ends, judged_images = np.cumsum([len(split) for split in splits.values()])[:-1], {}

    def judge(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns readings [n] and AUC [1 + resamples]; scores identical images, such as unchanged ones, only once."""
        key = hashlib.sha256(images.data).digest()
        if key not in judged_images:
            readings = read(images)
            scores = dict(zip(splits, np.split(readings, ends)))
            judged_images[key] = readings, ranked.headlines(scores, splits, resamples=resamples)["mean"]["auc"]
        return judged_images[key]

    unchanged, unchanged_auc = judge(faces)
    if np.isnan(unchanged_auc[0]):
        found = ranked.headlines(dict(zip(splits, np.split(unchanged, ends))), splits, resamples=1)
        lacking = [name for name in ranked.headline_names(splits) if np.isnan(found[name]["auc"][0])]
        have = f"{', '.join(lacking)} {'has' if len(lacking) == 1 else 'have'}"
        raise ValueError(f"{have} no clear and blurred faces of similar size; change --splits")
    clear = clear_faces(splits)
    groups = {"clear": clear, "blurred": ~clear, "all": slice(None)}
    means = {name: float(unchanged[group].mean()) for name, group in groups.items()}
    gap = means["blurred"] - means["clear"]
    if gap <= 0:
        readings = f"the mean reading is {means['blurred']:.3f} for blurred and {means['clear']:.3f} for clear faces"
        raise ValueError(f"{label}: {readings}, but blurred must be above clear; train longer or check the data")
    changes, aucs = {}, {}
    for name, change in tqdm(CHANGES.items(), desc=label, unit="change", disable=None, leave=False):
        judged = {s: judge(np.stack([change.apply(face, s) for face in faces])) for s in change.strengths}
        aucs |= {(name, s): auc for s, (_, auc) in judged.items()}
        (neutral, neutral_auc), changes[name] = judged.pop(change.neutral), []
        for strength, (changed, changed_auc) in judged.items():
            shifts = (changed - neutral) / gap
            row = {"strength": strength, **{key: float(shifts[group].mean()) for key, group in groups.items()}}
            row |= {"rms": float(np.sqrt(np.square(shifts).mean())), "auc": bootstrap.interval(changed_auc)}
            changes[name].append(row | {"auc_change": bootstrap.interval(changed_auc - neutral_auc)})
    return means | {"auc": bootstrap.interval(unchanged_auc), "changes": changes}, aucs


def difference(aucs: Aucs, against: Aucs) -> list[dict[str, Any]]:
    """Compares the AUCs that `measure` returns for two scorers on the same splits.

    Returns a row for each change and strength: {"change"; "strength"; "auc": interval of the AUC minus the other
    scorer's; "auc_change": interval of the AUC change minus the other scorer's}.
    """
    rows = []
    for (name, strength), auc in aucs.items():
        gain, neutral = auc - against[name, strength], (name, CHANGES[name].neutral)
        change = bootstrap.interval(gain - (aucs[neutral] - against[neutral]))
        rows.append({"change": name, "strength": strength, "auc": bootstrap.interval(gain), "auc_change": change})
    return rows


def table_of_difference(rows: Sequence[Mapping[str, Any]]) -> str:
    def cells(interval: Any) -> str:
        word = " better" if interval["low"] > 0 else " **worse**" if interval["high"] < 0 else ""
        return interval_text(interval, "+") + word

    table = []
    for row in rows:
        table.append([row["change"], _strength_text(row["strength"]), cells(row["auc"]), cells(row["auc_change"])])
    return tables.markdown(["change", "strength", "AUC, difference", "AUC, change, difference"], table)


def _strength_text(strength: float | None) -> str:
    return "none" if strength is None else f"{strength:g}"


def verdict(rows: Sequence[dict[str, Any]], *, blurs: bool) -> str:
    """Describes the rows that `measure` returns for a change; starts with FINDING if there is a flaw to act on.

    A change that blurs must raise the mean reading of all faces at every step. Other changes can mislead the scorer in
    two ways: blurred faces look sharper, or clear faces look blurrier.
    """
    if blurs:
        steps = [0.0, *(row["all"] for row in rows)]
        failed = [f"{row['strength']:g}" for row, before, after in zip(rows, steps, steps[1:]) if after <= before]
        if failed:
            return f"FINDING: not blurrier than the previous step at {', '.join(failed)}"
        return f"blurrier at every step, {steps[1]:+.2f} to {steps[-1]:+.2f}"
    lowest, highest = min(rows, key=lambda row: row["blurred"]), max(rows, key=lambda row: row["clear"])
    mistakes = {"sharpness": -lowest["blurred"], "blur": highest["clear"]}
    mistaken = " and ".join(mistake for mistake, size in mistakes.items() if size > SLIGHT)
    degree = "FINDING:" if max(mistakes.values()) > LARGE else "partly"
    words = f"{degree} mistaken for {mistaken}" if mistaken else "hardly matters"
    blurred = f"blurred faces at least {lowest['blurred']:+.2f} (at {lowest['strength']:g})"
    return f"{words}; {blurred}, clear faces at most {highest['clear']:+.2f} (at {highest['strength']:g})"


def tables_of(results: Mapping[str, Any]) -> tuple[str, str]:
    text, verdicts, strengths = interval_text, [], []
    for name, rows in results["changes"].items():
        worst, words = min(rows, key=lambda row: row["auc_change"]["value"]), verdict(rows, blurs=CHANGES[name].blurs)
        verdicts.append([name, words, f"{text(worst['auc_change'], '+')} at {worst['strength']:g}"])
        for row in rows:
            shifts = [f"{row['clear']:+.2f}", f"{row['blurred']:+.2f}", f"{row['rms']:.2f}"]
            strengths.append([name, f"{row['strength']:g}", *shifts, text(row["auc"]), text(row["auc_change"], "+")])
    header = ["change", "strength", "clear", "blurred", "one face, r.m.s.", "AUC", "AUC, change"]
    brief = tables.markdown(["change", "verdict", "AUC, worst change"], verdicts)
    return brief, tables.markdown(header, strengths)


def draw(results: Mapping[str, Any]) -> Figure:
    """Plots the mean shifts of clear and blurred faces by strength, with one panel per change, on the same scale."""
    figure, lines = Figure(figsize=(10, 7), layout="constrained", dpi=110), -(-len(results["changes"]) // 3)
    for index, (name, rows) in enumerate(results["changes"].items()):
        change = CHANGES[name]
        shifts = {row["strength"]: row for row in rows} | {change.neutral: {"clear": 0.0, "blurred": 0.0}}
        panel = figure.add_subplot(lines, 3, index + 1, sharey=figure.axes[0] if index else None)
        panel.axhline(0, color="#9aa1ab", linewidth=1)
        for group, color in (("clear", "#2563a8"), ("blurred", "#d9662b")):
            values = [shifts[strength][group] for strength in change.strengths]
            panel.plot(values, "o-", color=color, markersize=4, label=f"{group} faces")
        panel.set_xticks(range(len(values)), list(map(_strength_text, change.strengths)))
        panel.set_title(name, fontsize=9.5, loc="left")
        panel.grid(color="#e9ecf0")
        panel.spines[["top", "right"]].set_visible(False)
    figure.axes[0].legend(frameon=False)
    figure.supylabel("shift, as a share of the gap between clear and blurred faces", fontsize=9.5)
    return figure


def run(
    run: str, against: Name, data_dir: Name, baseline: list[str], splits: list[str] | None, resamples: int, workdir: str
) -> None:
    scorer = load_scorer(run)
    config = scorer.config.data
    if data_dir is not None:
        config.dir = data_dir
    opened = ranked.open_splits(config, splits)
    if splits is None:
        opened = {name: opened[name] for name in ranked.headline_names(opened)}
    reads: dict[str, Reading] = {run: partial(read_by_run, scorer)}
    if against is not None:
        reads[against] = partial(read_by_run, load_scorer(against))
    for name in baseline:
        reads[name] = partial(read_by_baseline, CLOSED_FORM[name])
    scorers, published, aucs = {}, {}, {}
    for name, read in reads.items():
        scorers[name], aucs[name] = measure(read, opened, resamples=resamples, label=name)
        title = f"{name}: AUC of the unchanged faces {interval_text(scorers[name]['auc'])}"
        published[title], published[f"{name}: every strength"] = tables_of(scorers[name])
    clear = clear_faces(opened)
    results = {"splits": list(opened), "faces": len(clear), "clear": int(clear.sum()), "scorers": scorers}
    if against is not None:
        results["difference"] = difference(aucs[run], aucs[against])
        published[f"{run} minus {against}: every strength"] = table_of_difference(results["difference"])
    run_dir.write_atomically(os.path.join(workdir, "robustness.json"), json.dumps(results, indent=1) + "\n")
    draw(scorers[run]).savefig(os.path.join(workdir, "robustness.webp"))
    tables.publish(workdir, "robustness", published)


if __name__ == "__main__":
    flags.DEFINE_string("run", None, "A trained run, or one of its checkpoints.", required=True)
    flags.DEFINE_string("against", None, "A second run or checkpoint to compare with under the same changes.")
    flags.DEFINE_string("data_dir", None, "Folder with the run's prepared data; default: as recorded in the run.")
    flags.DEFINE_multi_enum("baseline", [], list(CLOSED_FORM), "A baseline to compare with; repeatable.")
    flags.DEFINE_list("splits", None, "Ranked splits; default: the headline splits of the data set.")
    flags.DEFINE_integer("resamples", 1000, "Number of bootstrap resamples.", lower_bound=1)
    command.define_workdir("runs/robustness")
    command.main(run)
