"""Draws views with plotly, for the page: the same words and numbers as the PNGs.

Grounds are transparent and inks are those that the page repaints in its dark theme. Title and note of a view
are left to the page.
"""

import textwrap
from typing import Any

import numpy as np
import plotly.graph_objects as go

from fraud.formats import number
from fraud.models.figures.blank import blank_figure
from fraud.models.figures.views import (
    LINE,
    MUTED,
    Axis,
    Beside,
    Confusion,
    Dots,
    Lines,
    Points,
    Series,
    plain,
)

_ROW_PX, _LINE_PX = 34, 17
_LABEL, _TITLE = 28, 32
"""Characters of a line of an axis's labels and of its title: a phone has room for no more."""
_STYLES = {"solid": "solid", "dashed": "dash", "dotted": "dot", "points": "solid"}


def figure(view: Confusion | Lines | Dots, language: str) -> go.Figure:
    """Return a plotly figure of a view; of two panels `Beside` one another, draw each."""
    if isinstance(view, Confusion):
        drawn = _confusion(view)
    elif isinstance(view, Lines):
        drawn = _lines(view, language)
    else:
        drawn = _dots(view, language)
    return drawn.update_layout(separators=",." if language.startswith("pt") else ".,")


def panels(view: Beside, language: str) -> tuple[go.Figure, go.Figure]:
    """Return the figures of both panels."""
    return figure(view.left, language), figure(view.right, language)


def _blank(height: int) -> go.Figure:
    blank = blank_figure(height, {"l": 8, "r": 22, "t": 34, "b": 58}, LINE)
    blank.update_layout(hovermode="closest")
    blank.update_xaxes(tickangle=0)
    blank.update_yaxes(automargin=True)
    return blank


def _wrapped(words: str, width: int) -> str:
    return "<br>".join(plain(line) for line in textwrap.wrap(words, width))


def _see_through(colour: str, strength: float) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{strength:.3f})"


def _confusion(view: Confusion) -> go.Figure:
    drawn = _blank(300)
    drawn.update_layout(margin={"t": 30, "b": 6, "l": 84, "r": 6})
    for row in (0, 1):
        for column in (0, 1):
            # Shaded by the share of the row, see-through: the ink over it is right in both themes.
            fill = _see_through(view.colour, 0.05 + 0.5 * view.rate(row, column))
            box = {"x0": column - 0.49, "x1": column + 0.49, "y0": row - 0.485, "y1": row + 0.485}
            drawn.add_shape(type="rect", **box, fillcolor=fill, line={"width": 0}, layer="below")
            share = _wrapped(view.shares[row][column], 14)
            for words, size, shift in (
                (plain(view.names[row][column]), 11.5, 42),
                (f"<b>{view.shown_counts[row][column]}</b>", 21, 12),
                (share, 12, -26),
            ):
                drawn.add_annotation(
                    text=words, x=column, y=row, yshift=shift, showarrow=False, font={"size": size}
                )
    quiet = {"showgrid": False, "showline": False, "ticks": "", "tickfont": {"size": 12}, "tickvals": [0, 1]}
    drawn.update_xaxes(**quiet, ticktext=[plain(c) for c in view.columns], range=[-0.5, 1.5], side="top")
    drawn.update_yaxes(**quiet, ticktext=[plain(r) for r in view.rows], range=[1.5, -0.5])
    return drawn


def _lines(view: Lines, language: str) -> go.Figure:
    drawn = _blank(320)
    if view.diagonal and view.x.limits is not None:
        drawn.add_scatter(
            x=view.x.limits, y=view.x.limits, mode="lines", name=plain(view.diagonal), hoverinfo="skip",
            line={"color": MUTED, "width": 1.5, "dash": "dot"},
        )  # fmt: skip
    for series in view.series:
        _add_series(drawn, series, view, language)
    if view.vertical is not None:
        line = {"color": MUTED, "width": 1, "dash": "dot"}
        drawn.add_vline(x=view.vertical[0], line=line)
    for mark in view.marks:
        drawn.add_scatter(
            x=[mark.x], y=[mark.y], mode="markers", showlegend=False, hoverinfo="skip", cliponaxis=False,
            marker={"symbol": "circle-open", "size": 11, "color": mark.colour, "line": {"width": 2.5}},
        )  # fmt: skip
        if mark.words:
            _label(drawn, mark, view)
    _scale(drawn.update_xaxes, view.x, language)
    _scale(drawn.update_yaxes, view.y, language)
    return drawn


def _add_series(drawn: go.Figure, series: Series, view: Lines, language: str) -> None:
    told = [
        f"{_shown(view.x, x, language)}: {_shown(view.y, y, language)}"
        for x, y in zip(series.x, series.y, strict=True)
    ]
    error = None
    if series.low is not None and series.high is not None:
        error = {
            "type": "data", "symmetric": False, "color": series.colour, "thickness": 1.5, "width": 4,
            "array": np.maximum(series.high - series.y, 0),
            "arrayminus": np.maximum(series.y - series.low, 0),
        }  # fmt: skip
    mode = "markers" if series.style == "points" else "lines+markers" if error else "lines"
    drawn.add_scatter(
        x=series.x, y=series.y, mode=mode, name=plain(series.name), error_y=error, customdata=told,
        line={"color": series.colour, "width": 2, "dash": _STYLES[series.style]},
        marker={"color": series.colour, "size": 8},
        hovertemplate="%{customdata}<extra>%{fullData.name}</extra>",
    )  # fmt: skip


