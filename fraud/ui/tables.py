"""Small pieces of HTML that several tabs share."""

import html
from collections.abc import Sequence

from fraud.models.report import MODEL_COLOURS


def command(words: str) -> str:
    """Return a command as code."""
    return f"<code>{html.escape(words)}</code>"


def swatch(model: str) -> str:
    """Return the square in a model's colour; nothing for a model that has none."""
    colour = MODEL_COLOURS.get(model)
    return "" if colour is None else f'<span class="swatch" style="background:{colour}"></span>'


def table_html(caption: str, header: Sequence[str], rows: Sequence[Sequence[str]], n_words: int = 1) -> str:
    """Return a table of cells that are HTML already; those after the first `n_words` are set to the right.

    It scrolls inside itself where it must.
    """

    def cells(row: Sequence[str], tag: str) -> str:
        scope = ' scope="col"' if tag == "th" else ""
        sides = ["" if i < n_words else ' class="n"' for i in range(len(row))]
        return "".join(f"<{tag}{scope}{side}>{cell}</{tag}>" for side, cell in zip(sides, row, strict=True))

    head = f"<caption>{caption}</caption>" if caption else ""
    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return (
        f'<div class="table" tabindex="0"><table>{head}<thead><tr>{cells(header, "th")}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )
