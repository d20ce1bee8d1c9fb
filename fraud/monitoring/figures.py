"""Figures of monitoring: each answers the question in its title. Drawn from reports, for pages and files."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import plotly.graph_objects as go

from fraud.data.profile import Profile
from fraud.models.report import MODEL_COLOURS, MODEL_TITLES
from fraud.monitoring.ledger import RunLine
from fraud.monitoring.words import column_name, say

INK, MUTED, LINE, BEFORE, ALERT = "#1f2430", "#5b6472", "#d5d9e1", "#98a1b0", "#b3261e"
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', sans-serif"
_MOST_COLUMNS = 15


def _blank(height: int) -> go.Figure:
    figure = go.Figure()
    figure.update_layout(
        template=None,
        height=height,
        margin={"l": 56, "r": 16, "t": 8, "b": 44},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": _FONT, "size": 13, "color": INK},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        dragmode=False,
    )
    figure.update_xaxes(gridcolor=LINE, linecolor=LINE, zeroline=False, fixedrange=True)
    figure.update_yaxes(gridcolor=LINE, linecolor=LINE, zeroline=False, fixedrange=True)
    return figure


def f1_over_time(
    runs: Sequence[RunLine], held_out: Mapping[str, Mapping[str, Any] | None], language: str
) -> go.Figure | None:
    """Return realised F1 with its band, the estimate dotted, versions marked; None without a figure."""
    if not any(run.figures.get(f"f1:{name}") for run in runs for name in MODEL_COLOURS):
        return None
    figure = _blank(320)
    times = [datetime.fromtimestamp(run.until_ms / 1000, UTC) for run in runs]
    for name, colour in MODEL_COLOURS.items():
        found = [run.figures.get(f"f1:{name}") for run in runs]
        for low_or_high, fill in (("high", None), ("low", "tonexty")):
            figure.add_scatter(
                x=times, y=[None if f is None else f[low_or_high] for f in found], mode="lines",
                line={"width": 0}, fill=fill, fillcolor=_faint(colour), showlegend=False, hoverinfo="skip",
                connectgaps=False,
            )  # fmt: skip
        figure.add_scatter(
            x=times, y=[None if f is None else f["value"] for f in found], name=MODEL_TITLES[name],
            mode="lines+markers", line={"color": colour, "width": 2}, marker={"size": 6},
        )  # fmt: skip
        estimated = [run.figures.get(f"f1_estimated:{name}") for run in runs]
        figure.add_scatter(
            x=times, y=[None if f is None else f["value"] for f in estimated], mode="lines",
            name=say("estimated_of", language, model=MODEL_TITLES[name]),
            line={"color": colour, "width": 1.5, "dash": "dot"},
        )  # fmt: skip
        reference = held_out.get(name)
        if reference is not None:
            figure.add_hline(y=reference["value"], line={"color": colour, "width": 1, "dash": "dash"})
    _mark_versions(figure, runs, times)
    figure.update_yaxes(title=say("f1", language), rangemode="tozero")
    return figure


def _mark_versions(figure: go.Figure, runs: Sequence[RunLine], times: Sequence[datetime]) -> None:
    for i, run in enumerate(runs):
        if i and run.model_version != runs[i - 1].model_version:
            figure.add_vline(x=times[i], line={"color": MUTED, "width": 1})
            figure.add_annotation(
                x=times[i], y=1, yref="paper", text=run.model_version, showarrow=False, xanchor="left",
                font={"size": 12, "color": MUTED},
            )  # fmt: skip


def drift_ranking(report: Mapping[str, Any], profile: Profile, language: str) -> go.Figure | None:
    """Return columns by how far they moved, those that drifted in red; None where nothing was compared."""
    columns = [c for c in report["drift"]["columns"] if c["psi"] is not None]
    if not columns:
        return None
    ranked = sorted(columns, key=lambda c: (c["verdict"] == "drift", c["psi"]))[-_MOST_COLUMNS:]
    figure = _blank(90 + 24 * len(ranked))
    figure.add_bar(
        x=[c["psi"] for c in ranked],
        y=[column_name(c["name"], profile, language) for c in ranked],
        orientation="h",
        marker={"color": [ALERT if c["verdict"] == "drift" else BEFORE for c in ranked]},
        hovertemplate="%{y}: PSI %{x:.3f}<extra></extra>",
    )
    figure.update_layout(showlegend=False, margin={"l": 190, "r": 16, "t": 8, "b": 44})
    figure.update_xaxes(title="PSI", rangemode="tozero")
    figure.update_yaxes(automargin=True, showgrid=False)
    return figure


def before_and_now(curve: Mapping[str, Any], language: str) -> go.Figure:
    """Return one column's distribution on held-out data and in the window."""
    figure = _blank(260)
    names = (say("held_out", language), say("this_window", language))
    if curve["edges"]:
        edges = curve["edges"]
        for name, key, colour in zip(names, ("reference", "current"), (BEFORE, ALERT), strict=True):
            figure.add_scatter(
                x=edges, y=[*curve[key], curve[key][-1]], name=name, mode="lines",
                line={"color": colour, "width": 2, "shape": "hv"}, fill="tozeroy", fillcolor=_faint(colour),
            )  # fmt: skip
        figure.update_yaxes(title=say("density", language), rangemode="tozero")
        figure.update_xaxes(title=curve["unit"])
    else:
        for name, key, colour in zip(names, ("reference", "current"), (BEFORE, ALERT), strict=True):
            figure.add_bar(x=curve["levels"], y=curve[key], name=name, marker={"color": colour})
        figure.update_yaxes(title=say("share", language), tickformat=".0%", rangemode="tozero")
        figure.update_xaxes(type="category")
    return figure


def latency_over_time(runs: Sequence[RunLine], language: str) -> go.Figure | None:
    """Return the 95th percentile of the time to score one transaction; None before there is one."""
    known = [(run.until_ms, run.figures.get("latency_p95_ms")) for run in runs]
    if not any(value is not None for _, value in known):
        return None
    figure = _blank(220)
    figure.add_scatter(
        x=[datetime.fromtimestamp(when / 1000, UTC) for when, _ in known],
        y=[value for _, value in known],
        mode="lines+markers",
        line={"color": MUTED, "width": 2},
    )
    figure.update_layout(showlegend=False)
    figure.update_yaxes(title="p95, ms", rangemode="tozero")
    return figure


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.15)"
