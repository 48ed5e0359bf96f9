"""A figure on a page, as a data URI with its caption."""

import base64

from blur_jax.evaluate import figures
from blur_jax.score.html_parts import escape


def figure(drawn: figures.Figure, caption: str, *, shows_faces: bool = False, heading: str = "") -> str:
    """Returns the figure as an image with its caption, a plain text, above."""
    options = {"quality": 90} if shows_faces else {"lossless": True}  # A lossless sheet of faces takes a megabyte.
    data = base64.b64encode(figures.to_webp(drawn, **options)).decode()
    width, text = round(96 * drawn.get_figwidth()), escape(caption)
    title = f"<h3>{heading}</h3>" if heading else ""
    image = f'<img width={width} alt="{text}" src="data:image/webp;base64,{data}">'
    return f"{title}<figure><figcaption>{text}</figcaption>{image}</figure>"
