"""Shared by all figures: colors, fonts, text, and WebP encoding."""

import io
import warnings
from typing import Any

import matplotlib
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, PURPLE = "#2563a8", "#d9662b", "#3b8a5a", "#7a4fa3"
INK, FAINT = "#22262b", "#c9ced6"
BLUR_COLORS = matplotlib.colormaps["cividis"]  # true blur as a color: dark = sharp, light = blurred
_STYLE: dict[Any, Any] = {
    "font.size": 9.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#9aa1ab",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e9ecf0",
    "xtick.color": "#5b636e",
    "ytick.color": "#5b636e",
    "legend.frameon": False,
    "text.parse_math": False,  # File and folder names may contain dollar signs.
}
WIDTH = 10  # inches

drawn = matplotlib.rc_context(_STYLE)  # Decorates drawing functions without changing global state.


def message(text: str) -> Figure:
    """Draws a sentence in place of a figure that has nothing to show."""
    figure = Figure(figsize=(7, 0.6))
    ax = figure.add_axes((0, 0, 1, 1))  # A notebook does not show a figure without axes.
    ax.set_axis_off()
    ax.text(0.01, 0.5, text, va="center", fontsize=11, color=INK)
    return figure


def short(name: str, width: int) -> str:
    """Returns a name as one printable line, cut in the middle because the ends of a file name identify it best."""
    name = " ".join(name.encode("utf-8", "replace").decode().split())
    return name if len(name) <= width else f"{name[: width // 2 - 1]}…{name[-(width // 2) :]}"


def to_webp(figure: Figure, **options: Any) -> bytes:
    """Returns a figure as a WebP file, at twice its size for high-DPI screens; `options` go to Pillow's encoder."""
    data = io.BytesIO()
    with warnings.catch_warnings():
        # A name in a script that the font lacks shows as boxes here; the report also lists it as text.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(data, format="webp", dpi=200, pil_kwargs=options)
    return data.getvalue()
