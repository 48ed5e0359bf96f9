"""Replays labeling with known answers: how many answers does the picker of blur_jax.label save?

    python -m experiments.active_labeling --config.data.manual_dir=LISTS --far=CELEBA --workers=2

An oracle answers the questions of `blur_jax.label.questions`. In "wider", it knows the blur levels of the faces in the
labeled pairs of the config's data set, as far as the pairs determine them; in "celeba", the ranks of every second face
in CELEBA, whose others are the test. Equal levels are a tie, and ties count as answers. With --noise, a share of the
answers is wrong: an order is reversed, and a tie gets a random order. After some numbers of answers, a linear ranker is
fitted to them (`linear_probe.logistic_ranking` on the features that the page uses) and evaluated on the test faces.

Writes to the workdir: `active_labeling.json` (all values), `active_labeling.md` (the tables) and
`active_labeling.webp` (the figure).
"""

import concurrent.futures
import functools
import itertools
import json
import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from absl import flags
from ml_collections import ConfigDict

from blur_jax.data import splits as data
from blur_jax.label import features, pairs
from blur_jax.label.answers import Answer, State
from blur_jax.label.pairs import Ranker
from blur_jax.label.questions import Questions
from blur_jax.metrics import bootstrap
from blur_jax.models import linear_probe
from blur_jax.runs import run_dir
from blur_jax.shipped import DEFAULT
from experiments import active_labeling_summary, command, ranked, tables
from experiments.active_labeling_summary import RANDOM, Cell

COUNTS = (50, 100, 200, 300, 400, 500, 750, 1000)  # Up to half of the last for all pickers but random.


def guro(ranker: Ranker, candidates: np.ndarray) -> int:
    """GURO's choice (arXiv 2405.03059): the largest variance of the answer times variance of the difference."""
    probability = ranker.probability(candidates)
    return int(np.argmax(probability * (1 - probability) * ranker.variance(candidates)))


def uncertain(ranker: Ranker, candidates: np.ndarray) -> int:
    return int(np.argmin(np.abs(ranker.probability(candidates) - 0.5)))


PICKERS: dict[str, Callable[[Ranker, np.ndarray], int]] = {
    RANDOM: pairs.best,  # Never called: all pairs are random.
    "picker of the page": pairs.best,
    "GURO": guro,
    "most uncertain": uncertain,
}


class Axis(NamedTuple):
    """The test faces of one axis.

    Attributes:
        splits: {split: (features float32 [m, F], ranks [m], sizes float32 [m] in pixels)}.
        headline: the splits whose mean counts.
        size_bins: edges of the size bins, in pixels.
    """

    splits: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]
    headline: list[str]
    size_bins: list[float]


class Oracle(NamedTuple):
    """Faces whose blur is known, and the test faces.

    Attributes:
        features: float32 [n, F].
        levels: int [n], larger is blurrier.
        sizes: float32 [n], in pixels.
        tests: {axis: test faces}.
    """

    features: np.ndarray
    levels: np.ndarray
    sizes: np.ndarray
    tests: dict[str, Axis]


def known_levels(sharper: np.ndarray, blurrier: np.ndarray, count: int, levels: int = 3) -> np.ndarray:
    """Returns the level of each of `count` faces, or -1 if the pairs (sharper [m], blurrier [m]) leave several."""
    least, most = np.zeros(count, int), np.full(count, levels - 1)
    for _ in range(levels):
        np.maximum.at(least, blurrier, least[sharper] + 1)
        np.minimum.at(most, sharper, most[blurrier] - 1)
    return np.where(least == most, least, -1)


def replay(oracle: Oracle, picker: str, seed: int, noise: float, counts: Sequence[int]) -> dict[int, dict[str, float]]:
    """Answers max(`counts`) questions; returns {count: {axis: size-matched AUC, "ties": share of ties}}."""
    rng, names = np.random.default_rng(seed), [str(row) for row in range(len(oracle.levels))]
    share = 1.0 if picker == RANDOM else 0.2
    asking = Questions(names, range(len(names)), rng, random_share=share, choose=PICKERS[picker])
    asking.set_sizes(np.arange(len(names)), oracle.sizes.astype(float))
    asking.ranker = Ranker(pairs.reduced(oracle.features))
    state, found = State(), {}
    for number in range(1, max(counts) + 1):
        question = asking.next(state, "")
        assert question is not None
        order = _noisy(int(np.sign(oracle.levels[question.right] - oracle.levels[question.left])), noise, rng)
        fields = question._asdict() | {"left": names[question.left], "right": names[question.right]}
        state.add(Answer(id=f"{number:08x}", annotator="", order=order, ms=0, sure=True, time=str(number), **fields))
        asking.ranker.learn(np.array([question[:2]]), np.array([order]))
        if number in counts:
            found[number] = evaluate(oracle, state)
    return found


def _noisy(order: int, noise: float, rng: np.random.Generator) -> int:
    if rng.random() >= noise:
        return order
    return -order if order else int(rng.choice([-1, 1]))


