"""Splits pairs into training and validation, and pairs unlabeled pictures; the results depend only on the names."""

import collections
from collections.abc import Iterable, Mapping, Sequence

from tfds_builders.folder_face_blur.votes import Pair
from tfds_builders.schema import shuffled

HELD_OUT = 0.1  # Approximate share of the ordered pairs that validation gets.
MOST_PICTURES = 10_000  # Most pictures to store, not counting pictures listed in a table.
MOST_UNLABELED = 20_000  # Most unlabeled pairs.
_ROUNDS = 10  # Unlabeled pairs per picture, up to `MOST_UNLABELED` in total.


def chosen(names: Iterable[str], named: Iterable[str]) -> list[str]:
    """Returns the pictures to store, sorted: a fixed sample of at most `MOST_PICTURES`, plus all that are `named`."""
    names = set(names)
    return sorted({*shuffled(names)[:MOST_PICTURES], *names.intersection(named)})


def split_pairs(pairs: Sequence[Pair], same: Mapping[str, str]) -> tuple[list[Pair], list[Pair]]:
    """Splits pairs into training and validation pairs; each part has a pair with an order.

    Pictures are held out, not pairs: validation gets every pair with a held-out picture, so no training pair shows that
    picture or one that looks the same. Pictures are drawn by SHA-256 until a tenth of the ordered pairs, and at least
    one, is held out; a picture that would bring the share above a fifth is skipped. If all pairs show pictures that
    look the same, these are not held out together. At least two pairs must have an order; `same` is {picture: name of
    its group of pictures that look the same}.
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
    """Chooses pictures, given {picture: its pairs}; chooses none if every picture is in all ordered pairs."""
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
    """Pairs pictures: each round uses every picture once, in a new order drawn by SHA-256."""
    names, drawn = sorted(names), {}
    for round_ in range(_ROUNDS):
        order = shuffled(names, salt=f"{round_} ")
        for pair in zip(order[::2], order[1::2]):
            drawn.setdefault(frozenset(pair), pair)
    return list(drawn.values())[:MOST_UNLABELED]
