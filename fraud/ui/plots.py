"""The page's figures: plotly bars and points with words on them, transparent so that both themes work."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import plotly.graph_objects as go
import plotly.io
from gradio.components.plot import PlotData

from fraud.models.figures.views import FONT, plain

INK, MUTED, LINE = "#1f2430", "#5b6472", "#c9ced8"
"""Light-theme inks; style.css repaints the same elements in the dark theme."""
AGAINST = "#98a1b0"
"""Bars that speak for a legitimate transaction, in either model's figure."""
FRAUD = "#b3261e"


@dataclass(frozen=True, slots=True)
class Mark:
    """One transaction on the timeline; `known` is "fraud", "legitimate", "unknown" or "this"."""

    moment: datetime
    amount: float
    known: str
    words: str


class PlainFigure:
    """A figure as the document that the browser reads.

    Plotly's own class checks every property on the way: 40 of the 58 ms that a click on the button took.
    """

    def __init__(self) -> None:
        self.document: dict[str, Any] = {"data": [], "layout": {"shapes": [], "annotations": []}}

    def add_scatter(self, **trace: Any) -> None:
        """Add a trace of points."""
        self.document["data"].append({"type": "scatter", **trace})

    def add_shape(self, **shape: Any) -> None:
        """Add a line or a rectangle."""
        self.document["layout"]["shapes"].append(shape)

    def add_annotation(self, **annotation: Any) -> None:
        """Add words."""
        self.document["layout"]["annotations"].append(annotation)

    def update_layout(self, **layout: Any) -> None:
        """Set properties of the whole."""
        self.document["layout"] |= layout

    def update_xaxes(self, **axis: Any) -> None:
        """Set properties of the horizontal axis."""
        self.document["layout"]["xaxis"] = self.document["layout"].get("xaxis", {}) | axis

    def update_yaxes(self, **axis: Any) -> None:
        """Set properties of the vertical axis."""
        self.document["layout"]["yaxis"] = self.document["layout"].get("yaxis", {}) | axis


def plot_data(figure: go.Figure | PlainFigure, **config: Any) -> PlotData:
    """Return a figure with its browser options: no toolbar, no zoom by accident."""
    options = {"displayModeBar": False, "scrollZoom": False, "doubleClick": False, "showTips": False}
    body = _json(figure.document) if isinstance(figure, PlainFigure) else plotly.io.to_json(figure)
    return PlotData(type="plotly", plot=f'{body[:-1]},"config":{_json(options | config)}}}')


def _json(value: Any) -> str:
    return str(plotly.io.json.to_json_plotly(value))


def _blank(height: int) -> PlainFigure:
    figure = PlainFigure()
    figure.update_layout(
        height=height,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": 13, "color": INK},
        showlegend=False,
        dragmode=False,
        hoverlabel={"font": {"family": FONT, "size": 13}},
    )
    return figure


_STYLES: dict[str, dict[str, Any]] = {
    "legitimate": {"symbol": "circle", "color": AGAINST, "size": 7},
    "unknown": {"symbol": "circle-open", "color": MUTED, "size": 8, "line": {"width": 1.5}},
    "fraud": {"symbol": "diamond", "color": FRAUD, "size": 11},
    "this": {"symbol": "star", "color": INK, "size": 16},
}


def timeline_figure(marks: Sequence[Mark], this_words: str, axis: str, dates: str) -> PlainFigure:
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
        nticks=4,
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
                text=f"<b>{plain(this_words)}</b>", x=mark.moment, y=1, yref="paper", xanchor="right",
                yanchor="bottom", xshift=9, yshift=4, showarrow=False,
            )  # fmt: skip
    return figure


_BANDS = ("rgba(48, 148, 88, 0.10)", "rgba(214, 150, 20, 0.13)", "rgba(200, 60, 50, 0.11)")
_RESPONSES: dict[str, dict[str, Any]] = {
    "random_forest": {"dash": "solid", "symbol": "circle"},
    "xgboost": {"dash": "dash", "symbol": "diamond"},
}


def response_figure(
    positions: Sequence[Any],
    lines: Mapping[str, tuple[str, Sequence[float], Sequence[str]]],
    here: int,
    *,
    bands: Sequence[str],
    joined: bool,
    geometric: bool,
    timed: bool,
    separators: str,
) -> PlainFigure:
    """Return both models' answers along one field, each between its own thresholds.

    Parameters
    ----------
    positions : n places along the field: numbers, moments or names
    lines : model -> its colour, n heights from 0 to 100 with the thresholds at thirds, and n texts
    here : which of the n is the transaction as it is
    bands : the names of the three decisions, from below
    joined : whether there is something between two places
    separators : how numbers are written: decimal mark, thousands mark
    """
    figure = _blank(250)
    for i, (fill, name) in enumerate(zip(_BANDS, bands, strict=True)):
        edges = {"y0": i * 100 / 3, "y1": (i + 1) * 100 / 3}
        figure.add_shape(
            type="rect", x0=0, x1=1, xref="paper", **edges, fillcolor=fill, line={"width": 0}, layer="below"
        )
        if i:
            cut = {"color": MUTED, "width": 1, "dash": "dot"}
            figure.add_shape(type="line", x0=0, x1=1, xref="paper", y0=edges["y0"], y1=edges["y0"], line=cut)
        figure.add_annotation(
            text=name, x=0, xref="paper", xanchor="right", xshift=-8, y=(i + 0.5) * 100 / 3, showarrow=False,
            font={"size": 12, "color": MUTED},
        )  # fmt: skip
    for model, (colour, heights, words) in lines.items():
        style = _RESPONSES[model]
        sizes = [13 if i == here else 0 if joined else 9 for i in range(len(heights))]
        figure.add_scatter(
            x=list(positions),
            y=list(heights),
            mode="lines+markers" if joined else "markers",
            line={"color": colour, "width": 2.5, "dash": style["dash"]},
            marker={
                "color": colour,
                "size": sizes,
                "symbol": style["symbol"],
                "opacity": 1,
                "line": {"width": 0},
            },
            text=list(words),
            hovertemplate="%{text}<extra></extra>",
            cliponaxis=False,
            meta=model,
        )
    figure.update_layout(
        margin={"l": 70, "r": 12, "t": 8, "b": 28}, hovermode="closest", separators=separators
    )
    ticks = {"size": 11.5, "color": MUTED}
    figure.update_xaxes(
        type="date" if timed else "category" if not joined else "log" if geometric else "linear",
        showgrid=False, zeroline=False, fixedrange=True, tickfont=ticks, linecolor=LINE, automargin=True,
        tickformat="%H:%M" if timed else None, nticks=8 if joined else None,
        dtick=1 if geometric else None,
    )  # fmt: skip
    figure.update_yaxes(visible=False, range=[-2, 102], fixedrange=True)
    return figure
