"""Measures what finding faces costs: AUC with found boxes against annotators' boxes, and the share of faces found.

    python -m experiments.faces --checkpoint=RUN --lists=LISTS --workdir=runs/faces

LISTS contains the paper's release or lists in its format (docs/data.md); the faces are those of its tests. Nothing is
trained or chosen. Writes `faces.md` (the tables) to the workdir. If the pictures in LISTS are crops with some context
around each face, as in WIDER FACE crops, large photographs may give different results. False findings are not counted,
because the pictures may show faces that nobody has annotated.

A face counts as found if a found box has an intersection over union of at least 0.5 with the annotator's box, enlarged
to a square in the same way (`face_boxes.squared`).
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from absl import flags
from scipy.stats import spearmanr
from tqdm import tqdm

from blur_jax.data import face_boxes, pictures
from blur_jax.data.face_boxes import Face
from blur_jax.data.preprocessing import Box
from blur_jax.metrics import bootstrap
from blur_jax.metrics.interval import interval_text
from blur_jax.score.scorer import Scorer, load_scorer
from experiments import command, tables
from tfds_builders.problems import ReleaseError
from tfds_builders.ssranking_face_blur import lists
from tfds_builders.ssranking_face_blur.builder import SIZE_BINS

_LEAST_OVERLAP = 0.5
_RECALL_EDGES = (32, 40, 48, 64, 96, 200)  # In pixels.
_COLUMNS = ["faces", "number", "annotators' boxes", "found boxes", "found minus annotators'", "Spearman", "mean shift"]


class Search(NamedTuple):
    """What was found of n annotated faces: int [n] split numbers, ranks, shorter sides in pixels, n paths and boxes.

    `found` contains a box for each face, or None; `seconds` is the time for each picture, without decoding.
    """

    splits: np.ndarray
    ranks: np.ndarray
    sizes: np.ndarray
    paths: list[Path]
    boxes: list[Box]
    found: list[Box | None]
    seconds: np.ndarray


def same_face(found: Sequence[Face], box: Box, size: tuple[int, int]) -> Box | None:
    """Returns the found box that overlaps an annotator's box most in a picture of `size`, or None if none does enough.

    An annotator's box that is too small for `face_boxes.squared` matches nothing.
    """
    wanted = face_boxes.squared(np.array([[*box, 1.0]]), size)
    overlaps = {face.box: overlap(face.box, wanted[0].box) for face in found if wanted}
    best = max(overlaps, key=lambda other: overlaps[other], default=None)
    return best if best is not None and overlaps[best] >= _LEAST_OVERLAP else None


def overlap(first: Box, second: Box) -> float:
    """Returns the intersection over union of two boxes, in [0, 1]."""
    shared = 1
    for axis in (0, 1):
        ends = (box[axis] + box[axis + 2] for box in (first, second))
        shared *= max(0, min(ends) - max(first[axis], second[axis]))
    return shared / (first[2] * first[3] + second[2] * second[3] - shared)


def search(folder: str) -> Search:
    """Finds the faces in the test pictures of a release; raises ReleaseError if its lists have problems."""
    release = lists.read_release(folder)
    if problems := release.problems + lists.lacking(release, "ranked"):
        raise ReleaseError(release.root, problems)
    tests = [release.entries[file] for file in lists.TESTS.values() if file in release.entries]
    entries = [(split, entry) for split, entries in enumerate(tests) for entry in entries]
    boxes = [release.crop(entry.name).box for _, entry in entries]
    paths = [release.root / release.picture(entry.name) for _, entry in entries]
    face_boxes.check()
    found, seconds = [], []
    for path, box in zip(tqdm(paths, desc="finding faces", unit="picture", disable=None, leave=False), boxes):
        image = pictures.read_image(path)
        start = time.perf_counter()
        faces = face_boxes.find(image)
        seconds.append(time.perf_counter() - start)
        found.append(same_face(faces, box, image.size))
    splits, ranks = np.array([split for split, _ in entries]), np.array([entry.rank for _, entry in entries])
    return Search(splits, ranks, np.array([min(box[2:]) for box in boxes]), paths, boxes, found, np.array(seconds))


def compare(searched: Search, supplied: np.ndarray, found: np.ndarray, *, resamples: int) -> list[list[str]]:
    """Returns the rows of a table with `_COLUMNS`.

    Args:
        searched: n faces.
        supplied: float [n], scores with the annotators' boxes.
        found: float [n], scores with the found boxes; NaN if a face was not found.
        resamples: number of bootstrap resamples.
    """
    is_found = ~np.isnan(found)
    correlation = float(spearmanr(supplied[is_found], found[is_found])[0])
    shift = float(np.mean(found[is_found] - supplied[is_found]))
    blurriest = np.where(is_found, found, 2.0)
    groups = {
        "found": (is_found, found, f"{correlation:.3f}", f"{shift:+.3f}"),
        "all; those not found count as the blurriest": (np.full(len(found), True), blurriest, "", ""),
    }
    rows = []
    for name, (chosen, scores, *described) in groups.items():
        theirs, ours = (_auc(searched, values, chosen, resamples) for values in (supplied, scores))
        cells = [interval_text(bootstrap.interval(values)) for values in (theirs, ours, ours - theirs)]
        rows.append([name, f"{chosen.sum():,}", *cells, *described])
    return rows


def _auc(searched: Search, scores: np.ndarray, chosen: np.ndarray, resamples: int) -> np.ndarray:
    """Returns the size-matched AUC of the chosen faces, averaged over splits, float64 [1 + resamples]."""
    columns = {}
    for split in np.unique(searched.splits):
        members = chosen & (searched.splits == split)
        columns[str(split)] = (scores[members], searched.ranks[members], searched.sizes[members])
    return bootstrap.headlines(columns, size_bins=SIZE_BINS, resamples=resamples)["mean"]["auc"]


def recall(searched: Search) -> tuple[list[str], list[list[str]]]:
    """Returns the header and rows of a table: the share of faces that were found, by size and by rank, with counts."""
    is_found = np.array([box is not None for box in searched.found])
    bins = np.searchsorted(_RECALL_EDGES, searched.sizes, side="right")
    names = [f"below {_RECALL_EDGES[0]}", *(f"{low}-{high}" for low, high in zip(_RECALL_EDGES, _RECALL_EDGES[1:]))]
    names.append(f"{_RECALL_EDGES[-1]} and more")
    sizes = {name: bins == index for index, name in enumerate(names) if np.any(bins == index)}
    levels = {f"rank {rank:g}": searched.ranks == rank for rank in np.unique(searched.ranks)}
    everything = {"all": np.full(len(bins), True)}

    def cell(members: np.ndarray) -> str:
        return f"{is_found[members].mean():.3f} ({members.sum():,})" if members.any() else ""

    rows = [
        [name, *(cell(of_size & of_level) for of_level in (levels | everything).values())]
        for name, of_size in (sizes | everything).items()
    ]
    return ["shorter side in pixels", *levels, "all"], rows


def score(scorer: Scorer, searched: Search) -> tuple[np.ndarray, np.ndarray]:
    """Returns `compare`'s scores with annotators' boxes and with found boxes."""
    supplied, found = scorer.score(searched.paths, boxes=searched.boxes), np.full(len(searched.paths), np.nan)
    indices = [index for index, box in enumerate(searched.found) if box is not None]
    boxes = [searched.found[index] for index in indices]
    found[indices] = scorer.score([searched.paths[index] for index in indices], boxes=boxes)
    return supplied, found


def run(checkpoint: str, lists: str, resamples: int, workdir: str) -> None:
    scorer = load_scorer(checkpoint)
    searched = search(lists)
    rows = compare(searched, *score(scorer, searched), resamples=resamples)
    published: dict[str, Any] = {
        "Size-matched AUC, mean over the tests": tables.markdown(_COLUMNS, rows),
        "Share of faces that are found, and number of faces": tables.markdown(*recall(searched)),
    }
    note = f"median time to find the faces in a picture, without decoding: {1e3 * np.median(searched.seconds):.0f} ms"
    tables.publish(workdir, "faces", published, note=note)


if __name__ == "__main__":
    flags.DEFINE_string("checkpoint", None, "A trained run, or one of its checkpoints.", required=True)
    flags.DEFINE_string("lists", None, "A folder with the paper's lists and the photographs.", required=True)
    flags.DEFINE_integer("resamples", 1000, "Number of bootstrap resamples.", lower_bound=1)
    command.define_workdir("runs/faces")
    command.main(run)
