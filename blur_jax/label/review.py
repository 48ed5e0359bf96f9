"""What the page shows besides pairs: the scorer on the answers, the order so far, and the threshold by eye."""

import datetime
import os
import shlex
from typing import Any

import numpy as np

from blur_jax.data import timestamps
from blur_jax.data.untrusted import excerpt
from blur_jax.label import answers, by_eye, check, photos
from blur_jax.label.answers import Judgment, Undo
from blur_jax.label.features import Table
from blur_jax.label.learning import Learning
from blur_jax.label.session import Answered, Conflict, Session
from blur_jax.metrics import ranked_split
from blur_jax.shipped import is_shipped

_STRIP = 24  # Pictures.
_MISTAKES = 6
_NEAR = 12  # Pictures around the threshold.
_UNKNOWN = "9999"  # A time after that of every answer.


class Review:
    """Answers requests about one session and its background work."""

    def __init__(self, session: Session, learning: Learning) -> None:
        self._session, self._learning = session, learning

    def overview(self) -> dict[str, Any]:
        """Returns what the tab "Scorer" shows, as JSON values."""
        known = self._session.answered()
        foretold = [
            (value, order)
            for value, order, picker in zip(known.predicted, known.order, known.picker)
            if value is not None and picker == "random"
        ]
        found: dict[str, Any] = {
            "scorer": None,
            "strips": [],
            "curve": check.curve([value for value, _ in foretold], [order for _, order in foretold]),
            "hint": "",
            "training": self._learning.training(),  # Before the table: once it is done, the table is the new one.
        }
        table, ranker = self._session.table, self._session.ranker
        if table is not None:
            found["scorer"] = self._scorer(table, known)
            found["strips"].append({"by": table.run, "pictures": self._strip(self._blur(table))})
        if ranker is not None and ranker.step > 0:
            rows = self._session.readable
            row = np.full(len(self._session.photos), -1)
            row[rows] = np.arange(len(rows))
            both = (row[known.pairs] >= 0).all(axis=1)
            correlation = check.settled(ranker.features[rows], row[known.pairs[both]], known.order[both])
            found["hint"] = check.hint(correlation)
            found["strips"].append({"by": "your answers alone", "pictures": self._strip(ranker.scores)})
        return found

    def _scorer(self, table: Table, known: Answered) -> dict[str, Any]:
        blur, folder = self._blur(table), self._session.photos.folder
        trained = table.trained_on == os.path.realpath(folder)
        since = (table.trained_by or _UNKNOWN) if trained else ""
        counts = check.tests(known.pairs, known.picker, known.time, since) & ~np.isnan(blur[known.pairs]).any(axis=1)
        pairs, order = known.pairs[counts], known.order[counts]
        worst = check.disagreements(blur, pairs, order, _MISTAKES)
        output = f"{os.path.basename(os.path.abspath(folder))}_scores.csv"
        return check.to_json(check.agreement(blur, pairs, order)) | {
            "run": table.run,
            "answers": len(known.order),
            "trained": trained,
            "use": shlex.join(
                ["python", "-m", "blur_jax.score", f"--checkpoint={table.run}", folder, f"--output={output}"]
            ),
            "output": output,
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
        if table is None:
            return {"ready": False}
        blur = self._blur(table)
        rows = np.flatnonzero(~np.isnan(blur))
        fit, asked, keep = self._fit(blur)
        following = by_eye.next_picture(blur[rows], asked, keep)
        return (
            fit._asdict()
            | self._line(blur, fit.keep_below)
            | {
                "ready": True,
                "answers": len(asked),
                "least": by_eye.LEAST,
                "enough": by_eye.ENOUGH,
                "last": self._last_judgment(),
                "next": None if following is None else self._shown(int(rows[following]), blur),
                "strip": self._strip(blur),
                "quantiles": np.quantile(blur[rows], np.linspace(0, 1, 101)).round(6).tolist(),
                "run": table.run,
                "fingerprint": table.fingerprint,
            }
        )

    def line(self, keep_below: Any, fingerprint: Any) -> dict[str, Any]:
        """Returns what the tab "Threshold" shows about a line that was moved, as JSON values.

        Raises ValueError if the score is not in [0, 1], and Conflict if the scorer with this fingerprint is not in use.
        """
        return self._line(self._blur(self._table(fingerprint)), _score(keep_below))

    def _table(self, fingerprint: Any) -> Table:
        """Returns the table in use; raises Conflict if the page shows the scores of another scorer."""
        table = self._session.table
        if table is None:
            raise ValueError("the scorer has not read the pictures yet")
        if table.fingerprint != fingerprint:
            raise Conflict(f"the scorer is now {table.run}; look at its threshold first")
        return table

    def _fit(self, blur: np.ndarray) -> tuple[by_eye.Fit, np.ndarray, np.ndarray]:
        """Returns the threshold by eye, and its basis: rows [m] of the scored pictures, and bool answers [m]."""
        rows = np.flatnonzero(~np.isnan(blur))
        place = {row: index for index, row in enumerate(rows.tolist())}
        given = [(place[row], keep) for row, keep in self.judged() if row in place]
        asked = np.array([index for index, _ in given], int)
        keep = np.array([keep for _, keep in given], bool)
        return by_eye.fit(blur[rows], asked, keep), asked, keep

    def _line(self, blur: np.ndarray, keep_below: float) -> dict[str, Any]:
        """Returns the share of the pictures below a score, and the pictures around it, from sharp to blurred."""
        rows = np.flatnonzero(~np.isnan(blur))
        near = rows[np.argsort(np.abs(blur[rows] - keep_below), kind="stable")[:_NEAR]]
        near = near[np.argsort(blur[near], kind="stable")]
        share = float(np.mean(blur[rows] < keep_below))
        return {"share": share, "near": [self._shown(row, blur) for row in near.tolist()]}

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
            self._session.log.append(Undo(of, timestamps.now()))

    def judge(self, *, id: str, annotator: str, row: int, keep: bool, ms: int) -> None:
        """Stores an answer to "good enough to keep?"; an answer with a known id is stored once."""
        name = self._session.photos.photos[row].name
        judgment = Judgment(id=id, annotator=annotator, name=name, keep=keep, ms=ms, time=timestamps.now())
        answers.check(judgment)
        self._session.log.append(judgment)

    def write_threshold(self, keep_below: Any, fingerprint: Any) -> str:
        """Writes the run's threshold: the one found by eye, or a given score; returns a sentence that says so.

        Raises ValueError if there is no scorer, too little is known, or the score is not in [0, 1], and Conflict if the
        scorer with this fingerprint is not in use.
        """
        from blur_jax.runs import threshold  # Imports JAX.

        table, by_hand = self._table(fingerprint), keep_below is not None
        fit, asked, _ = self._fit(self._blur(table))
        count = len(asked)
        if not by_hand and count < by_eye.LEAST:
            raise ValueError(f"judge {by_eye.LEAST} pictures or more, not {count}, or move the line")
        value = fit.keep_below if keep_below is None else _score(keep_below)
        if is_shipped(table.run):  # No file of the package may change.
            return f"To use this threshold, pass --keep-below={value:.4f} to blur_jax.score."
        how = (
            "set by hand in the labeling page"
            if by_hand
            else f"chosen by eye from {count} pictures judged good enough or not; 95% interval {fit.low:.4f} to"
            f" {fit.high:.4f}"
        )
        chosen = threshold.Threshold(
            value,
            f"{how}, for pictures like {self._session.photos.folder}",
            table.fingerprint,
            table.step,
            pictures=0 if by_hand else count,
            date=datetime.date.today().isoformat(),
        )
        path = threshold.write_threshold(table.run, chosen)
        return f"Wrote {path}; scoring and export will use it."


def _score(value: Any) -> float:
    if not isinstance(value, float | int) or isinstance(value, bool) or not 0 <= value <= 1:
        raise ValueError(f"keep_below must be a score from 0 to 1, not {excerpt(value)}")
    return float(value)
