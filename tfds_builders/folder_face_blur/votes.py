"""Combines annotators' votes into one order per pair, measures agreement and finds contradictions."""

import collections
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array, csgraph

from tfds_builders.folder_face_blur.tables import PAIRS, Vote
from tfds_builders.problems import Problem


class Pair(NamedTuple):
    """Two pictures, with the same left and right as on the first line that compares them; `order` as in `pairs.csv`."""

    line: int
    left: str
    right: str
    order: int

    @property
    def names(self) -> tuple[str, str]:
        return self.left, self.right


class Combined(NamedTuple):
    """The result of combining all votes.

    `agreement` is {"annotators", "pairs" (compared by more than one annotator), "alpha" (None if all votes are ties)},
    or None if no pair was compared by more than one annotator.
    """

    pairs: list[Pair]
    agreement: dict[str, float | None] | None
    problems: list[Problem]
    warnings: list[Problem]


def combine(votes: Iterable[Vote]) -> Combined:
    """Assigns each pair the order with the most votes, or a tie if the top two orders have the same number."""
    problems, warnings = [], []
    first_votes, votes_of = {}, collections.defaultdict(dict)
    for vote in votes:
        first = first_votes.setdefault(frozenset((vote.left, vote.right)), vote)
        order = vote.order if vote.left == first.left else -vote.order
        known_order, line = votes_of[first].setdefault(vote.annotator, (order, vote.line))
        if line == vote.line:
            continue
        by = f" by {vote.annotator!r}" if vote.annotator else ""
        if order == known_order:
            text = f"the pair has the same order{by} on line {line}; both lines count as one vote"
            warnings.append(Problem("repeated vote", PAIRS, vote.line, f"{vote.left},{vote.right}: {text}"))
        else:
            text = f"{vote.left},{vote.right} has a different order{by} on line {line}"
            problems.append(Problem("contradictory pair", PAIRS, vote.line, text))
    answers = [{who: order for who, (order, _) in by_annotator.items()} for by_annotator in votes_of.values()]
    pairs = []
    for first, orders in zip(votes_of, answers):
        (order, most), *others = collections.Counter(orders.values()).most_common()
        pairs.append(Pair(first.line, first.left, first.right, 0 if others and others[0][1] == most else order))
    return Combined(pairs, agreement(answers), problems, warnings + cycles(pairs))


def agreement(answers: Sequence[dict[str, int]]) -> dict[str, float | None] | None:
    """Computes `Combined.agreement` from {annotator: order} of each pair, using Krippendorff's alpha for the orders.

    Each pair counts in both directions, so alpha does not depend on which picture is on the left. It is 1 for perfect
    agreement and 0 for chance.
    """
    shared = [orders for orders in answers if len(orders) > 1]
    if not shared:
        return None
    units = [[sign * order for order in orders.values()] for sign in (1, -1) for orders in shared]
    alpha = krippendorff_alpha(units)
    alpha = None if alpha is None else round(alpha, 4)
    return {"annotators": len(set().union(*shared)), "pairs": len(shared), "alpha": alpha}


def krippendorff_alpha(units: Sequence[Sequence[int]]) -> float | None:
    """Returns Krippendorff's alpha for nominal data, in (-1, 1]; None if all values are the same.

    At least one unit must have two or more values. Source: K. Krippendorff, "Computing Krippendorff's
    Alpha-Reliability", 2011, section C.
    """
    units = [values for values in units if len(values) > 1]
    categories = sorted(set().union(*units))
    counts = np.array([[list(values).count(category) for category in categories] for values in units])
    total, by_category, by_unit = counts.sum(), counts.sum(axis=0), counts.sum(axis=1)
    matching = ((counts**2).sum(axis=1) - by_unit) / (by_unit - 1)  # Each unit's diagonal of the coincidence matrix.
    expected = total**2 - np.square(by_category).sum()
    return float(1 - (total - 1) * (total - matching.sum()) / expected) if expected else None


def cycles(pairs: Iterable[Pair]) -> list[Problem]:
    """Returns a shortest cycle for each set of pictures whose orders form a cycle, such as a < b < c < a."""
    edges = {(p.left, p.right) if p.order > 0 else (p.right, p.left): p.line for p in pairs if p.order}
    names = sorted({name for edge in edges for name in edge})
    if not names:
        return []
    row = {name: index for index, name in enumerate(names)}
    sharper, blurrier = np.array([[row[a], row[b]] for a, b in edges]).T
    graph = coo_array((np.ones(len(edges)), (sharper, blurrier)), shape=(len(names),) * 2).tocsr()
    _, label = csgraph.connected_components(graph, connection="strong")
    within = label[sharper] == label[blurrier]
    shortest = {}
    for a, b in zip(sharper[within], blurrier[within]):
        known = shortest.get(label[a])
        if known and len(known) == 3:  # No cycle is shorter, because a pair has one order.
            continue
        path = _path(graph, b, a)
        if not known or len(path) < len(known):
            shortest[label[a]] = path
    problems = []
    for path in shortest.values():
        path = [names[node] for node in np.roll(path, -int(np.argmin(path)))]
        lines = [edges[edge] for edge in zip(path, path[1:] + path[:1])]
        text = f"{' < '.join([*path, path[0]])} (lines {', '.join(map(str, lines))})"
        problems.append(Problem("cycle", PAIRS, min(lines), text))
    return problems


def _path(graph: coo_array, start: int, end: int) -> list[int]:
    """Returns the nodes of a shortest path."""
    _, before = csgraph.breadth_first_order(graph, start, return_predecessors=True)
    path = [end]
    while path[-1] != start:
        path.append(int(before[path[-1]]))
    return path[::-1]
