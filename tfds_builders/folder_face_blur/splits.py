"""Splits pairs into training and validation, and pairs up unlabeled pictures; results depend only on the names."""

import collections
from collections.abc import Iterable, Mapping, Sequence

from tfds_builders.folder_face_blur.votes import Pair
from tfds_builders.schema import shuffled

HELD_OUT = 0.1  # Approximate share of the ordered pairs used for validation.
MOST_PICTURES = 10_000  # Maximum number of pictures to store, not counting pictures listed in a table.
MOST_UNLABELED = 20_000  # Maximum number of unlabeled pairs.
_ROUNDS = 10  # Unlabeled pairs per picture, up to `MOST_UNLABELED` in total.


def chosen(names: Iterable[str], named: Iterable[str]) -> list[str]:
    """Returns the pictures to store, sorted: a fixed sample of at most `MOST_PICTURES`, plus all in `named`."""
    names = set(names)
    return sorted({*shuffled(names)[:MOST_PICTURES], *names.intersection(named)})


def split_pairs(pairs: Sequence[Pair], same: Mapping[str, str]) -> tuple[list[Pair], list[Pair]]:
    """Splits pairs into training and validation pairs; each part has at least one pair with an order.

    Pictures are held out, not pairs: every pair with a held-out picture is a validation pair, so no training pair shows
    that picture or one that looks the same. Pictures are drawn by SHA-256 until 10% of the ordered pairs, and at least
    one, are held out; a picture that would raise the share above 20% is skipped. If all pairs show pictures that look
    the same, those pictures are not held out together. At least two pairs must have an order; `same` is {picture: name
    of its group of pictures that look the same}.
    """
    ordered = {index for index, pair in enumerate(pairs) if pair.order}
    held, pairs_of = [], {}
    for groups in (same, {name: name for name in same}):
        pairs_of = collections.defaultdict(set)
        for index, pair in enumerate(pairs):
            for name in pair.names:
                pairs_of[groups[name]].add(index)
        if held := _held_out(pairs_of, ordered):
            break
    out = set().union(*(pairs_of[name] for name in held))
    return [p for i, p in enumerate(pairs) if i not in out], [p for i, p in enumerate(pairs) if i in out]


def _held_out(pairs_of: Mapping[str, set[int]], ordered: set[int]) -> list[str]:
    """Chooses pictures to hold out, given {picture: its pairs}; none if every picture is in all ordered pairs."""
    wanted = max(1, round(HELD_OUT * len(ordered)))
    ordered_of = {name: pairs_of[name] & ordered for name in shuffled(pairs_of) if pairs_of[name] & ordered}
    held, out = [], set()
    for name, indices in ordered_of.items():
        taken = out | indices
        if len(out) < wanted and len(taken) <= 2 * wanted and len(taken) < len(ordered):
            held, out = [*held, name], taken
    if not held:
        fewest = min(ordered_of, key=lambda name: len(ordered_of[name]))
        held = [fewest] if len(ordered_of[fewest]) < len(ordered) else []
    return held


def unlabeled_pairs(names: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs up pictures: each round uses every picture once, in a new order drawn by SHA-256."""
    names, drawn = sorted(names), {}
    for round_ in range(_ROUNDS):
        order = shuffled(names, salt=f"{round_} ")
        for pair in zip(order[::2], order[1::2]):
            drawn.setdefault(frozenset(pair), pair)
    return list(drawn.values())[:MOST_UNLABELED]
