"""The entries of the answer log, and the state that they add up to; no files."""

import collections
import dataclasses
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from blur_jax.data.untrusted import excerpt

PICKERS = ("random", "picked", "repeat", "list")
LONGEST_ANNOTATOR = 60  # Characters.
_LONGEST_NAME = 4096  # Characters.
_ID = re.compile(r"[0-9a-f]{8,64}")
_MOST_MS = 10**9

Pair = frozenset[str]  # The names of two pictures.


class Line(NamedTuple):
    """A line of `pairs.csv`."""

    left: str
    right: str
    order: str
    annotator: str
    time: str


class Lines(NamedTuple):
    """What a log gives to `pairs.csv`.

    Attributes:
        current: {(annotator, pair): the line that it gives}; a skipped pair gives none.
        ever: every line that the log has given at some time, so that it is recognized in an older `pairs.csv`.
    """

    current: dict[tuple[str, Pair], Line]
    ever: set[Line]


@dataclasses.dataclass(frozen=True)
class Answer:
    """A comparison of two pictures by one person.

    Attributes:
        id: hex digits that the page draws for each question, so that an answer that is sent twice counts once.
        annotator: the person; may be "".
        left: the picture shown on the left.
        right: the picture shown on the right.
        order: 1 if the right picture is blurrier, -1 if the left one is, 0 for "can't tell"; None if it was skipped.
        ms: milliseconds from showing the pair to the answer.
        picker: who chose the pair; one of `PICKERS`.
        reason: why the pair was chosen, as text.
        step: the number of answers that the ranker had learned from when it chose the pair.
        predicted: the probability, in [0, 1], that the right picture is blurrier, before this answer was learned from;
            None without a ranker.
        sure: False for a guess.
        time: when the answer was stored, ISO 8601 with milliseconds, UTC.
    """

    id: str
    annotator: str
    left: str
    right: str
    order: int | None
    ms: int
    picker: str
    reason: str
    step: int
    predicted: float | None
    sure: bool
    time: str

    @property
    def pair(self) -> Pair:
        return frozenset((self.left, self.right))


@dataclasses.dataclass(frozen=True)
class Undo:
    """Takes back the answer with the id `of`."""

    of: str
    time: str


@dataclasses.dataclass(frozen=True)
class Judgment:
    """One person's answer to "good enough to keep?" about the picture `name`; other fields are those of `Answer`."""

    id: str
    annotator: str
    name: str
    keep: bool
    ms: int
    time: str


Entry = Answer | Undo | Judgment


def to_json(entry: Entry) -> dict[str, Any]:
    return {"entry": type(entry).__name__.lower()} | dataclasses.asdict(entry)


def from_json(fields: Any) -> Entry:
    """Reverses `to_json`; raises ValueError for anything else."""
    kinds = {"answer": Answer, "undo": Undo, "judgment": Judgment}
    kind = kinds.get(fields.get("entry")) if isinstance(fields, dict) else None
    if kind is None:
        raise ValueError(f"an entry must be one of {', '.join(kinds)}, not {excerpt(fields)}")
    expected = {field.name for field in dataclasses.fields(kind)}
    if fields.keys() - {"entry"} != expected:
        raise ValueError(f"the entry must have the fields {sorted(expected)}, found {excerpt(sorted(fields))}")
    entry = kind(**{name: fields[name] for name in expected})
    check(entry)
    return entry


def check(entry: Entry) -> None:
    """Raises ValueError if a field of an entry has a value that it must not have."""
    if isinstance(entry, Undo):
        _require(_is_text(entry.of, 64) and bool(_ID.fullmatch(entry.of)), "of", entry.of, "8 to 64 hex digits")
        return
    _require(_is_text(entry.id, 64) and bool(_ID.fullmatch(entry.id)), "id", entry.id, "8 to 64 hex digits")
    annotator = "a name without leading or trailing spaces"
    _require(is_annotator(entry.annotator), "annotator", entry.annotator, annotator)
    _require(_is_int(entry.ms, 0, _MOST_MS), "ms", entry.ms, "a whole number of milliseconds")
    if isinstance(entry, Judgment):
        _require(_is_text(entry.name, _LONGEST_NAME) and bool(entry.name), "name", entry.name, "a picture's name")
        _require(isinstance(entry.keep, bool), "keep", entry.keep, "true or false")
        return
    for side in ("left", "right"):
        name = getattr(entry, side)
        _require(_is_text(name, _LONGEST_NAME) and bool(name), side, name, "a picture's name")
    _require(entry.left != entry.right, "right", entry.right, "a different picture than the left one")
    _require(entry.order is None or _is_int(entry.order, -1, 1), "order", entry.order, "1, -1, 0 or null")
    _require(entry.picker in PICKERS, "picker", entry.picker, f"one of {', '.join(PICKERS)}")
    _require(_is_text(entry.reason, 200), "reason", entry.reason, "at most 200 characters")
    _require(_is_int(entry.step, 0, _MOST_MS), "step", entry.step, "a whole number, 0 or more")
    _require(isinstance(entry.sure, bool), "sure", entry.sure, "true or false")
    predicted = entry.predicted
    number = isinstance(predicted, (int, float)) and not isinstance(predicted, bool) and 0 <= predicted <= 1
    _require(predicted is None or number, "predicted", predicted, "a number from 0 to 1, or null")


