"""The page's figures: plotly bars and points with words on them, transparent so that both themes work."""

import textwrap
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
_LINE_PX, _BAR_PX, _GAP_PX = 17, 9, 13
_WRAP = 38


@dataclass(frozen=True, slots=True)
class Bar:
    """One reason in words, with its signed share and how that is written."""

    words: str
    contribution: float
    shown: str


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


def reasons_figure(bars: Sequence[Bar], colour: str, towards: tuple[str, str]) -> go.Figure:
    """Return signed bars under their words, largest first; right of the line speaks for fraud.

    Parameters
    ----------
    colour : the model's colour, for bars that speak for fraud
    towards : what right and left of the line mean, in words
    """
    wrapped = [textwrap.wrap(bar.words, _WRAP) or [""] for bar in bars]
    top, centres, tops = 0, [], []
    for lines in wrapped:
        tops.append(top)
        top += _LINE_PX * len(lines) + 3
        centres.append(top + _BAR_PX / 2)
        top += _BAR_PX + _GAP_PX
    figure = _blank(top)
    values = [bar.contribution for bar in bars]
    figure.add_bar(
        x=values,
        y=centres,
        width=[_BAR_PX] * len(bars),
        orientation="h",
        marker={"color": [colour if v > 0 else AGAINST for v in values], "line": {"width": 0}},
        customdata=[f"{bar.shown} {towards[0] if bar.contribution > 0 else towards[1]}" for bar in bars],
        text=[bar.words for bar in bars],
        textposition="none",
        hovertemplate="%{text}<br>%{customdata}<extra></extra>",
    )
    low, high = min(0.0, *values), max(0.0, *values)
    span = (high - low) or 1.0
    figure.update_xaxes(visible=False, range=[low - span * 0.005, high + span * 0.005], fixedrange=True)
    figure.update_yaxes(visible=False, range=[top, 0], fixedrange=True)
    for bar, lines, y, centre in zip(bars, wrapped, tops, centres, strict=True):
        ends = {"y0": centre - _BAR_PX / 2 - 2, "y1": centre + _BAR_PX / 2 + 2}
        figure.add_shape(type="line", x0=0, x1=0, **ends, line={"color": MUTED, "width": 1.5})
        common = {
            "y": y,
            "yanchor": "top",
            "xref": "paper",
            "showarrow": False,
            "borderpad": 0,
            "height": None,
        }
        label = "<br>".join(_escape(line) for line in lines)
        figure.add_annotation(text=label, x=0, xanchor="left", align="left", **common)
        figure.add_annotation(text=f"<b>{bar.shown}</b>", x=1, xanchor="right", align="right", **common)
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


def timeline_figure(marks: Sequence[Mark], this_words: str, axis: str) -> go.Figure:
    """Return amounts over time: what was known of each by shape and colour, and the new one named."""
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
        tickformat="%Y-%m-%d",
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
