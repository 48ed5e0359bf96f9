"""Summarizes the runs of experiments/label_efficiency.py: intervals over runs and faces, tables, and a figure."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from blur_jax.evaluate.evaluation import csv_text
from blur_jax.metrics import bootstrap
from blur_jax.metrics.interval import Interval, interval_text
from experiments import tables

# Losses on unlabeled pairs; except for none, each has a weight config.consistency.<name>_weight.
LOSSES = ("none", "pairwise", "quadruplet", "distillation")
LINEAR = "linear ranker"
MONITORED = ("validation_accuracy", "pseudo_label_share", "pseudo_label_accuracy", "score_spread", "confident")
LABELS = {"none": "labels alone", LINEAR: "linear ranker, frozen features"}
_COLORS = {"none": "0.45", LINEAR: "0.1", "pairwise": "C2", "quadruplet": "C1", "distillation": "C0"}

Cell = tuple[str, int, int]  # One of LOSSES or LINEAR, number of labeled pairs, seed.
# {scorer: {count: {"auc", "gain" over labels alone, "to_all" and "to_half": intervals}}}, see `summarize`
Summary = dict[str, dict[str, dict[str, Interval]]]


def over_seeds(values: np.ndarray, seed: int = 0) -> np.ndarray:
    """Averages runs [seeds, 1 + resamples] to [1 + resamples], resampling the runs as well.

    The interval accounts for the choice of faces, labels and draws; with three seeds, the last two are rough estimates.
    """
    seeds, columns = values.shape
    drawn = np.random.default_rng(seed).integers(seeds, size=(seeds, columns))
    drawn[:, 0] = np.arange(seeds)
    return np.take_along_axis(values, drawn, axis=0).mean(axis=0)


def summarize(metrics: Mapping[Cell, dict], counts: Sequence[int], seeds: int) -> Summary:
    """Returns the size-matched AUC over seeds, and differences paired by face and seed.

    "gain" is the difference from labels alone with the same number of pairs, "to_all" the difference from labels alone
    with the most pairs, and "to_half" the difference from the mean of those two; above 0, more than half of the
    gap between them is closed. The share itself has no useful interval, because the gap may be 0.
    """

    def auc(scorer: str, count: int) -> np.ndarray:
        return np.array([metrics[scorer, count, seed]["mean"]["auc"] for seed in range(seeds)])

    summary, most = {}, max(counts)
    for scorer in (name for name in ("none", LINEAR, *LOSSES[1:]) if name in {cell[0] for cell in metrics}):
        summary[scorer] = {}
        for count in counts:
            parts = ((scorer, count), ("none", count), ("none", most))
            ours, alone, all_labels = (over_seeds(auc(*part)) for part in parts)
            values = {"auc": ours, "gain": ours - alone, "to_all": ours - all_labels}
            if count < most:
                values["to_half"] = ours - (alone + all_labels) / 2
            summary[scorer][str(count)] = {name: bootstrap.interval(value) for name, value in values.items()}
    return summary


def table(summary: Summary, counts: Sequence[int]) -> str:
    """Returns rows with each scorer's AUC, its gain, and its difference from labels alone with all pairs."""
    rows = []
    for scorer, groups in summary.items():
        label = LABELS.get(scorer, scorer)
        parts = {label: ("auc", "")}
        if scorer != "none":
            parts[f"gain of {label}"] = ("gain", "+")
        if scorer in LOSSES[1:]:
            parts[f"{label} minus labels alone, all pairs"] = ("to_all", "+")
            parts[f"{label} minus the halfway point to labels alone, all pairs"] = ("to_half", "+")
        for name, (part, sign) in parts.items():
            cells = (groups[str(count)].get(part) for count in counts)
            rows.append([name, *("" if cell is None else interval_text(cell, sign) for cell in cells)])
        if scorer in LOSSES[1:]:
            shares = (_share_closed(groups[str(count)]) for count in counts)
            rows.append([f"share of the gap closed by {label}", *shares])
    return tables.markdown(["scorer", *(f"{count:,} pairs" for count in counts)], rows)


def _share_closed(group: Mapping[str, Any]) -> str:
    """Returns the gain as a share of the gap to all labels, or "" if the gap is below 0.01 and may be noise."""
    gap = group["gain"]["value"] - group["to_all"]["value"]
    return f"{group['gain']['value'] / gap:.0%}" if gap >= 0.01 else ""


def rows_csv(rows: Mapping[Cell, dict], metrics: Mapping[str, Mapping[Cell, dict]]) -> str:
    """Returns CSV with one row per run: its cell, monitored values, and size-matched metrics on each axis."""
    splits = [(axis, split) for axis, cells in metrics.items() for split in sorted(next(iter(cells.values())))]
    columns = [(*part, name) for part in splits for name in ("auc", "pairwise_accuracy", "spearman", "kendall")]
    lines = [("scorer", "labeled_pairs", "seed", *MONITORED, "seconds", *map("_".join, columns))]
    for cell, row in rows.items():
        monitored = [f"{row[name]:.4f}" if name in row else "" for name in MONITORED]
        values = [f"{metrics[axis][cell][split][name][0]:.4f}" for axis, split, name in columns]
        lines.append((*cell, *monitored, f"{row['seconds']:.0f}", *values))
    return csv_text(lines)


def draw(summaries: Mapping[str, Summary], counts: Sequence[int]) -> Figure:
    """Plots AUC versus number of labeled pairs, with one panel per axis and one line per scorer."""
    figure = Figure(figsize=(5.5 * len(summaries), 4.2), layout="constrained")
    panels = figure.subplots(1, len(summaries), squeeze=False)[0]
    for axes, (axis, summary) in zip(panels, summaries.items()):
        for place, (scorer, groups) in enumerate(summary.items()):
            intervals = [groups[str(count)]["auc"] for count in counts]
            value, low, high = (np.array([auc[key] for auc in intervals]) for key in ("value", "low", "high"))
            looks = {"marker": "o", "markersize": 4, "capsize": 2, "elinewidth": 0.7, "color": _COLORS[scorer]}
            looks |= {"label": LABELS.get(scorer, f"and unlabeled: {scorer}")}
            looks |= {"linestyle": "--" if scorer == LINEAR else "-"}
            axes.errorbar(np.array(counts) * 1.05 ** (place - 2), value, (value - low, high - value), **looks)
        axes.set_title(axis, loc="left")
        axes.set(xscale="log", xlabel="labeled pairs")
        axes.set_xticks(counts, [f"{count:,}" for count in counts])
        axes.minorticks_off()
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("size-matched AUC")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False)
    return figure
