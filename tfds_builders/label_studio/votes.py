"""Keeps only the latest answer from each annotator for each pair."""

import datetime
import math
from collections.abc import Iterable
from typing import NamedTuple

from blur_jax.data.untrusted import excerpt


class Vote(NamedTuple):
    """A row of `pairs.csv`, and the task it comes from."""

    left: str
    right: str
    order: int
    annotator: str
    time: str
    task: str


def latest(votes: Iterable[Vote]) -> list[Vote]:
    """Returns the votes, without those for pairs that the same annotator compared again later.

    Raises:
        ValueError: an annotator gave a pair different orders, and the times do not show which is the latest.
    """
    votes_of: dict[tuple[str, frozenset[str]], list[Vote]] = {}
    for vote in votes:
        votes_of.setdefault((vote.annotator, frozenset((vote.left, vote.right))), []).append(vote)
    return [_latest(same) for same in votes_of.values()]


def _latest(votes: list[Vote]) -> Vote:
    times = [_seconds(vote.time) for vote in votes]
    last = max(times)
    candidates = votes if -math.inf in times else [vote for vote, time in zip(votes, times) if time == last]
    orders = {vote.order if vote.left < vote.right else -vote.order for vote in candidates}
    if len(orders) > 1:
        vote = candidates[-1]
        tasks = ", ".join(sorted({vote.task for vote in candidates}))
        raise ValueError(
            f"{tasks}: annotator {excerpt(vote.annotator)} gave {vote.left!r} and {vote.right!r} different orders, and"
            " the times do not show which is the latest; delete the wrong ones in Label Studio and export again"
        )
    return candidates[-1]


def _seconds(time: str) -> float:
    """Parses a time in ISO 8601 (UTC by default) or in seconds since 1970; returns -inf if it is neither."""
    try:
        seconds = float(time)
        return seconds if math.isfinite(seconds) else -math.inf
    except ValueError:
        pass
    try:
        moment = datetime.datetime.fromisoformat(time)
        return moment.replace(tzinfo=moment.tzinfo or datetime.UTC).timestamp()
    except (ValueError, OverflowError):
        return -math.inf
