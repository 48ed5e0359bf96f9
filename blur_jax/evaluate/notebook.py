"""Functions that keep the cells of notebooks/analyze_checkpoint.ipynb short."""

import dataclasses
import itertools
import os
import sys
from collections.abc import Sequence

import ml_collections
import numpy as np

from blur_jax.data import splits as data
from blur_jax.data.preprocessing import Box
from blur_jax.evaluate import figures, report
from blur_jax.metrics import calibration
from blur_jax.metrics.labeled_pairs import LabeledPairs
from blur_jax.metrics.ranked_split import Evaluation
from blur_jax.score.inputs import Inputs
from blur_jax.score.scorer import Scorer
from blur_jax.threshold import rules


@dataclasses.dataclass(frozen=True, eq=False)
class ScoredPictures:
    """The n user pictures that were scored."""

    names: list[str]  # Paths.
    boxes: list[Box | None]  # (x, y, width, height); None means the whole picture.
    images: np.ndarray  # uint8 [n, S, S, 3], as the network sees them.
    blur: np.ndarray  # float32 [n], in [0, 1], larger is blurrier.
    failed: dict[str, str]  # {path: reason} for the pictures that could not be scored.


def data_missing(config: ml_collections.ConfigDict) -> str | None:
    """Returns a sentence saying why the data in a run's `config.data` cannot be read here, or None if they can."""
    try:
        data.split_names(config, "labeled")
    except (FileNotFoundError, ValueError) as error:
        return f"This run's data are not on this machine, so this part is skipped ({error})."


def metrics_text(splits: Sequence[Evaluation], pairs: LabeledPairs | None) -> str:
    metrics = {split.split: split.metrics for split in splits}
    return "\n".join(report.summary_lines(metrics, None if pairs is None else pairs.metrics))


def collect_pictures(folder: str | None, upload_to: str = "uploads") -> str | None:
    """Returns `folder` or, without one, asks for an upload to `upload_to` on Colab; None if there are no pictures."""
    if folder:
        return folder
    if "google.colab" not in sys.modules:
        return None
    from google.colab import files  # ty: ignore[import-not-found]

    uploaded = files.upload()
    os.makedirs(upload_to, exist_ok=True)
    for name, content in uploaded.items():
        with open(os.path.join(upload_to, os.path.basename(name)), "wb") as file:
            file.write(content)
    return upload_to if uploaded else None


def score_pictures(scorer: Scorer, path: str | None, most: int = 2000) -> ScoredPictures:
    """Scores the first `most` pictures of a folder (or any PATH for `python -m blur_jax.score`).

    Scores nothing if `path` is None.
    """
    results = list(scorer.score_each(itertools.islice(Inputs([path]), most) if path else []))
    failed = {picture.name: scored.error for picture, scored in results if scored.error is not None}
    good = [(*picture, scorer.prepare(*picture), scored.blur) for picture, scored in results if scored.error is None]
    names, boxes, images, blur = map(list, zip(*good)) if good else ([], [], [], [])
    side = scorer.preprocessing.image_size
    images = np.array(images, np.uint8).reshape(-1, side, side, 3)
    return ScoredPictures(names, boxes, images, np.array(blur, np.float32), failed)


def table_text(scorer: Scorer, pictures: ScoredPictures, keep_below: float | None = None, most: int = 50) -> str:
    """Returns a table of pictures, sharpest first, with all score columns, followed by the failures.

    `keep_below` is a threshold; None means the run's own. `most` limits the number of rows of each kind.
    """
    if not pictures.names and not pictures.failed:
        return "There are no pictures to show."
    columns = _columns(scorer, pictures.blur, keep_below)
    lines = ["  ".join([*(_cell(name, name) for name in columns), "name"])]
    for index in np.argsort(pictures.blur, kind="stable")[:most]:
        cells = [_cell(name, values[index]) for name, values in columns.items()]
        lines.append("  ".join([*cells, pictures.names[index]]))
    if len(pictures.names) > most:
        lines.append(f"... {len(pictures.names) - most} more")
    lines += [f"not scored: {name}: {reason}" for name, reason in list(pictures.failed.items())[:most]]
    return "\n".join(lines)


def _columns(scorer: Scorer, blur: np.ndarray, keep_below: float | None) -> dict[str, np.ndarray]:
    """Returns `Scorer.columns`, without "keep" if the run's threshold is for a different checkpoint."""
    try:
        return scorer.columns(blur, keep_below=keep_below)
    except ValueError:
        return calibration.to_columns(blur, scorer.calibration)


def choose_threshold(blur: np.ndarray, discard: float) -> tuple[float | None, str]:
    """Returns (the threshold that discards a share of scores [n], or None; a sentence about it)."""
    try:
        keep_below = rules.for_discard(blur, discard)
    except ValueError as error:
        return None, f"No threshold: {error}."
    share = rules.share(blur >= keep_below)
    return keep_below, f"Keep pictures below {keep_below:.4f}, which discards {share}."


def notes(scorer: Scorer, pictures: ScoredPictures, keep_below: float | None = None) -> Sequence[str]:
    """Returns the text below each picture: "keep" or "discard" if the run has a threshold, else its file name."""
    columns = _columns(scorer, pictures.blur, keep_below)
    return list(columns["keep"]) if "keep" in columns else [os.path.basename(name) for name in pictures.names]


def compare(
    first: Scorer, second: Scorer, names: tuple[str, str], pictures: ScoredPictures, splits: Sequence[Evaluation]
) -> tuple[str, list[figures.Figure]]:
    """Compares two checkpoints on the same pictures; `pictures` and `splits` contain the scores of `first`.

    It uses the user's pictures if there are at least two, or otherwise the test faces if both scorers prepare pictures
    the same way.
    Returns (text; a figure of the scores and, if both checkpoints are calibrated, a figure of the percentiles).
    """
    if len(pictures.names) > 1:
        others = [scored for _, scored in second.score_each(zip(pictures.names, pictures.boxes))]
        both = np.array([other.error is None for other in others])  # A different protocol may reject a picture.
        blur = pictures.blur[both], np.array([other.blur for other in others if other.error is None], np.float32)
    elif splits and first.preprocessing == second.preprocessing:
        scores = [(split.scores, second.score_images(split.images)) for split in splits]
        blur = tuple(map(np.concatenate, zip(*scores)))
    else:
        missing = "There are no pictures to compare the checkpoints on"
        return f"{missing}: supply at least two, or prepare the first run's data.", []
    columns = [calibration.to_columns(scores, scorer.calibration) for scores, scorer in zip(blur, (first, second))]
    lines, drawn = [], []
    for column in ("blur", "blur_percentile"):
        if all(column in values for values in columns):
            values = [values[column] for values in columns]
            lines.append(f"{column}: the checkpoints differ by {np.abs(values[0] - values[1]).mean():.3f} on average")
            drawn.append(figures.two_scorers(*values, names, column))
    return "\n".join(lines), drawn


def _cell(column: str, value: float | str) -> str:
    if not isinstance(value, str):
        value = f"{value:.{1 if column in ('sharpness', 'blur_percentile') else 3}f}"
    return f"{value:>{max(len(column), 7)}}"
