"""Measures how much a scorer responds to content instead of blur, and which groups of people this affects.

The scorer reads equally blurred versions of all faces. Attributes, such as wearing eyeglasses, are used only for
measurement; nothing is trained or chosen on them.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from blur_jax.data.preprocessing import at_resolution
from blur_jax.data.splits import Split
from blur_jax.metrics import bootstrap, content, rank_statistics, ranked_split
from blur_jax.metrics.calibration import logit
from blur_jax.metrics.interval import Interval
from blur_jax.score.scorer import Scorer

SIDES = (20, 32, 45, 64)  # Resolutions that give all faces equal blur, in pixels.
SHOWN = "32"  # The resolution shown in group tables.
DRAWN = (20, 64)  # The range of random resolutions, in pixels.
DRAWS = 8  # Random resolutions per face.
_BLOCK = 100  # Number of resamples of all random versions in memory at a time.
RATE = 0.1  # Share of all faces that the threshold discards.

Reading = Callable[[np.ndarray], np.ndarray]  # uint8 [n, S, S, 3] -> float [n], larger is blurrier.


def read_scores(scorer: Scorer, images: np.ndarray, *, batch_size: int) -> np.ndarray:
    """Returns the logits of a scorer's scores, float64 [n], for images uint8 [n, S, S, 3]: a `Reading` of `measure`."""
    return logit(scorer.score_images(images, batch_size=batch_size).astype(np.float64))


def attributes_of(split: Split) -> dict[str, np.ndarray]:
    """Returns {attribute: mask of the faces in a ranked split that have it, bool [n]}; empty without attributes."""
    return {name: np.isin(split.rows, rows) for name, rows in split.metadata.get("attributes", {}).items()}


def drawn_sides(count: int) -> np.ndarray:
    """Returns random resolutions for `count` faces, int [DRAWS, count], log-uniform in `DRAWN`; deterministic.

    Row k is drawn from the k-th of `DRAWS` equal parts of the range, so all faces get similar sets of resolutions.
    """
    low, high = np.log(DRAWN)
    places = np.random.default_rng(0).uniform(size=(DRAWS, count)) + np.arange(DRAWS)[:, None]
    return np.rint(np.exp(low + (high - low) * places / DRAWS)).astype(int)


def measure(
    read: Reading,
    images: np.ndarray,
    ranks: np.ndarray,
    attributes: Mapping[str, np.ndarray],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Measures readings of faces unmodified, at equal blur, and at random resolutions.

    Faces with fewer pixels than a resolution keep their own blur, so faces should be larger than `SIDES`.

    Args:
        read: returns readings on an unbounded scale, such as the logits of scores.
        images: uint8 [n, S, S, 3].
        ranks: float [n], true blur; `ranked_split.clear_and_blurred` determines which faces are clear.
        attributes: {attribute: mask of the faces that have it, bool [n]}; may be empty.
        resamples: number of bootstrap resamples of the faces.
        seed: resampling seed.

    Returns:
        {"faces": n, "clear": number of clear faces, "content_share": {"20": interval, ...} (`content.content_share`),
        "spearman_drawn": interval of the correlation between readings and random resolutions (1: smaller is blurrier),
        "groups": {attribute: {"clear": number of clear faces with it, "auc": {"20": interval, ...}, the AUC of clear
        faces with it against other clear faces at equal blur (0.5 is fair), "unchanged" and "drawn": {"group",
        "others", "ratio": interval} (`content.Discarded`), for clear faces, unmodified and at random resolutions}}}.
    """
    counts, drawn = bootstrap.draws(len(images), resamples, seed), drawn_sides(len(images))
    unchanged = read(images)
    equal = {str(side): read(_reduced(images, np.full(len(images), side))) for side in SIDES}
    shares = {side: content.content_share(readings, unchanged, counts) for side, readings in equal.items()}
    clear, _ = ranked_split.clear_and_blurred(ranks)
    at_drawn, correlation = _at_drawn(np.stack([read(_reduced(images, row)) for row in drawn]), drawn, counts)
    discards = {"unchanged": content.blurriest(unchanged, RATE, counts), "drawn": at_drawn}
    groups: dict[str, dict[str, Any]] = {}
    for name, group in attributes.items():
        aucs = {
            side: rank_statistics.auc_of_members(readings[clear], group[clear], counts[:, clear])
            for side, readings in equal.items()
        }
        groups[name] = {"clear": int((group & clear).sum()), "auc": _intervals(aucs)}
        for kind, which in discards.items():
            groups[name][kind] = _intervals(content.discarded(which, group, clear, counts)._asdict())
    return {
        "faces": len(images),
        "clear": int(clear.sum()),
        "content_share": _intervals(shares),
        "spearman_drawn": bootstrap.interval(correlation),
        "groups": groups,
    }


def _at_drawn(readings: np.ndarray, drawn: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns each face's share of discarded versions [resamples, n], and the Spearman correlations [resamples].

    The correlations are between readings and smallness. `readings` and `drawn` are [draws, n]; all versions of a face
    are resampled together.
    """
    shares, correlations = [], []
    for start in range(0, len(counts), _BLOCK):
        block = np.tile(counts[start : start + _BLOCK], len(drawn))
        discards = content.blurriest(readings.ravel(), RATE, block)
        shares.append(discards.reshape(len(block), *drawn.shape).mean(axis=1))
        correlations.append(rank_statistics.spearman_of(readings.ravel(), -drawn.ravel(), block))
    return np.concatenate(shares), np.concatenate(correlations)


def _intervals(values: Mapping[str, np.ndarray]) -> dict[str, Interval]:
    return {name: bootstrap.interval(resampled) for name, resampled in values.items()}


def _reduced(images: np.ndarray, sides: np.ndarray) -> np.ndarray:
    return np.stack([at_resolution(image, side) for image, side in zip(images, sides.tolist())])
