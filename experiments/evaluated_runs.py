"""Reads the scores of runs that `launch.py` has evaluated."""

import csv
import os
from collections.abc import Mapping, Sequence

import numpy as np

from blur_jax.data import splits
from blur_jax.data.names import normalize
from blur_jax.evaluate.evaluation import SCORES_FILE


def parse(texts: Sequence[str], flag: str = "--run", form: str = "PATH") -> dict[str, str]:
    """Parses NAME=PATH strings, or another form; raises ValueError for invalid strings and duplicate names."""
    pairs = [text.partition("=")[::2] for text in texts]
    if not all(name and path for name, path in pairs) or len(dict(pairs)) < len(pairs):
        raise ValueError(f"{flag} must be NAME={form} with a unique name")
    return dict(pairs)


def read(path: str, tests: Mapping[str, splits.Split]) -> dict[str, np.ndarray]:
    """Returns a run's scores for the faces in `tests`, in order; raises ValueError if it scored different faces."""
    file = os.path.join(path, SCORES_FILE)
    if not os.path.exists(file):
        raise ValueError(f"{file} does not exist; run launch.py --mode=evaluate --workdir={path} first")
    with open(file, encoding="utf-8", newline="") as stream:
        rows = {(row["split"], row["name"]): row for row in csv.DictReader(stream)}
    labels = {name: zip(split.names.tolist(), np.asarray(split.labels)) for name, split in tests.items()}
    ranks = {(name, face): rank for name, ranked_faces in labels.items() for face, rank in ranked_faces}
    different = sorted(rows.keys() ^ ranks.keys())
    different = different or [key for key, rank in ranks.items() if np.float32(rows[key]["rank"]) != rank]
    if different:
        raise ValueError(
            f"{file} was made from different lists: {len(different)} of {len(ranks)} test faces are missing from one of"
            f" them or have a different rank, such as {' '.join(different[0])}; evaluate the run on --config.data"
        )
    return {
        name: np.array([float(rows[name, face]["blur"]) for face in split.names.tolist()])
        for name, split in tests.items()
    }


def by_name(scores: Mapping[str, np.ndarray], tests: Mapping[str, splits.Split]) -> dict[str, float]:
    """Returns {normalized face name: score} from {split: scores [n]} for ranked splits."""
    found = {}
    for name, split in tests.items():
        found |= zip(map(normalize, split.names.tolist()), scores[name].tolist())
    return found