def is_annotator(name: Any) -> bool:
    """Returns whether a person's name survives a round trip through `pairs.csv`; "" does."""
    return _is_text(name, LONGEST_ANNOTATOR) and name == name.strip() and (not name or name.isprintable())


def _is_text(value: Any, longest: int) -> bool:
    return isinstance(value, str) and len(value) <= longest


def _is_int(value: Any, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def _require(valid: bool, field: str, value: Any, expected: str) -> None:
    if not valid:
        raise ValueError(f"{field} must be {expected}, found {excerpt(value)}")


class State:
    """What the entries of a log add up to.

    Attributes:
        answers: {id: answer}, every answer that was not taken back, in order.
        judgments: {id: judgment}, likewise.
        lines: what they give to `pairs.csv`.
    """

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self.answers: dict[str, Answer] = {}
        self.judgments: dict[str, Judgment] = {}
        self.lines = Lines({}, set())
        self._of_key: dict[tuple[str, Pair], list[Answer]] = collections.defaultdict(list)
        self._undone: set[str] = set()
        for entry in entries:
            self.add(entry)

    def has(self, entry: Entry) -> bool:
        """Returns whether adding an entry would change nothing, because it was added before."""
        if isinstance(entry, Undo):
            return entry.of in self._undone
        return self.knows(entry.id)

    def knows(self, id: str) -> bool:
        """Returns whether an answer with this id was added, even if it was taken back since."""
        return id in self.answers or id in self.judgments or id in self._undone

    def check_undo(self, undo: Undo) -> None:
        """Raises ValueError if there is nothing that an entry could take back."""
        if not self.knows(undo.of):
            raise ValueError(f"there is no answer {undo.of} to take back")

    def add(self, entry: Entry) -> None:
        """Adds an entry; raises ValueError if it takes back an answer that does not exist."""
        if self.has(entry):
            return
        if isinstance(entry, Judgment):
            self.judgments[entry.id] = entry
            return
        if isinstance(entry, Undo):
            self.check_undo(entry)
            self._undone.add(entry.of)
            if self.judgments.pop(entry.of, None):
                return
            answer = self.answers.pop(entry.of)
            self._of_key[answer.annotator, answer.pair].remove(answer)
        else:
            answer = self.answers[entry.id] = entry
            self._of_key[answer.annotator, answer.pair].append(answer)
        self._derive(answer.annotator, answer.pair)

    def of_pair(self, annotator: str, pair: Pair) -> list[Answer]:
        """Returns a person's answers about a pair, skips included, in order."""
        return self._of_key.get((annotator, pair), [])

    def of_annotator(self, annotator: str) -> list[Answer]:
        return [answer for answer in self.answers.values() if answer.annotator == annotator]

    def _derive(self, annotator: str, pair: Pair) -> None:
        """Updates the line of a pair: a person's most frequent order, or a tie if the top two are equally frequent."""
        answers = [answer for answer in self._of_key[annotator, pair] if answer.order is not None]
        if not answers:
            self.lines.current.pop((annotator, pair), None)
            return
        left, right = answers[0].left, answers[0].right
        orders = collections.Counter(order_from(left, answer) for answer in answers)
        (order, most), *others = orders.most_common()
        tied = bool(others) and others[0][1] == most
        line = Line(left, right, str(0 if tied else order), annotator, answers[-1].time)
        self.lines.current[annotator, pair] = line
        self.lines.ever.add(line)


def order_from(left: str, answer: Answer) -> int:
    """Returns the order of an answer with an order, as if the picture `left` had been on the left."""
    assert answer.order is not None
    return answer.order if answer.left == left else -answer.order


def own_agreement(state: State, annotator: str) -> tuple[int, int]:
    """Returns (how often a person gave a repeated pair the same order as the first time, repeated pairs).

    Only pairs that had an order both times count, because "can't tell" agrees with neither.
    """
    same = total = 0
    for answer in state.of_annotator(annotator):
        if answer.picker != "repeat" or not answer.order:
            continue
        first = state.of_pair(annotator, answer.pair)[0]
        if first is not answer and first.order:
            same += order_from(first.left, answer) == first.order
            total += 1
    return same, total
