"""One folder that is being labeled: joins its pictures, its log, `pairs.csv`, the questions and the ranker.

All methods may be called from several threads.
"""

import os
import statistics
import threading
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from blur_jax.data import timestamps
from blur_jax.label import answers, features, judged, pairs, pairs_table
from blur_jax.label.answers import Answer, Line, Lines, Undo
from blur_jax.label.log import LOG_FILE, Log
from blur_jax.label.photos import Photos
from blur_jax.label.questions import Question, Questions, Rows

_PACE = 20  # The last answers that the pace is computed from.
_LONGEST_PAUSE = 60_000  # Milliseconds; a longer answer was a break.


class Answered(NamedTuple):
    """Answers about pictures that exist, in order: rows [m, 2] (left, right), order [m]; the others as in `Answer`."""

    pairs: np.ndarray
    order: np.ndarray
    predicted: list[float | None]
    picker: list[str]
    time: list[str]


class Conflict(ValueError):
    """An answer does not apply any more: the pair is answered, or a picture has changed."""


class Session:
    """Answers requests about one folder.

    Attributes:
        photos: the pictures.
        pool: the pictures that pairs are drawn from.
        problem: why `pairs.csv` is not up to date; "" if it is.
        learning: returns what the background work is doing; "" if there is none.
        table: what is known about the pictures, once it has been computed.
    """

    def __init__(
        self,
        folder: str,
        rng: np.random.Generator,
        *,
        random_share: float,
        listed: str | None = None,
        blind: bool = False,
    ) -> None:
        """Opens a folder.

        Args:
            folder: the folder.
            rng: the source of all draws.
            random_share: see `Questions`.
            listed: a list of the only pairs to ask, see `judged.read_list`; None draws pairs.
            blind: whether the list is a test: answers are kept beside the list, and `pairs.csv` is not touched.

        Raises the errors of `Photos`, `Log`, `judged.read_list` and `pairs_table.update`.
        """
        self.photos, self.blind = Photos(folder, with_tests=blind), blind
        self.pool = features.pool(self.photos)
        self.table: features.Table | None = None
        self.problem = ""
        self.learning = lambda: ""
        self._lock = threading.RLock()
        self._writing = threading.Lock()
        self._listed = None if listed is None else judged.read_list(listed, self.photos)
        table, log = os.path.join(folder, pairs_table.PAIRS_FILE), os.path.join(folder, LOG_FILE)
        if blind and listed is not None:
            table, log = judged.path_of(listed, ".judged.csv"), judged.path_of(listed, ".answers.jsonl")
        self._table_path = table
        # A table that cannot be read stops this before a log is created.
        self._foreign: list[Line] = [] if blind else pairs_table.read(table)
        self.log = Log(log)
        try:
            self._write_table()
        except BaseException:
            self.log.close()
            raise
        row, names = self.photos.row, [photo.name for photo in self.photos.photos]
        fixed = None if self._listed is None else [(row[pair.left], row[pair.right]) for pair in self._listed]
        rows = [row[photo.name] for photo in self.pool]
        self._questions = Questions(names, rows, rng, fixed=fixed, random_share=random_share)
        self._set_box_sizes()

    @property
    def ranker(self) -> pairs.Ranker | None:
        return self._questions.ranker

    def use(self, table: features.Table) -> None:
        """Starts the ranker on the features of a table, and teaches it all earlier answers."""
        known = [index for index, name in enumerate(table.names) if name in self.photos.row]
        rows = np.array([self.photos.row[table.names[index]] for index in known])
        readable = ~np.isnan(table.sizes[known])
        if np.count_nonzero(readable) < 2:
            return
        components = pairs.reduced(table.features[known][readable])
        all_rows = np.zeros((len(self.photos), components.shape[1]))
        all_rows[rows[readable]] = components
        with self._lock:
            self.table = table
            self._questions.set_sizes(rows, table.sizes[known])
            self._questions.ranker = pairs.Ranker(all_rows)
            self._teach_all()

    def questions(self, annotator: str, held: Iterable[Rows], count: int) -> list[Question]:
        """Returns up to `count` questions for a person, who already holds the pairs `held`."""
        if not answers.is_annotator(annotator):
            raise ValueError("the name must be short, on one line, and without spaces at its ends")
        drawn = []
        with self._lock:
            elsewhere = [(left, right) for left, right, _, name in self._foreign_rows() if name == annotator]
            held = [*held, *elsewhere]
            while len(drawn) < count and (question := self._questions.next(self.log.state, annotator, held)):
                drawn.append(question)
                held.append((question.left, question.right))
        return drawn

    def answer(self, question: Question, *, id: str, annotator: str, order: int | None, ms: int, sure: bool) -> Answer:
        """Stores an answer; it is on disk when this returns. An answer with a known id is stored once.

        Raises:
            Conflict: the person has already answered this pair.
            ValueError: a field is invalid.
            OSError: the answer could not be written and is not stored.
        """
        left, right = (self.photos.photos[row].name for row in (question.left, question.right))
        asked: dict[str, Any] = question._asdict() | {"left": left, "right": right}
        answer = Answer(id=id, annotator=annotator, order=order, ms=ms, sure=sure, time=timestamps.now(), **asked)
        answers.check(answer)
        if self.blind and (order == 0 or not judged.is_judge(annotator)):
            raise ValueError("a test needs an order, if only a guess, and a name that can be a column")
        with self._lock:
            if self.log.state.has(answer):
                return answer
            if len(self.log.state.of_pair(annotator, answer.pair)) >= (2 if answer.picker == "repeat" else 1):
                raise Conflict("this pair is already answered")
            self.log.append(answer)
            self._teach([answer])
        return answer

    def has(self, id: Any) -> bool:
        """Returns whether an answer with this id was stored, even if it was taken back since."""
        with self._lock:
            return isinstance(id, str) and self.log.state.knows(id)

    def undo(self, annotator: str, of: str) -> Question | None:
        """Takes back an answer of a person and returns its question, to be shown again; None if it was not there."""
        with self._lock:
            answer = self.log.state.answers.get(of)
            if answer is None or answer.annotator != annotator:
                return None
            self.log.append(Undo(of, timestamps.now()))
            self._teach_all()
            rows = self._questions.rows_of(answer)
            return rows and Question(*rows, answer.picker, answer.reason, answer.step, answer.predicted)

    def update_table(self) -> None:
        """Brings `pairs.csv` up to date; a failure is stated in `problem` and tried again with the next answer."""
        with self._writing:
            try:
                self._write_table()
                self.problem = ""
            except (OSError, ValueError) as error:
                self.problem = f"{error}; your answers are safe in {os.path.basename(self.log.path)}"

    def _write_table(self) -> None:
        """Writes `pairs.csv` or, in a blind test, the table of judged pairs; raises the errors of `pairs_table`."""
        with self._lock:
            lines = self.log.state.lines
            given = Lines(dict(lines.current), set(lines.ever))
            judgments = judged.complete(self.log.state, self._listed) if self.blind and self._listed else None
        if judgments is not None:
            judged.write(self._table_path, judgments)
        else:
            self._foreign = pairs_table.update(self._table_path, given, self.photos.find)

    def agreement(self) -> str:
        """Says how often all people agree on the listed pairs; "" if there is no list or there are fewer than two."""
        with self._lock:
            return "" if self._listed is None else judged.agreement(judged.complete(self.log.state, self._listed))

    def status(self, annotator: str) -> dict[str, Any]:
        """Returns what the page shows about a person's progress, as JSON values."""
        with self._lock:
            own = self.log.state.of_annotator(annotator)
            same, repeated = answers.own_agreement(self.log.state, annotator)
            names = sorted({answer.annotator for answer in self.log.state.answers.values()})
        given = [answer for answer in own if answer.order is not None]
        return {
            "answers": len(given),
            "ties": sum(answer.order == 0 for answer in given),
            "skipped": len(own) - len(given),
            "others": len(self._foreign),
            "seconds": _pace(given),
            "repeated": [same, repeated],
            "last": own[-1].id if own else None,
            "annotators": [name for name in names if name],
            "pictures": len(self.photos),
            "learning": self.learning(),
            "step": 0 if self.ranker is None else self.ranker.step,
            "problem": self.problem,
            "total": self._listed and len(self._listed),
            "agreement": self.agreement(),
            "blind": self.blind,
        }

    @property
    def readable(self) -> np.ndarray:
        """The rows of the pictures that pairs are drawn from, int [n]; without those that cannot be read."""
        return self._questions.rows

    def answered(self) -> Answered:
        """Returns the answers of all people that are not skips."""
        with self._lock:
            given = list(self.log.state.answers.values())
        found = [
            (rows, answer) for answer in given if answer.order is not None and (rows := self._questions.rows_of(answer))
        ]
        return Answered(
            np.array([rows for rows, _ in found], int).reshape(-1, 2),
            np.array([answer.order for _, answer in found], int),
            *([getattr(answer, field) for _, answer in found] for field in ("predicted", "picker", "time")),
        )

    def count_pairs(self) -> int:
        """Returns the number of lines in `pairs.csv`, once it is up to date."""
        with self._lock:
            return len(self.log.state.lines.current) + len(self._foreign)

    def notes(self) -> list[str]:
        """Returns what a person should know when the folder has been opened, a sentence each."""
        lines = self.photos.sentences()
        if len(self.pool) < len(self.photos):
            lines.append(f"pairs are drawn from a fixed sample of {len(self.pool):,} pictures")
        if self.log.removed:
            lines.append(f"{self.log.path}: removed an incomplete last line, which was never acknowledged")
        if text := self.agreement():
            lines.append(text)
        if self._foreign:
            lines.append(f"{self._table_path}: kept {len(self._foreign):,} lines from elsewhere")
        return lines

    def close(self) -> None:
        self.update_table()
        self.log.close()

    def _set_box_sizes(self) -> None:
        boxed = [(row, min(photo.box[2:])) for row, photo in enumerate(self.photos.photos) if photo.box]
        if boxed:
            rows, sizes = np.array(boxed).T
            self._questions.set_sizes(rows, sizes.astype(float))

    def _teach_all(self) -> None:
        if self.ranker is None:
            return
        self._questions.ranker = pairs.Ranker(self.ranker.features)
        if rows := self._foreign_rows():
            known = np.array([row[:3] for row in rows])
            self.ranker.learn(known[:, :2], known[:, 2])
        self._teach(self.log.state.answers.values())

    def _foreign_rows(self) -> list[tuple[int, int, int, str]]:
        """Returns (left row, right row, order, annotator) of lines from elsewhere, if both pictures exist."""
        found = []
        for line in self._foreign:
            left, right = (self.photos.row.get(self.photos.find(name) or "") for name in (line.left, line.right))
            if left is not None and right is not None:
                found.append((left, right, pairs_table.order_of(line), line.annotator))
        return found

    def _teach(self, given: Iterable[Answer]) -> None:
        """Lets the ranker learn from answers; those about pictures that are gone or unreadable teach nothing."""
        learned = [
            (rows, answer.order)
            for answer in given
            if answer.order is not None and (rows := self._questions.rows_of(answer))
        ]
        if self.ranker is not None and learned:
            rows, orders = zip(*learned)
            self.ranker.learn(np.array(rows), np.array(orders))


def _pace(given: Sequence[Answer]) -> float | None:
    """Returns the median seconds for each of the last answers, without breaks; None if there are none."""
    times = [answer.ms for answer in given[-_PACE:] if answer.ms <= _LONGEST_PAUSE]
    return round(statistics.median(times) / 1000, 1) if times else None
