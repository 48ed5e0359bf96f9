"""What the page shows besides pairs: the scorer on the answers, the order so far, and the threshold by eye."""

import datetime
from typing import Any

import numpy as np

from blur_jax.label import answers, by_eye, check, photos
from blur_jax.label.answers import Judgment, Undo
from blur_jax.label.features import Table
from blur_jax.label.learning import Learning
from blur_jax.label.session import Session, now
from blur_jax.metrics import ranked_split
from blur_jax.shipped import is_shipped

_STRIP = 24  # Pictures.
_MISTAKES = 6
_NEAR = 12  # Pictures around the threshold.


class Review:
    """Answers requests about one session and its background work."""

    def __init__(self, session: Session, learning: Learning) -> None:
        self._session, self._learning = session, learning

    def overview(self) -> dict[str, Any]:
        """Returns what the tab "Scorer" shows, as JSON values."""
        known = self._session.answered(only_random=True)
        ranker, table = self._session.ranker, self._session.table
        learned = ranker is not None and ranker.step > 0
        predicted = [(value, order) for value, order in zip(known.predicted, known.order) if value is not None]
        found: dict[str, Any] = {
            "scorer": None,
            "strip": [],
            "ordered_by": "",
            "curve": check.curve([value for value, _ in predicted], [order for _, order in predicted]),
            "hint": "",
            "training": self._learning.training(),
        }
        if ranker is not None and learned:
            everything = self._session.answered()
            rows = self._session.readable
            row = np.full(len(self._session.photos), -1)
            row[rows] = np.arange(len(rows))
            both = (row[everything.pairs] >= 0).all(axis=1)
            correlation = check.settled(ranker.features[rows], row[everything.pairs[both]], everything.order[both])
            found |= {
                "hint": check.hint(correlation),
                "ordered_by": "your answers",
                "strip": self._strip(ranker.scores),
            }
        if table is not None and table.fingerprint:
            found |= {"ordered_by": self._learning.checkpoint, "strip": self._strip(self._blur(table))}
            found["scorer"] = self._scorer(self._blur(table), known)
        return found

    def _scorer(self, blur: np.ndarray, known: Any) -> dict[str, Any]:
        scored = ~np.isnan(blur[known.pairs]).any(axis=1)
        pairs, order = known.pairs[scored], known.order[scored]
        worst = check.disagreements(blur, pairs, order, _MISTAKES)
        return check.to_json(check.agreement(blur, pairs, order)) | {
            "run": self._learning.checkpoint,
            "use": f"python -m blur_jax.score --checkpoint={self._learning.checkpoint}"
            f" {self._session.photos.folder} --output=scores.csv",
            "disagreements": [
                {
                    "pair": [self._shown(row, blur) for row in pairs[index].tolist()],
                    "order": int(order[index]),
                }
                for index in worst
            ],
        }

    def _strip(self, scores: np.ndarray) -> list[dict[str, Any]]:
        rows = self._session.readable
        rows = rows[~np.isnan(scores[rows])]
        return [self._shown(row, scores) for row in rows[ranked_split.sorted_sample(scores[rows], _STRIP)].tolist()]

    def _blur(self, table: Table) -> np.ndarray:
        """Returns the score of each picture, float64 [pictures], NaN if it is unknown."""
        blur = np.full(len(self._session.photos), np.nan)
        for name, score in zip(table.names, table.blur):
            if name in self._session.photos.row:
                blur[self._session.photos.row[name]] = score
        return blur

    def _shown(self, row: int, scores: np.ndarray) -> dict[str, Any]:
        return photos.to_json(self._session.photos.photos[row]) | {"score": round(float(scores[row]), 4)}

    def threshold(self) -> dict[str, Any]:
        """Returns what the tab "Threshold" shows, as JSON values; "ready" is whether there is a scorer."""
        table = self._session.table
        if table is None or not table.fingerprint:
            return {"ready": False}
        blur = self._blur(table)
        rows = np.flatnonzero(~np.isnan(blur))
        scores, place = blur[rows], {row: index for index, row in enumerate(rows.tolist())}
        given = [(place[row], keep) for row, keep in self.judged() if row in place]
        asked, keep = (np.array([item[part] for item in given]) for part in (0, 1))
        asked, keep = asked.astype(int), keep.astype(bool)
        fit = by_eye.fit(scores, asked, keep)
        following = by_eye.next_picture(scores, asked, keep)
        near = rows[np.argsort(np.abs(scores - fit.keep_below), kind="stable")[:_NEAR]]
        near = near[np.argsort(blur[near], kind="stable")]
        return fit._asdict() | {
            "ready": True,
            "answers": len(given),
            "enough": by_eye.ENOUGH,
            "last": self._last_judgment(),
            "next": None if following is None else self._shown(int(rows[following]), blur),
            "near": [self._shown(row, blur) for row in near.tolist()],
            "strip": self._strip(blur),
            "quantiles": np.quantile(scores, np.linspace(0, 1, 101)).round(6).tolist(),
            "run": self._learning.checkpoint,
        }

    def judged(self) -> list[tuple[int, bool]]:
        """Returns (row, whether it is good enough) of the last judgment of each picture that exists."""
        row = self._session.photos.row
        last = {judgment.name: judgment.keep for judgment in list(self._session.log.state.judgments.values())}
        return [(row[name], keep) for name, keep in last.items() if name in row]

    def _last_judgment(self) -> str | None:
        return next(reversed(list(self._session.log.state.judgments)), None)

    def undo(self, of: str) -> None:
        """Takes back a judgment, unless it was taken back before."""
        if of in self._session.log.state.judgments:
            self._session.log.append(Undo(of, now()))

    def judge(self, *, id: str, annotator: str, row: int, keep: bool, ms: int) -> None:
        """Stores an answer to "good enough to keep?"; an answer with a known id is stored once."""
        name = self._session.photos.photos[row].name
        judgment = Judgment(id=id, annotator=annotator, name=name, keep=keep, ms=ms, time=now())
        answers.check(judgment)
        self._session.log.append(judgment)

    def write_threshold(self, keep_below: float | None) -> str:
        """Writes the run's threshold: the one found by eye, or a given score; returns a sentence that says so.

        Raises ValueError if there is no scorer, too little is known, or the score is not in [0, 1].
        """
        from blur_jax.runs import threshold  # Imports JAX.

        table, found = self._session.table, self.threshold()
        if table is None or not found["ready"] or self._learning.checkpoint is None:
            raise ValueError("there is no scorer yet; train one, or pass --checkpoint")
        count, by_hand = found["answers"], keep_below is not None
        if keep_below is None and not count:
            raise ValueError("no picture was judged; answer a few questions, or move the line")
        value = found["keep_below"] if keep_below is None else keep_below
        if not isinstance(value, float | int) or isinstance(value, bool) or not 0 <= value <= 1:
            raise ValueError(f"keep_below must be a score from 0 to 1, not {value!r}")
        if is_shipped(self._learning.checkpoint):  # No file of the package may change.
            return f"To use this threshold, pass --keep-below={value:.4f} to blur_jax.score."
        how = (
            "set by hand in the labeling page"
            if by_hand
            else f"chosen by eye from {count} pictures judged good enough or not; 95% interval {found['low']:.4f} to"
            f" {found['high']:.4f}"
        )
        chosen = threshold.Threshold(
            float(value),
            f"{how}, for pictures like {self._session.photos.folder}",
            table.fingerprint,
            table.step,
            pictures=0 if by_hand else count,
            date=datetime.date.today().isoformat(),
        )
        path = threshold.write_threshold(self._learning.checkpoint, chosen)
        return f"Wrote {path}; scoring and export will use it."
