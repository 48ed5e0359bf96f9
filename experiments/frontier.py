"""Traces the frontier between agreeing with labels and measuring blur, by fitting heads with different weights.

    python -m experiments.frontier --config.data.manual_dir=LISTS --far=CELEBA --judged=JUDGED --workdir=runs/frontier

The heads differ in `config.probe.prior`, which decides how much they follow the scorer in `config.start_from`, in
`config.probe.content`, the weight of equal scores at equal blur, and in `config.probe.strength`, the weight of the
labels. All are fitted to the same features, so nothing else differs. That scorer itself is the last point. *Near*
faces are the test faces of the config's data set; *far* faces are those in CELEBA, a folder in the layout of
docs/data.md. `--half` selects the far faces on which content is measured, as in `experiments.ablation`.

Writes to the workdir: `frontier.md` (a table of all heads), `frontier.json` (everything) and `frontier.webp`.
"""

import dataclasses
import itertools
import json
import math
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from absl import flags
from matplotlib.figure import Figure
from ml_collections import ConfigDict
from tqdm import tqdm

from blur_jax.data import judged_table, splits
from blur_jax.data.preprocessing import at_resolution
from blur_jax.evaluate import content
from blur_jax.evaluate.figures import style
from blur_jax.metrics import content as content_metrics
from blur_jax.metrics import rank_statistics, ranked_split
from blur_jax.metrics.interval import interval_text
from blur_jax.models import linear_probe, network
from blur_jax.runs import inference, run_dir
from blur_jax.train import probe, start
from experiments import baselines, command, judged_tables, ranked, tables
from experiments.content import HALVES, faces_in_half

PRIORS = (0.0, 1.0, 10.0, 100.0)
CONTENTS = (0.0, 0.3)
STRENGTHS = (1e-5, 1e-4, 1e-3)
AXES = ("near", "far")

Splits = Mapping[str, splits.Split]
Kernels = Mapping[str, np.ndarray]  # {head: float32 [F]}
Features = Callable[[np.ndarray], np.ndarray]  # uint8 [n, S, S, 3] -> float32 [n, F].


class Point(NamedTuple):
    """The weights of a head; the head of `config.start_from` has an infinite prior."""

    prior: float
    content: float
    strength: float

    def __str__(self) -> str:
        return f"prior {self.prior:g}, content {self.content:g}, strength {self.strength:g}"


START = Point(math.inf, 0.0, 0.0)


def points(config: ConfigDict) -> list[Point]:
    """Returns the recipe's point, all others of the grid, and `START`."""
    recipe = Point(config.probe.prior, config.probe.content, config.probe.strength)
    return list(dict.fromkeys([recipe, *map(Point._make, itertools.product(PRIORS, CONTENTS, STRENGTHS)), START]))


def fit_heads(
    config: ConfigDict, model: network.Network, params: network.Params, images: probe.Images
) -> dict[str, np.ndarray]:
    """Returns the kernel of each point's head, float32 [F]."""
    labeled, unlabeled = probe.features(config, model, params, images)
    if unlabeled is None:
        raise ValueError("the config weighs no unlabeled faces; set config.probe.prior or config.probe.content")
    kernels = {}
    for point in tqdm(points(config)[:-1], desc="fitting", unit="head", disable=None, leave=False):
        weights = dataclasses.replace(unlabeled, follow=point.prior, content=point.content)
        options = {"strength": point.strength, "unlabeled": weights}
        kernels[str(point)], _ = linear_probe.logistic_ranking(labeled, images.pairs, images.order, **options)
    return kernels | {str(START): np.asarray(params["head"]["kernel"])[:, 0]}


def measure_content(read: Features, kernels: Kernels, split: splits.Split, half: str | None) -> dict[str, Any]:
    """Returns {head: {"content_share", "groups": {attribute: AUC}}} at the resolution of `content.SHOWN`, in pixels."""
    images, ranks, attributes = faces_in_half(split, half)
    clear, _ = ranked_split.clear_and_blurred(ranks)
    once, side = np.ones((1, len(images))), int(content.SHOWN)
    unchanged, equal = read(images), read(np.stack([at_resolution(image, side) for image in images]))
    found = {}
    for name, kernel in kernels.items():
        readings = equal @ kernel
        share = content_metrics.content_share(readings, unchanged @ kernel, once)
        aucs = {
            group: float(rank_statistics.auc_of_members(readings[clear], members[clear], once[:, clear])[0])
            for group, members in attributes.items()
        }
        found[name] = {"content_share": float(share[0]), "groups": aucs}
    return found


