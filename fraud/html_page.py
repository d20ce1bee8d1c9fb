"""Reports as one HTML file that opens anywhere: words, tables, plotly figures, nothing from outside.

Plotly's script is inside, compressed, and unpacked by the browser; a page has two megabytes and not five.
"""

import base64
import gzip
import html
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of the second level; `anchor` is what a link inside the page goes to."""

    text: str
    anchor: str = ""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Plain words; `tone` is "", "note", "ok", "alert" or "unknown"."""

    text: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table; columns after the first `n_words` hold figures and are set to the right."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    n_words: int = 1


@dataclass(frozen=True, slots=True)
class Chart:
    """A plotly figure; its title is the question that it answers, `summary` the answer in words."""

    title: str
    summary: str
    figure: "go.Figure"


Block = Heading | Paragraph | Table | Chart


def render(title: str, lead: str, blocks: Sequence[Block], language: str) -> str:
    """Return the page. Every text is shown as it is: none of it is taken for markup."""
    has_charts = any(isinstance(block, Chart) for block in blocks)
    body = "\n".join(_html(block, position) for position, block in enumerate(blocks))
    script = f"<script>{_DRAW.replace('PLOTLY', _plotly())}</script>" if has_charts else ""
    return (
        f'<!doctype html>\n<html lang="{html.escape(language)}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{html.escape(title)}</h1>\n<p>{html.escape(lead)}</p>\n{body}\n</main>\n{script}\n"
        "</body>\n</html>\n"
    )


def _html(block: Block, position: int) -> str:
    if isinstance(block, Heading):
        anchor = f' id="{html.escape(block.anchor)}"' if block.anchor else ""
        return f"<h2{anchor}>{html.escape(block.text)}</h2>"
    if isinstance(block, Paragraph):
        tone = f' class="{html.escape(block.tone)}"' if block.tone else ""
        return f"<p{tone}>{html.escape(block.text)}</p>"
    if isinstance(block, Table):
        return _table(block)
    document = str(block.figure.to_json()).replace("<", "\\u003c")
    return (
        f'<figure><h3>{html.escape(block.title)}</h3>\n<div class="chart" role="img" '
        f'aria-label="{html.escape(f"{block.title} {block.summary}")}" data-figure="f{position}"></div>\n'
        f'<script type="application/json" id="f{position}">{document}</script>\n'
        f"<figcaption>{html.escape(block.summary)}</figcaption></figure>"
    )


def _table(table: Table) -> str:
    def cell(text: str, column: int, tag: str) -> str:
        side = "" if column < table.n_words else ' class="figure"'
        scope = ' scope="col"' if tag == "th" else ""
        return f"<{tag}{scope}{side}>{html.escape(text)}</{tag}>"

    head = "".join(cell(text, column, "th") for column, text in enumerate(table.header))
    rows = "\n".join(
        "<tr>" + "".join(cell(text, column, "td") for column, text in enumerate(row)) + "</tr>"
        for row in table.rows
    )
    return (
        f'<div class="table" tabindex="0"><table>\n<caption>{html.escape(table.caption)}</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table></div>"
    )


@cache
def _plotly() -> str:
    """Return plotly's script for browsers, compressed, in base64."""
    from plotly.offline import get_plotlyjs

    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), 9, mtime=0)).decode()


_DRAW = """
(async () => {
  const packed = Uint8Array.from(atob("PLOTLY"), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.text = await new Response(stream).text();
  document.head.append(script);
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  for (const place of document.querySelectorAll(".chart")) {
    const figure = JSON.parse(document.getElementById(place.dataset.figure).textContent);
    if (dark) {
      figure.layout.font = {...figure.layout.font, color: "#e6e9ef"};
      const lines = {gridcolor: "#3a4150", linecolor: "#5b6472", zerolinecolor: "#5b6472"};
      for (const axis of Object.keys(figure.layout).filter((key) => /^[xy]axis/.test(key)))
        Object.assign(figure.layout[axis], lines);
    }
    await Plotly.newPlot(place, figure.data, figure.layout, {displayModeBar: false, responsive: true});
  }
})();
"""

_STYLE = """
:root { color-scheme: light dark; --ink: #1f2430; --muted: #5b6472; --line: #c9ced8; --page: #fff;
  --ok: #1b6e3c; --alert: #b3261e; --unknown: #6b5900; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --muted: #a7afbd; --line: #3a4150;
  --page: #14171d; --ok: #6fd39a; --alert: #ff9a8f; --unknown: #e3c95b; } }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .5rem; }
h3 { font-size: 1rem; margin: 0 0 .25rem; }
p { margin: .4rem 0; max-width: 45rem; }
p.note, figcaption, caption { color: var(--muted); font-size: .9rem; }
p.ok, p.alert, p.unknown { border-left: 4px solid; padding: .5rem .9rem; font-weight: 600; }
p.ok { border-color: var(--ok); } p.alert { border-color: var(--alert); }
p.unknown { border-color: var(--unknown); }
figure { margin: 1.5rem 0; } .chart { width: 100%; min-height: 16rem; }
.table { overflow-x: auto; margin: 1rem 0; } caption { text-align: left; padding-bottom: .35rem; }
table { border-collapse: collapse; font-size: .92rem; width: 100%; }
th, td { text-align: left; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
th { font-weight: 600; } .figure { text-align: right; font-variant-numeric: tabular-nums;
  white-space: nowrap; }
@media print { main { max-width: none; padding: 0; } figure, .table { break-inside: avoid; } }
"""
