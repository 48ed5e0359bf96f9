"""Parts shared by all HTML pages: a skeleton, a style, escaped text, and tables that scroll on a phone."""

import html
from collections.abc import Iterable

_CSS = """
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif;
  color: #22262b; background: #f5f6f8; margin: 0; }
main { max-width: 960px; margin: 0 auto; padding: 32px 40px 56px; background: #fff; }
h1 { font-size: 30px; line-height: 1.2; margin: 0 0 6px; letter-spacing: -0.01em; overflow-wrap: anywhere; }
h2 { font-size: 21px; margin: 48px 0 4px; padding-top: 18px; border-top: 1px solid #e3e6ea; }
h3 { font-size: 16px; margin: 28px 0 0; }
p, figcaption { color: #4d545e; max-width: 84ch; margin: 4px 0 12px; }
figure { margin: 0; } img { max-width: 100%; height: auto; display: block; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 14px 0; }
th { text-align: left; font-weight: 600; color: #4d545e; font-size: 14px; }
th, td { padding: 5px 28px 5px 0; border-bottom: 1px solid #e9ecf0; vertical-align: baseline; }
td { white-space: nowrap; } .name { white-space: normal; min-width: 8em; }
.long { white-space: normal; min-width: 10em; }
small { color: #7a828d; font-size: 12.5px; font-weight: 400; white-space: nowrap; display: block; }
details { font-size: 14px; margin-top: 8px; } details td, details th { padding-right: 16px; }
summary { color: #4d545e; cursor: pointer; padding: 6px 0; }
pre { overflow-x: auto; background: #f5f6f8; padding: 12px; }
code { overflow-wrap: break-word; }
@media (max-width: 600px) {
  main { padding: 20px 16px 40px; } h1 { font-size: 24px; } th, td { padding-right: 16px; }
}
"""


def page(title: str, body: str, style: str = "") -> str:
    """Returns a page that runs no scripts and loads no files: `title` is plain text, `body` is HTML, `style` is CSS."""
    title = escape(title)
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>{_CSS}{style}</style></head><body><main>
<h1>{title}</h1>
{body}
</main></body></html>
"""


def escape(text: object) -> str:
    return html.escape(str(text))


def path(text: object) -> str:
    """Returns an escaped path or command that wraps only after slashes."""
    return escape(text).replace("/", "/<wbr>")


def table(heads: Iterable[str], rows: Iterable[str], heading: str = "") -> str:
    """Returns a table that scrolls on a narrow screen; heads, rows (starting with "<tr") and heading are HTML."""
    line = "".join(f"<th>{head}" for head in heads)
    title = f"<h3>{heading}</h3>" if heading else ""
    return f"<div>{title}<div class=wide><table>{line}{''.join(rows)}</table></div></div>"


def row(cells: Iterable[object], kind: str = "") -> str:
    """Returns a table row of HTML cells; the first cell is a name and may wrap."""
    first, *others = map(str, cells)
    return f"<tr{f' class={kind}' * bool(kind)}><td class=name>{first}" + "".join(f"<td>{cell}" for cell in others)


def fields(values: dict[str, object]) -> str:
    """Returns a table of {name: value}, both plain text."""
    return table((), (f"<tr><th>{escape(name)}<td class=long>{path(value)}" for name, value in values.items()))


def details(summary: str, content: str) -> str:
    """Returns HTML that shows `content` when the reader clicks `summary`; both are HTML."""
    return f"<details><summary>{summary}</summary>{content}</details>"


def percent(share: float) -> str:
    return f"{100 * share:.1f}%"