def _label(drawn: go.Figure, mark: Any, view: Lines) -> None:
    """Write a mark's words above or below it, on the side that is nearer to the middle of the axes."""
    left, up = _position(mark.x, view.x, [s.x for s in view.series]) > 0.5, mark.above
    at = (
        np.log10(mark.x) if view.x.logarithmic else mark.x,
        np.log10(mark.y) if view.y.logarithmic else mark.y,
    )
    drawn.add_annotation(
        text=plain(mark.words), x=at[0], y=at[1], showarrow=False, align="right" if left else "left",
        xanchor="right" if left else "left", yanchor="bottom" if up else "top",
        xshift=-9 if left else 9, yshift=9 if up else -9, font={"size": 12},
    )  # fmt: skip


def _position(value: float, axis: Axis, columns: list[Any]) -> float:
    """Return where on an axis a value lies, from 0 to 1."""
    low, high = axis.limits or (min(c.min() for c in columns), max(c.max() for c in columns))
    if axis.logarithmic:
        value, low, high = (float(np.log(v)) for v in (value, low, high))
    return (value - low) / (high - low) if high > low else 0.0


def _dots(view: Dots, language: str) -> go.Figure:
    height = len(view.groups) * (_ROW_PX if view.bars else 26 + 12 * len(view.series)) + 96
    drawn = _blank(height)
    rows, n = np.arange(len(view.groups), dtype=float), len(view.series)
    for position, points in enumerate(view.series):
        _add_points(drawn, points, rows + (position - (n - 1) / 2) * 0.26, view, language)
    if view.untold:
        start = view.axis.limits[0] if view.axis.limits else 0.0
        for row in np.flatnonzero(np.all([np.isnan(points.values) for points in view.series], axis=0)):
            drawn.add_annotation(
                text=plain(view.untold), x=start, y=rows[row], showarrow=False, xanchor="left", xshift=6
            )
    if view.reference is not None:
        drawn.add_vline(x=view.reference, line={"color": MUTED, "width": 1, "dash": "dot"})
    drawn.update_yaxes(
        tickvals=rows, ticktext=[_wrapped(group, _LABEL) for group in view.groups],
        range=[len(rows) - 0.4, -0.6], showgrid=False, showline=False, ticklabelstandoff=6,
    )  # fmt: skip
    _scale(drawn.update_xaxes, view.axis, language)
    _title_to_the_right(drawn, view.axis)
    if n < 2:
        drawn.update_layout(showlegend=False, margin={"t": 6})
    return drawn


def _title_to_the_right(drawn: go.Figure, axis: Axis) -> None:
    """Write an axis's title under its end, not its middle.

    Long names leave a short axis on a phone: a title in its middle would leave the figure, and plotly pushes
    one of three lines up into the numbers.
    """
    words = _wrapped(axis.words, _TITLE)
    drawn.update_xaxes(title=None)
    drawn.update_layout(margin={"b": 34 + _LINE_PX * (words.count("<br>") + 1)})
    drawn.add_annotation(
        text=words, x=1, y=0, xref="paper", yref="paper", xanchor="right", yanchor="top", yshift=-24,
        align="right", showarrow=False, font={"size": 12.5}, name="axis-title",
    )  # fmt: skip


def _add_points(drawn: go.Figure, points: Points, at: Any, view: Dots, language: str) -> None:
    low, high = (np.where(np.isfinite(v), v, points.values) for v in (points.low, points.high))
    told = [
        f"{plain(group)}: {_shown(view.axis, value, language)}"
        + (f" [{_shown(view.axis, a, language)}; {_shown(view.axis, b, language)}]" if b > a else "")
        for group, value, a, b in zip(view.groups, points.values, low, high, strict=True)
    ]
    common = {
        "x": points.values, "y": at, "orientation": "h", "name": plain(points.name), "customdata": told,
        "hovertemplate": "%{customdata}<extra></extra>",
        "error_x": {
            "type": "data", "symmetric": False, "thickness": 1.3, "width": 3,
            "color": MUTED if view.bars else points.colour,
            "array": high - points.values, "arrayminus": points.values - low,
        },
    }  # fmt: skip
    if view.bars:
        drawn.add_bar(
            **common, width=0.62, marker={"color": _see_through(points.colour, 0.8), "line": {"width": 0}}
        )
    else:
        drawn.add_scatter(**common, mode="markers", marker={"color": points.colour, "size": 9})


def _shown(axis: Axis, value: float, language: str) -> str:
    if not np.isfinite(value):
        return "?"
    text = number(100 * float(value) if axis.percent else float(value), language)
    return f"{text}%" if axis.percent else text


def _scale(update: Any, wanted: Axis, language: str) -> None:
    limits = wanted.limits
    if limits is not None and wanted.logarithmic:
        limits = (float(np.log10(limits[0])), float(np.log10(limits[1])))
    title = {"text": _wrapped(wanted.words, _TITLE), "standoff": 8, "font": {"size": 12.5}}
    options: dict[str, Any] = {"title": title, "range": limits}
    if wanted.logarithmic:
        options |= {"type": "log"}
        if wanted.percent:
            values = [10.0**power for power in range(-4, 1)]
            options |= {"tickvals": values, "ticktext": [_shown(wanted, v, language) for v in values]}
        else:
            options |= {"dtick": "D2"}
    elif wanted.percent:
        options |= {"tickformat": ".0%", "dtick": 0.2}
    update(**options)