def measure(
    read: Features, kernels: Kernels, tests: Mapping[str, Splits], pairs: judged_table.JudgedTable, resamples: int
) -> dict[str, Any]:
    """Returns {head: {"judged": {axis: interval}, "auc": {axis: interval}}}."""
    scores: dict[str, dict[str, dict[str, np.ndarray]]] = {axis: {} for axis in tests}
    for axis, part in tests.items():
        found = {name: read(split.images(range(len(split)))) for name, split in part.items()}
        for head, kernel in kernels.items():
            scores[axis][head] = {name: features @ kernel for name, features in found.items()}
    agreement = judged_tables.measure_axes(pairs, scores, tests, resamples=resamples)
    metrics = {axis: baselines.compare(scores[axis], part, None, resamples) for axis, part in tests.items()}
    return {
        head: {
            "judged": {axis: agreement[axis]["scorers"][head]["consensus"] for axis in tests},
            "auc": {axis: metrics[axis][head]["mean"]["auc"] for axis in tests},
        }
        for head in kernels
    }


def table(measured: Mapping[str, Any], start_from: str) -> str:
    """Returns a table with a row for each head."""
    rows = []
    for head, found in measured.items():
        cells = [interval_text(found[kind][axis]) for kind in ("judged", "auc") for axis in AXES]
        groups = found["content"]["groups"]
        least_fair = max(groups, key=lambda name: abs(groups[name] - 0.5), default=None)
        group = "" if least_fair is None else f"{least_fair} {groups[least_fair]:.3f}"
        name = start_from if head == str(START) else head
        rows.append([name, *cells, f"{found['content']['content_share']:.3f}", group])
    columns = [f"{kind}, {axis}" for kind in ("judged", "AUC") for axis in AXES]
    return tables.markdown(["head", *columns, f"content share at {content.SHOWN} px", "least fair group, AUC"], rows)


@style.drawn
def draw(measured: Mapping[str, Any], heads: Sequence[Point], start_from: str) -> Figure:
    """Plots agreement with judges, near and far, and the content share against AUC; the color is the prior."""
    figure = Figure(figsize=(style.WIDTH, 3.6), layout="constrained")
    priors = sorted({point.prior for point in heads[:-1]})
    colors = {prior: style.BLUR_COLORS(place / len(priors)) for place, prior in enumerate(priors)}
    values = {point: measured[str(point)] for point in heads}
    for axes, (axis, kind) in zip(figure.subplots(1, 3), (("near", "judged"), ("far", "judged"), ("far", "share"))):

        def place(point: Point, axis: str = axis, kind: str = kind) -> tuple[float, float]:
            found = values[point]
            high = found["judged"][axis]["value"] if kind == "judged" else found["content"]["content_share"]
            return found["auc"][axis]["value"], high

        for prior in priors:
            placed = np.array([place(point) for point in heads[:-1] if point.prior == prior])
            axes.scatter(*placed.T, s=22, color=colors[prior], label=f"prior {prior:g}")
        axes.scatter(
            *place(heads[0]), s=110, facecolor="none", edgecolor=style.ORANGE, linewidth=1.6, label="the recipe"
        )
        axes.scatter(*place(heads[-1]), s=110, marker="*", color=style.ORANGE, label=start_from)
        axes.set_xlabel(f"AUC against labels, {axis}")
        axes.set_title(f"agreement with judges, {axis}" if kind == "judged" else f"content share at {content.SHOWN} px")
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center")
    return figure


def run(config: ConfigDict, workdir: str, far: str, judged: str, half: str | None) -> None:
    pairs = judged_table.read(judged)
    ranked.prepare(config.data)
    tests = baselines.open_tests(config, far)
    train = start.open_pairs(config)
    model, _ = start.build(config)
    params = start.find_start(config).load_params(start.initial_params(config, model))
    images = probe.read(config, train.labeled, train.unlabeled)
    if images is None:
        raise ValueError("the config fits no head; set config.probe.strength")
    kernels = fit_heads(config, model, params, images)
    features_of = inference.make_features(model)

    def read(faces: np.ndarray) -> np.ndarray:
        return features_of(params, faces, batch_size=config.evaluation.batch_size, progress="test faces")

    measured = measure(read, kernels, tests, pairs, config.evaluation.resamples)
    ((far_split),) = tests["far"].values()
    for head, found in measure_content(read, kernels, far_split, half).items():
        measured[head]["content"] = found
    run_dir.write_atomically(os.path.join(workdir, "frontier.json"), json.dumps(measured, indent=1) + "\n")
    figure = draw(measured, points(config), config.start_from)
    pathlib.Path(workdir, "frontier.webp").write_bytes(style.to_webp(figure))
    tables.publish(workdir, "frontier", {"Heads": table(measured, config.start_from)})


if __name__ == "__main__":
    command.define_config("frontier")
    command.define_workdir("runs/frontier")
    command.define_far(required=True)
    command.define_judged(required=True)
    flags.DEFINE_enum("half", None, HALVES, "Measure content only on faces with an even or odd number in their name.")
    command.main(run)
