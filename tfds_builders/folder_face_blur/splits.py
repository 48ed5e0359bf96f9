"""Which pairs are for validation, and which pictures are paired without a label: functions of the names alone."""

import collections
import hashlib
from collections.abc import Iterable, Mapping, Sequence

from tfds_builders.folder_face_blur.votes import Pair

HELD_OUT = 0.1  # Part of the ordered pairs that validation gets, about.
MOST_PICTURES = 10_000  # Stored at most, beside those that a table names.
MOST_UNLABELED = 20_000  # Pairs.
_ROUNDS = 10  # In how many unlabeled pairs a picture is, where there are few pictures.


def digest(text: str) -> bytes:
    """SHA-256, by which pictures are drawn: the same on every machine, and nothing to do with what they show."""
    return hashlib.sha256(text.encode()).digest()


def chosen(names: Iterable[str], named: Iterable[str]) -> list[str]:
    """Returns the pictures to store, sorted: all up to `MOST_PICTURES`; of more, a fixed draw and those `named`."""
    names = sorted(names)
    if len(names) > MOST_PICTURES:
        names = sorted({*sorted(names, key=digest)[:MOST_PICTURES], *set(named).intersection(names)})
    return names


def split_pairs(pairs: Sequence[Pair], same: Mapping[str, str]) -> tuple[list[Pair], list[Pair]]:
    """Splits pairs into those to train on and those to validate on.

    Pictures are held out, not pairs: validation gets every pair with a held-out picture, and nothing of that picture,
    or of one that looks the same, is trained on with a label. Pictures come by their SHA-256 until a tenth of the
    ordered pairs is held out, and at least one; a picture that would take more than a fifth is passed over.

    Args:
        pairs: all of them, two different ones with an order at least.
        same: picture -> what stands for all that look the same as it.

    Returns:
        (training pairs, validation pairs); each has a pair with an order. Where all pairs are of pictures that look
        the same, these are not held out together.
    """
    for standing in (same, {name: name for name in same}):
        of_picture = collections.defaultdict(set)
        for index, pair in enumerate(pairs):
            for name in pair.names:
                of_picture[standing[name]].add(index)
        held = _held_out(of_picture, {index for index, pair in enumerate(pairs) if pair.order})
        if held:
            break
    out = set().union(*(of_picture[name] for name in held))
    return [p for i, p in enumerate(pairs) if i not in out], [p for i, p in enumerate(pairs) if i in out]


def _held_out(of_picture: Mapping[str, set[int]], ordered: set[int]) -> list[str]:
    """Chooses pictures, given the pairs that each is in; none where any of them is in all ordered pairs."""
    wanted = max(1, round(HELD_OUT * len(ordered)))
    drawn = sorted((name for name, of in of_picture.items() if of & ordered), key=digest)
    held, out = [], set()
    for name in drawn:
        taken = (out | of_picture[name]) & ordered
        if len(out) < wanted and len(taken) <= 2 * wanted and len(taken) < len(ordered):
            held, out = [*held, name], taken
    if not held:
        fewest = min(drawn, key=lambda name: len(of_picture[name] & ordered))
        held = [fewest] if len(of_picture[fewest] & ordered) < len(ordered) else []
    return held


def unlabeled_pairs(names: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs pictures with each other: in each round every picture once, in an order drawn by SHA-256."""
    names, drawn = sorted(names), {}
    for round_ in range(_ROUNDS):
        shuffled = sorted(names, key=lambda name: digest(f"{round_} {name}"))
        for pair in zip(shuffled[::2], shuffled[1::2]):
            drawn.setdefault(frozenset(pair), pair)
    return list(drawn.values())[:MOST_UNLABELED]
