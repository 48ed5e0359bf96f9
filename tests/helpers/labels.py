"""Entries of the answer log, numbered."""

from blur_jax.label.answers import Answer, Undo


def answer(number, **fields):
    """The answer to the number-th question, by default that b.png is blurrier than a.png."""
    defaults = dict(
        id=f"{number:016x}", annotator="", left="a.png", right="b.png", order=1, ms=900, picker="random", reason="",
        step=0, predicted=None, sure=True, time=f"t{number}",
    )  # fmt: skip
    return Answer(**defaults | fields)


def undo(number):
    return Undo(f"{number:016x}", f"u{number}")