def evaluate(oracle: Oracle, state: State, strength: float = 1e-4) -> dict[str, float]:
    """Fits a linear ranker to the answers; returns {axis: size-matched AUC, "ties": share of ties}."""
    lines = list(state.lines.current.values())
    rows, order = (
        np.array([(line.left, line.right) for line in lines], int),
        np.array([int(line.order) for line in lines]),
    )
    used, places = np.unique(rows, return_inverse=True)
    places = places.reshape(-1, 2)
    kernel, bias = linear_probe.logistic_ranking(oracle.features[used], places, order, strength=strength)
    aucs = {}
    for axis, test in oracle.tests.items():
        columns = {name: (table @ kernel + bias, ranks, sizes) for name, (table, ranks, sizes) in test.splits.items()}
        found = bootstrap.headlines(columns, test.headline, size_bins=test.size_bins, resamples=1)
        aucs[axis] = float(found["mean"]["auc"][0])
    return aucs | {"ties": float(np.mean(order == 0))}


def open_oracles(config: ConfigDict, far: str) -> dict[str, Oracle]:
    """Prepares both data sets and computes all features."""
    ranked.prepare(config.data)
    extract = features.open_network(DEFAULT).extract
    near = _test(ranked.open_splits(config.data), extract)
    faces = _test(ranked.open_splits(ranked.far_data(config.data, far)), extract)
    labeled = data.open_split(config.data, "labeled", config.data.labeled_split)
    rows, places = data.used_faces(labeled)
    levels = known_levels(*np.where(np.asarray(labeled.labels)[:, None] > 0, places, places[:, ::-1]).T, len(rows))
    known = rows[levels >= 0]
    wider = (extract(labeled.faces.stack(known))[:, :-1], levels[levels >= 0], labeled.faces.sizes[known])
    ((name, columns),) = faces.splits.items()
    table, ranks, sizes = (column[::2] for column in columns)
    other_half = faces._replace(splits={name: tuple(column[1::2] for column in columns)})
    return {
        "wider": Oracle(*wider, {"near": near, "far": faces}),
        "celeba": Oracle(table, ranks.astype(int), sizes, {"near": near, "far": other_half}),
    }


def _test(splits: Mapping[str, data.Split], extract: Callable[[np.ndarray], np.ndarray]) -> Axis:
    columns = {
        name: (extract(split.faces.stack(split.rows))[:, :-1], np.asarray(split.labels), ranked.sizes(split))
        for name, split in splits.items()
    }
    (*_, last) = splits.values()
    return Axis(columns, ranked.headline_names(splits), last.metadata["size_bins"])


_oracles: dict[str, Oracle] = {}  # Sent once to each process.


def _receive(oracles: dict[str, Oracle]) -> None:
    _oracles.update(oracles)


def _replay(cell: Cell, counts: Sequence[int]) -> dict[int, dict[str, float]]:
    oracle, picker, noise, seed = cell
    fewer = [count for count in counts if picker == RANDOM or 2 * count <= max(counts)]
    return replay(_oracles[oracle], picker, seed, noise, fewer)


def run(
    config: ConfigDict, workdir: str, far: str, seeds: int, noise: list[str], counts: list[str], workers: int
) -> None:
    sizes = sorted(map(int, counts))
    oracles = open_oracles(config, far)
    for name, oracle in oracles.items():
        print(f"{name}: {len(oracle.levels)} faces, {np.bincount(oracle.levels).tolist()} of each level", flush=True)
    shares = list(map(float, noise))
    cells = list(itertools.product(oracles, PICKERS, shares, range(seeds)))
    spawn = multiprocessing.get_context("spawn")
    options: dict[str, Any] = {"initializer": _receive, "initargs": (oracles,)}
    with concurrent.futures.ProcessPoolExecutor(workers, mp_context=spawn, **options) as pool:
        found = dict(zip(cells, pool.map(functools.partial(_replay, counts=sizes), cells)))
    publish(workdir, found, sizes, seeds)


def publish(workdir: str, found: Mapping[Cell, dict[int, dict[str, float]]], counts: list[int], seeds: int) -> None:
    os.makedirs(workdir, exist_ok=True)
    values = {" / ".join(map(str, cell)): by_count for cell, by_count in found.items()}
    run_dir.write_atomically(os.path.join(workdir, "active_labeling.json"), json.dumps(values, indent=1) + "\n")
    active_labeling_summary.draw(found, counts).savefig(os.path.join(workdir, "active_labeling.webp"), dpi=110)
    tables.publish(workdir, "active_labeling", active_labeling_summary.tables_of(found, counts), note=f"{seeds} seeds")


if __name__ == "__main__":
    command.define_config("active_labeling")
    command.define_workdir("runs/active_labeling")
    command.define_grid(seeds=8)
    command.define_far(required=True)
    flags.DEFINE_list("noise", ["0", "0.1"], "Shares of wrong answers.")
    flags.DEFINE_list("counts", [str(count) for count in COUNTS], "Numbers of answers after which to evaluate.")
    command.main(run)
