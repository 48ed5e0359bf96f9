"""The pieces that the page is built of: escaped texts, tables that scroll on a phone, figures as data URIs."""

import base64
import html
from collections.abc import Iterable

from blur_jax.evaluate import figures

CSS = """
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif;
  color: #22262b; background: #f5f6f8; margin: 0; }
main { max-width: 960px; margin: 0 auto; padding: 32px 40px 56px; background: #fff; }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 6px; letter-spacing: -0.01em; overflow-wrap: break-word; }
h2 { font-size: 21px; margin: 48px 0 4px; padding-top: 18px; border-top: 1px solid #e3e6ea; }
h3 { font-size: 16px; margin: 28px 0 0; }
p, figcaption { color: #4d545e; max-width: 84ch; margin: 4px 0 12px; }
figure { margin: 0; } img { max-width: 100%; height: auto; display: block; }
.verdict { border-left: 4px solid #2563a8; padding: 2px 0 2px 16px; margin: 18px 0; }
.verdict p { color: #22262b; margin: 4px 0; }
nav { margin: 18px 0 22px; } nav a { display: inline-block; padding: 5px 20px 5px 0; color: #2563a8; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 14px 0; }
th { text-align: left; font-weight: 600; color: #4d545e; font-size: 14px; }
th, td { padding: 5px 28px 5px 0; border-bottom: 1px solid #e9ecf0; vertical-align: baseline; }
td { white-space: nowrap; } .name { white-space: normal; min-width: 8em; }
.long { white-space: normal; min-width: 10em; }
.split td { font-size: 21px; font-weight: 650; padding-top: 14px; }
.group td:first-child { padding-left: 20px; }
small { color: #7a828d; font-size: 12.5px; font-weight: 400; white-space: nowrap; display: block; }
.total td { font-weight: 650; border-top: 2px solid #c9ced6; }
.chosen td { font-weight: 650; background: #eef4fb; }
.tables { display: flex; flex-wrap: wrap; gap: 0 56px; } .tables > div { max-width: 100%; }
details { font-size: 14px; margin-top: 8px; } details td, details th { padding-right: 16px; }
summary { color: #4d545e; cursor: pointer; padding: 6px 0; }
pre { overflow-x: auto; background: #f5f6f8; padding: 12px; }
code { overflow-wrap: break-word; }
@media (max-width: 600px) {
  main { padding: 20px 16px 40px; } h1 { font-size: 24px; }
  th, td { padding-right: 16px; } .split td { font-size: 18px; }
}
"""


def escape(text: object) -> str:
    """Returns a text that a user may have chosen, fit for HTML."""
    return html.escape(str(text))


def path(text: object) -> str:
    """Returns `escape` of a path or a command, which may be wrapped after each slash and nowhere inside its words."""
    return escape(text).replace("/", "/<wbr>")


def table(heads: Iterable[str], rows: Iterable[str], heading: str = "") -> str:
    """Returns a table, in a container that scrolls where the screen is narrower.

    Args:
        heads: of the columns, HTML; none leave out the line of heads.
        rows: from "<tr" on, HTML.
        heading: above the table, HTML.
    """
    line = "".join(f"<th>{head}" for head in heads)
    title = f"<h3>{heading}</h3>" if heading else ""
    return f"<div>{title}<div class=wide><table>{line}{''.join(rows)}</table></div></div>"


def row(cells: Iterable[object], kind: str = "") -> str:
    """Returns a row of a table from its cells, HTML; the first is a name and may be wrapped."""
    first, *others = map(str, cells)
    return f"<tr{f' class={kind}' * bool(kind)}><td class=name>{first}" + "".join(f"<td>{cell}" for cell in others)


def fields(values: dict[str, object]) -> str:
    """Returns a table of {name: value} for reading, both plain texts."""
    return table((), (f"<tr><th>{escape(name)}<td class=long>{path(value)}" for name, value in values.items()))


def details(summary: str, content: str) -> str:
    """Returns something that is shown at a click: `summary` and `content` are HTML."""
    return f"<details><summary>{summary}</summary>{content}</details>"


def figure(drawn: figures.Figure, caption: str, *, shows_faces: bool = False, heading: str = "") -> str:
    """Returns the figure as an image with its caption, a plain text, above."""
    # Lossless would take a megabyte for each sheet of faces.
    options = {"quality": 90} if shows_faces else {"lossless": True}
    data = base64.b64encode(figures.to_webp(drawn, **options)).decode()
    width, text = round(96 * drawn.get_figwidth()), escape(caption)
    title = f"<h3>{heading}</h3>" if heading else ""
    image = f'<img width={width} alt="{text}" src="data:image/webp;base64,{data}">'
    return f"{title}<figure><figcaption>{text}</figcaption>{image}</figure>"


def percent(share: float) -> str:
    """Returns a share in [0, 1] as a percentage to one decimal."""
    return f"{100 * share:.1f}%"
