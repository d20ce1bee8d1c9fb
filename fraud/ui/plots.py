"""The page's figures: plotly bars and points with words on them, transparent so that both themes work."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import plotly.graph_objects as go
import plotly.io
from gradio.components.plot import PlotData

INK, MUTED, LINE = "#1f2430", "#5b6472", "#c9ced8"
"""Light-theme inks; style.css repaints the same elements in the dark theme."""
AGAINST = "#98a1b0"
"""Bars that speak for a legitimate transaction, in either model's figure."""
FRAUD = "#b3261e"
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"


@dataclass(frozen=True, slots=True)
class Mark:
    """One transaction on the timeline; `known` is "fraud", "legitimate", "unknown" or "this"."""

    moment: datetime
    amount: float
    known: str
    words: str


def plot_data(figure: go.Figure, **config: Any) -> PlotData:
    """Return a figure with its browser options: no toolbar, no zoom by accident."""
    options = {"displayModeBar": False, "scrollZoom": False, "doubleClick": False, "showTips": False}
    body = plotly.io.to_json(figure)
    return PlotData(type="plotly", plot=f'{body[:-1]},"config":{_json(options | config)}}}')


def _json(value: Any) -> str:
    return str(plotly.io.json.to_json_plotly(value))


def _blank(height: int) -> go.Figure:
    figure = go.Figure()
    figure.update_layout(
        template=None,
        height=height,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": _FONT, "size": 13, "color": INK},
        showlegend=False,
        dragmode=False,
        hoverlabel={"font": {"family": _FONT, "size": 13}},
    )
    return figure


def _escape(words: str) -> str:
    """Return text that plotly's little HTML shows as it is."""
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


_STYLES: dict[str, dict[str, Any]] = {
    "legitimate": {"symbol": "circle", "color": AGAINST, "size": 7},
    "unknown": {"symbol": "circle-open", "color": MUTED, "size": 8, "line": {"width": 1.5}},
    "fraud": {"symbol": "diamond", "color": FRAUD, "size": 11},
    "this": {"symbol": "star", "color": INK, "size": 16},
}


def timeline_figure(marks: Sequence[Mark], this_words: str, axis: str, dates: str) -> go.Figure:
    """Return amounts over time: what was known of each by shape and colour, and the new one named.

    Parameters
    ----------
    axis : names the amounts
    dates : how the axis writes a date, as in strftime
    """
    figure = _blank(210)
    for known, style in _STYLES.items():
        group = [mark for mark in marks if mark.known == known]
        figure.add_scatter(
            x=[mark.moment for mark in group],
            y=[mark.amount for mark in group],
            mode="markers",
            marker=style,
            text=[mark.words for mark in group],
            hovertemplate="%{text}<extra></extra>",
            cliponaxis=False,
            meta=known,
        )
    figure.update_layout(margin={"l": 46, "r": 14, "t": 26, "b": 26}, hovermode="closest")
    amounts = [mark.amount for mark in marks if mark.amount > 0]
    logarithmic = bool(amounts) and len(amounts) == len(marks) and max(amounts) > 30 * min(amounts)
    ticks = {"size": 11.5, "color": MUTED}
    figure.update_xaxes(
        showgrid=False,
        zeroline=False,
        fixedrange=True,
        tickfont=ticks,
        nticks=3,
        tickangle=0,
        linecolor=LINE,
        tickformat=dates,
    )
    figure.update_yaxes(
        type="log" if logarithmic else "linear",
        rangemode="normal" if logarithmic else "tozero",
        gridcolor=LINE,
        griddash="dot",
        zeroline=False,
        fixedrange=True,
        tickfont=ticks,
        nticks=4,
        dtick=1 if logarithmic else None,
    )
    figure.add_annotation(
        text=axis, x=0, y=1, xref="paper", yref="paper", xanchor="left", yanchor="bottom", xshift=-44,
        yshift=6, showarrow=False, font=ticks,
    )  # fmt: skip
    for mark in marks:
        if mark.known == "this":
            line = {"color": MUTED, "width": 1, "dash": "dot"}
            figure.add_shape(
                type="line",
                x0=mark.moment,
                x1=mark.moment,
                y0=0,
                y1=1,
                yref="paper",
                line=line,
                layer="below",
            )
            figure.add_annotation(
                text=f"<b>{_escape(this_words)}</b>", x=mark.moment, y=1, yref="paper", xanchor="right",
                yanchor="bottom", xshift=9, yshift=4, showarrow=False,
            )  # fmt: skip
    return figure
