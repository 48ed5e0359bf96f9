"""Summarizes the replays of experiments/active_labeling.py: means and intervals over seeds, tables, and a figure."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from blur_jax.metrics.interval import Interval, interval_text
from experiments import tables

RANDOM = "random pairs"
AXES = ("near", "far")
_COLORS = {RANDOM: "0.45", "picker of the page": "C0", "GURO": "C1", "most uncertain": "C2"}

Cell = tuple[str, str, float, int]  # Oracle, picker, share of wrong answers, seed.
Found = Mapping[Cell, Mapping[int, Mapping[str, float]]]  # {cell: {answers: {axis: AUC, "ties": share}}}.


def values(found: Found, oracle: str, picker: str, noise: float, count: int, name: str) -> np.ndarray:
    """Returns a value of each seed, float64 [seeds]; none if the picker did not ask that many questions."""
    cells = sorted(cell for cell in found if cell[:3] == (oracle, picker, noise))
    return np.array([found[cell][count][name] for cell in cells if count in found[cell]])


def over_seeds(samples: np.ndarray) -> Interval:
    """Returns the mean and its 95% t interval, over seeds alone; None where there are too few."""
    if not len(samples):
        return Interval(value=None, low=None, high=None)
    if len(samples) < 2:
        return Interval(value=float(samples.mean()), low=None, high=None)
    half = stats.t.ppf(0.975, len(samples) - 1) * samples.std(ddof=1) / np.sqrt(len(samples))
    return Interval(value=float(samples.mean()), low=float(samples.mean() - half), high=float(samples.mean() + half))


def tables_of(found: Found, counts: Sequence[int]) -> dict[str, str]:
    """Returns, for each oracle and noise, the AUC of each picker and its difference from all random answers."""
    published, most = {}, max(counts)
    for oracle, noise in dict.fromkeys((cell[0], cell[2]) for cell in found):
        pickers = dict.fromkeys(cell[1] for cell in found if (cell[0], cell[2]) == (oracle, noise))
        rows = []
        for axis in AXES:
            reference = values(found, oracle, RANDOM, noise, most, axis)
            for picker in pickers:
                columns = [values(found, oracle, picker, noise, count, axis) for count in counts]
                rows.append([f"{picker}, {axis}", *(interval_text(over_seeds(column)) for column in columns)])
                differences = (over_seeds(column - reference[: len(column)]) for column in columns)
                rows.append([f"minus {most:,} random, {axis}", *(interval_text(each, "+") for each in differences)])
        for picker in pickers:
            shares = [values(found, oracle, picker, noise, count, "ties") for count in counts]
            rows.append([f"ties, {picker}", *(f"{share.mean():.0%}" if len(share) else "" for share in shares)])
        title = f"Oracle {oracle}, {noise:.0%} wrong answers: size-matched AUC by number of answers"
        published[title] = tables.markdown(["pairs", *(f"{count:,}" for count in counts)], rows)
    return published


def draw(found: Found, counts: Sequence[int]) -> Figure:
    """Plots AUC versus number of answers: a row for each oracle and noise, a column for each axis."""
    groups = list(dict.fromkeys((cell[0], cell[2]) for cell in found))
    figure = Figure(figsize=(11, 3.3 * len(groups)), layout="constrained")
    panels = figure.subplots(len(groups), len(AXES), squeeze=False)
    for (oracle, noise), row in zip(groups, panels):
        for axis, axes in zip(AXES, row):
            for picker in dict.fromkeys(cell[1] for cell in found):
                samples = {count: values(found, oracle, picker, noise, count, axis) for count in counts}
                points = {count: over_seeds(sample) for count, sample in samples.items() if len(sample)}
                value, low, high = ([point[side] for point in points.values()] for side in ("value", "low", "high"))
                axes.plot(list(points), value, marker="o", markersize=3, color=_COLORS[picker], label=picker)
                if None not in low:
                    axes.fill_between(list(points), low, high, color=_COLORS[picker], alpha=0.12, linewidth=0)
            axes.set_title(f"answers from {oracle}, {noise:.0%} wrong; {axis}", loc="left", fontsize=10)
            axes.set(xscale="log", xlabel="answers")
            axes.set_xticks(counts, [f"{count:,}" for count in counts])
            axes.minorticks_off()
            axes.spines[["top", "right"]].set_visible(False)
        row[0].set_ylabel("size-matched AUC")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    return figure
