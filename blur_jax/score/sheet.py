"""A single-file HTML page with pictures sorted by score, to judge a scorer and a threshold by eye."""

import base64
import io
import math
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from blur_jax.data import pictures
from blur_jax.data.preprocessing import Preprocessing, crop_square
from blur_jax.metrics import ranked_split
from blur_jax.runs import run_dir
from blur_jax.score import html_parts
from blur_jax.score.groups import Groups
from blur_jax.score.journal import Row
from blur_jax.score.pipeline import available_cores

_PICTURES = _FAILURES = 200
_SIDE = 160  # The longest side of a thumbnail in pixels.
_FOCUS = """ The map below it shows the full-size tiles of the whole picture or, with a box,
of the crop: white is sharp, black is blurred or has no detail."""

_STYLE = """
main { max-width: 1280px; padding: 24px clamp(12px, 3vw, 40px) 48px; }
h1 { font-size: 26px; margin-bottom: 8px; }
h2 { font-size: 20px; margin: 36px 0 8px; padding: 0; border: none; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(112px, 1fr)); gap: 14px 10px; margin-top: 18px; }
figure { min-width: 0; }
img { width: 100%; aspect-ratio: 1; object-fit: contain; background: #e9ecf0; border-radius: 4px; }
figcaption { font-size: 12px; line-height: 1.35; margin: 3px 0 0; overflow: hidden;
  white-space: nowrap; text-overflow: ellipsis; direction: rtl; text-align: left; }
figcaption b { display: block; font-size: 15px; color: #22262b; font-variant-numeric: tabular-nums; direction: ltr; }
figcaption small { display: block; font-size: 12px; color: #c2410c; white-space: normal; direction: ltr; }
.focus { image-rendering: pixelated; margin-top: 3px; }
.line { grid-column: 1 / -1; border-top: 3px solid #c2410c; color: #c2410c; padding-top: 4px; font-weight: 600; }
td { white-space: normal; overflow-wrap: anywhere; padding-right: 20px; } table { font-size: 14px; }
"""


class Picks:
    """The rows that the page shows: at most 200 scored rows, evenly spaced by rank, and the first 200 failures."""

    def __init__(self, blur: np.ndarray) -> None:
        """Picks the rows to show from the scores of all rows, float32 [n] (NaN if missing)."""
        scored = np.flatnonzero(~np.isnan(blur))
        self.blur, self.failed = blur[scored], len(blur) - len(scored)  # All scores; the number of rows without one.
        self.failures: list[Row] = []
        self._indices = scored[ranked_split.sorted_sample(self.blur, _PICTURES)].tolist() if len(scored) else []
        self._rows: dict[int, Row] = {}

    def watch(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Yields all rows, and keeps those that the page shows."""
        wanted = set(self._indices)
        for index, row in enumerate(rows):
            if index in wanted:
                self._rows[index] = row
            elif row.error is not None and len(self.failures) < _FAILURES:
                self.failures.append(row)
            yield row

    @property
    def shown(self) -> dict[int, Row]:
        """The scored rows to show, {index: row}, sorted by score."""
        return {index: self._rows[index] for index in self._indices}


def write(
    path: str,
    picks: Picks,
    preprocessing: Preprocessing,
    *,
    keep_below: float | None,
    title: str,
    reduced: float = math.inf,
    groups: Groups | None = None,
) -> None:
    """Writes the page atomically; `picks.watch` must have seen all rows.

    Args:
        path: the page to write.
        picks: the rows to show.
        preprocessing: the crop that was scored.
        keep_below: a threshold, shown as a line; None for no line.
        title: the heading.
        reduced: pictures with a larger reduction are marked.
        groups: the groups to mark on the pictures; None for no marks.
    """
    shown = list(picks.shown.values())
    with ThreadPoolExecutor(available_cores()) as pool:
        thumbnails = list(pool.map(lambda row: _thumbnail(row, preprocessing), shown))
    marks = [_marks(index, row, reduced, groups) for index, row in picks.shown.items()]
    cells = list(map(_cell, shown, thumbnails, marks))
    if keep_below is not None:
        kept = int(np.sum(picks.blur < keep_below))
        counts = f"{kept:,} before this line are kept, {len(picks.blur) - kept:,} after it discarded"
        first_discarded = sum(row.blur is not None and row.blur < keep_below for row in shown)
        cells.insert(first_discarded, f"<div class=line>Threshold {keep_below:.4g}: {counts}</div>")
    with_tiles = any(row.tiles for row in shown)
    some = f"{len(shown)} of {len(picks.blur):,} pictures, evenly spaced by rank"
    which = "All pictures" if len(shown) == len(picks.blur) else some
    body = f"""<p>{which}, row by row from the sharpest to the most blurred. The number is <b>blur</b>: in [0, 1],
larger is blurrier. Each picture shows the crop that was scored.{_FOCUS * with_tiles}</p>
<div class=grid>{"".join(cells)}</div>
{_failed(picks)}"""
    run_dir.write_atomically(path, html_parts.page(title, body, _STYLE))


def _thumbnail(row: Row, preprocessing: Preprocessing) -> str:
    """Returns the crop that was scored as a data URI; "" if the picture can no longer be read."""
    try:
        image = pictures.read_image(row.name)
        left, top, side = crop_square(image.size, row.box, preprocessing.context)
    except (OSError, ValueError):
        return ""
    image = image.crop((left, top, left + side, top + side))
    image.thumbnail((_SIDE, _SIDE), Image.Resampling.BICUBIC, reducing_gap=None)
    return _data_url(image, "WEBP", quality=90)


def _data_url(image: Image.Image, kind: str, **options: int) -> str:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _marks(index: int, row: Row, reduced: float, groups: Groups | None) -> str:
    """Returns the part of a row's caption that follows its score."""
    marks: list[str] = [*(row.flags or "").split()]
    if row.reduction is not None and row.reduction > reduced:
        marks.append(f"reduced {row.reduction:.1f} times")
    if row.tiles:
        marks.append(f"best tile {row.tiles.best:.3f}")
    if groups is not None:
        marks.append(f"group {groups.number[index]}{', best' * bool(groups.best[index])}")
    return "; ".join(marks)


def _cell(row: Row, thumbnail: str, marks: str) -> str:
    name = html_parts.escape(row.name)
    image = f'<img src="{thumbnail}" alt="">' if thumbnail else "<p>no longer readable</p>"
    if row.tiles:
        sharp = Image.fromarray((255 - 2.55 * np.array(row.tiles.focus)).astype(np.uint8))
        image += f'<img class=focus src="{_data_url(sharp, "PNG")}" alt="focus map">'
    small = f"<small>{marks}</small>" if marks else ""
    caption = f"<figcaption><b>{row.blur:.3f}</b>{small}<bdi>{name}</bdi></figcaption>"
    return f'<figure title="{name}">{image}{caption}</figure>'


def _failed(picks: Picks) -> str:
    if not picks.failed:
        return ""
    rows = (html_parts.row(map(html_parts.escape, (failure.name, failure.error))) for failure in picks.failures)
    count, all_shown = len(picks.failures), len(picks.failures) == picks.failed
    more = "" if all_shown else f"<p>Only the first {count} of {picks.failed:,} are shown here.</p>"
    return f"<h2>{picks.failed:,} could not be scored</h2>{more}{html_parts.table((), rows)}"
