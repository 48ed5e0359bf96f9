"""Describes a score table in a few lines of text: how many pictures, how blurred, and which are the blurriest."""

import numpy as np

from blur_jax.score import results
from blur_jax.score.results import DISCARD

_BLURRIEST = 10


def describe(table: str) -> str:
    """Returns the lines for a complete table; names are written like Python strings, so they cannot break lines."""
    rows = list(results.read(table))
    scored = [(row.blur, row.name) for row in rows if row.blur is not None]
    pictures, failed = len({row.name for row in rows}), len(rows) - len(scored)
    faces = f", faces: {len(rows):,}" * (len(rows) > pictures)
    lines = [f"pictures: {pictures:,}{faces}, without a score: {failed:,}"]
    if not scored:
        return lines[0]
    low, median, high = np.percentile([blur for blur, _ in scored], (25, 50, 75))
    lines.append(f"blur: a quarter is below {low:.3f}, half are below {median:.3f}, three quarters below {high:.3f}")
    if any(row.keep for row in rows):
        discarded = sum(row.keep == DISCARD for row in rows)
        lines.append(f"the threshold discards {discarded:,} of {len(scored):,} ({discarded / len(scored):.1%})")
    lines.append("blurriest:")
    blurriest = sorted(scored, key=lambda row: -row[0])[:_BLURRIEST]
    return "\n".join([*lines, *(f"  {blur:.3f}  {name!r}" for blur, name in blurriest)])
