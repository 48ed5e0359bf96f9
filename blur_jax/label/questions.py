"""Decides which pair to show a person next; no files and no server."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from blur_jax.label import pairs
from blur_jax.label.answers import Answer, State
from blur_jax.label.pairs import Ranker

RANDOM_SHARE = 0.2  # Of the questions that the ranker could choose; the honest test of every scorer.
REPEAT_SHARE = 0.05  # Of all questions; they measure how often a person agrees with themselves.
MOST_APPEARANCES = 20  # Of one picture, unless too few other pictures are left.
_REPEAT_AFTER = 10  # Answers between a pair and its repetition.
_CANDIDATES = 1000

Rows = tuple[int, int]  # The rows of the left and the right picture.


class Question(NamedTuple):
    """A pair to show; the fields are those of `answers.Answer`, and pictures are rows."""

    left: int
    right: int
    picker: str
    reason: str = ""
    step: int = 0
    predicted: float | None = None


class Questions:
    """Draws questions for one folder.

    Attributes:
        rows: the pictures that pairs are drawn from.
        ranker: chooses pairs; None until features are known, which leaves random pairs.
    """

    def __init__(
        self,
        names: Sequence[str],
        rows: Sequence[int],
        rng: np.random.Generator,
        *,
        fixed: Sequence[Rows] | None = None,
        random_share: float = RANDOM_SHARE,
        choose: Callable[[Ranker, np.ndarray], int] = pairs.best,
    ) -> None:
        """Prepares questions about n pictures.

        Args:
            names: n picture names.
            rows: the pictures to draw pairs from.
            rng: the source of all draws.
            fixed: the only pairs to ask, in order; None draws pairs.
            random_share: in [0, 1], the share of random pairs once there is a ranker.
            choose: returns which candidate, rows [m, 2], to ask about.
        """
        self._names, self._rng, self._fixed, self._random_share = names, rng, fixed, random_share
        self._choose = choose
        self._row = {name: row for row, name in enumerate(names)}
        self.rows, self._sizes = np.array(rows), np.full(len(names), np.nan)
        self.ranker: Ranker | None = None

    def set_sizes(self, rows: np.ndarray, sizes: np.ndarray) -> None:
        """Sets the face sizes of some rows, in pixels, and leaves out rows of `rows` whose size is NaN."""
        self._sizes[rows] = sizes
        unreadable = rows[np.isnan(sizes)]
        self.rows = self.rows[~np.isin(self.rows, unreadable)]

    def rows_of(self, answer: Answer) -> Rows | None:
        """Returns the rows of an answer's pictures, or None if the folder no longer has one of them."""
        left, right = self._row.get(answer.left), self._row.get(answer.right)
        return None if left is None or right is None else (left, right)

    def next(self, state: State, annotator: str, held: Iterable[Rows] = ()) -> Question | None:
        """Returns the next question for a person, or None if no pair is left.

        `held` are pairs that the page has already been given.
        """
        own = state.of_annotator(annotator)
        asked = {_sorted(rows) for answer in own if (rows := self.rows_of(answer))} | {_sorted(rows) for rows in held}
        if self._fixed is not None:
            rows = next((rows for rows in self._fixed if _sorted(rows) not in asked), None)
            if rows is None:
                return None
            left, right = self._shuffled(rows)
            return Question(left, right, "list")
        if self._rng.random() < REPEAT_SHARE and (repeat := self._repeat(state, own, held)):
            return repeat
        learned = self.ranker is not None and self.ranker.step > 0 and self._rng.random() >= self._random_share
        count = _CANDIDATES if learned else 1
        drawn = pairs.draw(self._rng, self._under_the_cap(state), self._sizes, asked, count)
        if not len(drawn):
            drawn = pairs.draw(self._rng, self.rows, self._sizes, asked, count)
        if not len(drawn):
            return None
        if not learned or self.ranker is None:
            return self._question(drawn[0], "random", "")
        reason = f"doubtful, and teaches more than half of {len(drawn)} pairs"
        return self._question(drawn[self._choose(self.ranker, drawn)], "picked", reason)

    def _question(self, drawn: np.ndarray, picker: str, reason: str) -> Question:
        left, right = self._shuffled((int(drawn[0]), int(drawn[1])))
        if self.ranker is None or not self.ranker.step:
            return Question(left, right, picker, reason)
        predicted = float(self.ranker.probability(np.array([[left, right]]))[0])
        return Question(left, right, picker, reason, self.ranker.step, round(predicted, 6))

    def _repeat(self, state: State, own: Sequence[Answer], held: Iterable[Rows]) -> Question | None:
        """Returns an earlier pair with its sides swapped, at most once for each pair."""
        in_hand, choice = {_sorted(rows) for rows in held}, []
        for answer in own[: max(0, len(own) - _REPEAT_AFTER)]:
            rows = self.rows_of(answer)
            once = len(state.of_pair(answer.annotator, answer.pair)) == 1
            if once and answer.order is not None and rows and _sorted(rows) not in in_hand:
                choice.append((rows[1], rows[0]))
        if not choice:
            return None
        left, right = choice[self._rng.integers(len(choice))]
        return Question(left, right, "repeat", "asked again with its sides swapped")

    def _under_the_cap(self, state: State) -> np.ndarray:
        seen = Counter(name for answer in state.answers.values() for name in (answer.left, answer.right))
        full = [self._row[name] for name, count in seen.items() if count >= MOST_APPEARANCES and name in self._row]
        rows = self.rows[~np.isin(self.rows, full)] if full else self.rows
        return rows if len(rows) >= 2 else self.rows

    def _shuffled(self, rows: Rows) -> Rows:
        return rows if self._rng.random() < 0.5 else (rows[1], rows[0])


def _sorted(rows: Rows) -> Rows:
    return (min(rows), max(rows))
