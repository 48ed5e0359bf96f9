"""Chooses a scorer's threshold from a user's pictures: scores them, applies a rule and reports the effect."""

import datetime
import os
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from blur_jax.data import picture_lists
from blur_jax.data.csv_tables import read_table
from blur_jax.data.left_out import LeftOut
from blur_jax.data.untrusted import LineError, excerpt
from blur_jax.metrics import calibration
from blur_jax.runs.threshold import Threshold
from blur_jax.score.inputs import Input, located
from blur_jax.score.scorer import Scorer
from blur_jax.threshold import rules

LOSE_GOOD, KEEP_BAD = "lose-good", "keep-bad"


class Example(NamedTuple):
    """A picture, and whether a person judged it good."""

    picture: Input
    good: bool


class Chosen(NamedTuple):
    """A threshold, and lines that describe its effect."""

    threshold: Threshold
    lines: list[str]


def for_discard(scorer: Scorer, pictures: Iterable[Input], rate: float, *, source: str, batch_size: int = 64) -> Chosen:
    """Chooses the threshold that discards a share `rate`, in (0, 1), of the pictures.

    `source` is recorded with the threshold. Raises ValueError if too few pictures can be scored.
    """
    scores, outcome = _scored(scorer, pictures, batch_size)
    blur = scores[~np.isnan(scores)]
    keep_below = _apply(rules.for_discard, blur, rate, outcome)
    discarded = rules.share(blur >= keep_below)
    reason = f"chosen to discard {100 * rate:.3g}% of pictures like {source}, based on {len(blur)} pictures"
    threshold = _threshold(scorer, keep_below, reason, "discard", rate, discarded)
    return Chosen(threshold, [outcome, _meaning(scorer, keep_below), f"discards {discarded}"])


def for_examples(
    scorer: Scorer, examples: Sequence[Example], rule: str, rate: float, *, source: str, batch_size: int = 64
) -> Chosen:
    """Chooses the threshold that loses few good pictures, or keeps few bad ones.

    `LOSE_GOOD` discards as many pictures as possible, but at most a fraction `rate`, in (0, 1), of the good ones;
    `KEEP_BAD` keeps as many pictures as possible, but at most a fraction `rate` of the bad ones. `source` is recorded
    with the threshold. Raises ValueError if too few pictures can be scored.
    """
    scores, outcome = _scored(scorer, (example.picture for example in examples), batch_size)
    good = np.array([example.good for example in examples])
    scored = ~np.isnan(scores)
    good, bad = scores[scored & good], scores[scored & ~good]
    if rule == LOSE_GOOD:
        keep_below, aim = _apply(rules.for_lost_good, good, rate, outcome), f"discard at most {100 * rate:.3g}% of good"
    else:
        keep_below, aim = _apply(rules.for_kept_bad, bad, rate, outcome), f"keep at most {100 * rate:.3g}% of bad"
    shares, lines = {}, [outcome, _meaning(scorer, keep_below)]
    for name, wrong, effect in (
        (LOSE_GOOD, good >= keep_below, "good pictures discarded:"),
        (KEEP_BAD, bad < keep_below, "bad pictures kept:"),
    ):
        if len(wrong):
            shares[name] = rules.share(wrong)
            lines.append(f"{effect} {shares[name]}")
    if len(good) and len(bad) and np.mean(bad >= keep_below) <= np.mean(good >= keep_below):
        lines.append("bad pictures are not discarded more often than good ones: blur does not tell them apart")
    reason = f"chosen to {aim} pictures, based on {len(good)} good and {len(bad)} bad examples in {source}"
    return Chosen(_threshold(scorer, keep_below, reason, rule, rate, shares[rule]), lines)


def read_examples(path: str | os.PathLike, left_out: LeftOut | None = None) -> list[Example]:
    """Reads a CSV file of pictures that a person has judged.

    Its columns are name (a path relative to the file's folder), label (good or bad) and, for faces in larger pictures,
    x, y, width and height of the face in pixels; other columns are counted in `left_out`. Raises ValueError with the
    line number if a line is invalid.
    """
    path, examples, places = os.fspath(path), [], {}
    with open(path, "rb") as file:
        required, optional = ("name", "label"), picture_lists.BOX_COLUMNS
        for place, fields in read_table(file, path, required, optional, left_out=left_out):
            row, label = picture_lists.parse_row(place, fields), (fields["label"] or "").strip().lower()
            if label not in ("good", "bad"):
                raise LineError(place, f"the label must be good or bad, found {excerpt(fields['label'])}")
            picture = Input(located(os.path.dirname(path), row.name), row.box)
            key = (os.path.normpath(picture.name), row.box)
            if key in places:
                raise LineError(place, f"{excerpt(row.name)} is already in {places[key]}; remove one of the two lines")
            places[key] = place
            examples.append(Example(picture, label == "good"))
    if not examples:
        raise ValueError(f"{path}: no pictures listed; add lines such as photo.jpg,good")
    return examples


def _scored(scorer: Scorer, pictures: Iterable[Input], batch_size: int) -> tuple[np.ndarray, str]:
    """Returns the scores, float64 [n], NaN for each failure, and a line that counts the failures."""
    scores, failed = [], []
    for picture, scored in scorer.score_each(pictures, batch_size=batch_size):
        scores.append(np.nan if scored.error else scored.blur)
        if scored.error:
            failed.append(f"{picture.name}: {scored.error}")
    line = f"scored {len(scores) - len(failed):,} of {len(scores):,} pictures"
    line += f"; {len(failed):,} could not be scored, for example {failed[0]}" if failed else ""
    return np.array(scores, np.float64), line


def _apply(rule: Callable[[np.ndarray, float], float], scores: np.ndarray, rate: float, outcome: str) -> float:
    try:
        return rule(scores, rate)
    except ValueError as error:  # Scoring failures may leave too few scores.
        raise ValueError(f"{outcome}: {error}") from error


def _meaning(scorer: Scorer, keep_below: float) -> str:
    columns = calibration.to_columns(np.array([keep_below]), scorer.calibration)
    text = f"keep pictures with blur below {keep_below:.4f} (sharpness above {columns['sharpness'][0]:.2f}"
    if scorer.calibration is not None:
        text += f", percentile below {columns['blur_percentile'][0]:.1f} among {scorer.calibration.reference}"
    return text + ")"


def _threshold(
    scorer: Scorer, keep_below: float, source: str, rule: str, target: float, reached: rules.Share
) -> Threshold:
    interval, date = (reached.low, reached.high), datetime.date.today().isoformat()
    return Threshold(keep_below, source, scorer.fingerprint, scorer.step, rule, target, reached.total, interval, date)
