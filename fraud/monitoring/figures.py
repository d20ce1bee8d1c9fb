"""Figures of monitoring: each answers the question in its title. Drawn from reports, for pages and files."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import plotly.graph_objects as go

from fraud.data.profile import DAY_MS, Profile
from fraud.formats import FULL_DATES, number
from fraud.models.figures.blank import blank_figure
from fraud.models.figures.labels import unit_name
from fraud.models.figures.views import plain
from fraud.models.report import MODEL_COLOURS, MODEL_TITLES
from fraud.monitoring.ledger import RunLine
from fraud.monitoring.words import column_name, say

INK, MUTED, LINE, BEFORE, ALERT = "#1f2430", "#5b6472", "#d5d9e1", "#98a1b0", "#b3261e"
_MOST_COLUMNS = 12
_BAR_STEP_PX = 34
_FLOOR = 1e-4
"""The least share that a logarithmic axis of calibration shows; smaller ones, and none, stand on it."""


def _blank(height: int, language: str) -> go.Figure:
    blank = blank_figure(height, {"l": 56, "r": 16, "t": 8, "b": 44}, LINE)
    return blank.update_layout(separators=",." if language.startswith("pt") else ".,")


def _time(milliseconds: float) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def f1_over_time(
    runs: Sequence[RunLine], held_out: Mapping[str, Mapping[str, Any] | None], language: str
) -> go.Figure | None:
    """Return realised F1 with its band, the estimate dotted, versions marked; None without a figure."""
    if not any(run.figures.get(f"f1:{name}") for run in runs for name in MODEL_COLOURS):
        return None
    figure = _blank(320, language)
    for name, colour in MODEL_COLOURS.items():
        _add_f1(figure, runs, name, colour, language)
        reference = held_out.get(name)
        if reference is not None:
            _add_held_out(figure, runs, name, reference["value"], language)
    _mark_versions(figure, runs)
    figure.update_layout(margin={"t": 26})
    figure.update_yaxes(title=say("f1", language), rangemode="tozero", nticks=6)
    _dated(figure, _matured_ms(runs[0]), runs[-1].until_ms, language)
    return figure


def _add_f1(figure: go.Figure, runs: Sequence[RunLine], name: str, colour: str, language: str) -> None:
    times = [_time(_matured_ms(run)) for run in runs]
    found = [run.figures.get(f"f1:{name}") for run in runs]
    hover = f"%{{x|{FULL_DATES[language]}}}: %{{customdata}}"
    for low_or_high, fill in (("high", None), ("low", "tonexty")):
        figure.add_scatter(
            x=times, y=[None if f is None else f[low_or_high] for f in found], mode="lines",
            line={"width": 0}, fill=fill, fillcolor=_faint(colour), showlegend=False, hoverinfo="skip",
            connectgaps=False,
        )  # fmt: skip
    figure.add_scatter(
        x=times, y=[None if f is None else f["value"] for f in found], name=MODEL_TITLES[name],
        mode="lines+markers", line={"color": colour, "width": 2}, marker={"size": 6},
        customdata=["" if f is None else _with_limits(f, language) for f in found],
        hovertemplate=hover,
    )  # fmt: skip
    estimated = [run.figures.get(f"f1_estimated:{name}") for run in runs]
    # What nobody can have labelled yet is promised by the scores alone, up to the end of the newest window.
    times = [*times, _time(runs[-1].until_ms)]
    estimated = [*estimated, runs[-1].figures.get(f"f1_estimated_now:{name}")]
    figure.add_scatter(
        x=times, y=[None if f is None else f["value"] for f in estimated], mode="lines",
        name=say("estimated_of", language, model=MODEL_TITLES[name]),
        line={"color": colour, "width": 1.5, "dash": "dot"},
        customdata=["" if f is None else _with_limits(f, language) for f in estimated],
        hovertemplate=hover,
    )  # fmt: skip


def _matured_ms(run: RunLine) -> int:
    """Return when the predictions ended that a run's realised figures are of; earlier lines do not say."""
    return int(run.figures.get("matured_end_ms") or run.until_ms)


def _add_held_out(figure: go.Figure, runs: Sequence[RunLine], name: str, value: float, language: str) -> None:
    first, last = _matured_ms(runs[0]), runs[-1].until_ms
    pad = 0 if last > first else 3 * DAY_MS  # a line through a single point needs a length
    figure.add_scatter(
        x=[_time(first - pad), _time(last + pad)], y=[value, value], mode="lines", showlegend=False,
        name=f"{MODEL_TITLES[name]}, {say('held_out', language)}", line={
            "color": MODEL_COLOURS[name], "width": 1.5, "dash": "dash"
        }, hovertemplate=number(value, language, 3),
    )  # fmt: skip


def _with_limits(found: Mapping[str, Any], language: str) -> str:
    value, low, high = (found.get(key) for key in ("value", "low", "high"))
    if value is None or low is None or high is None:
        return "" if value is None else number(value, language, 3)
    return f"{number(value, language, 3)} ({number(low, language, 3)}\N{EN DASH}{number(high, language, 3)})"


def _dated(figure: go.Figure, first: int, last: int, language: str) -> None:
    """Name the beginning, the middle and the end: more dates would meet each other on a phone."""
    ends = sorted({first, (first + last) // 2, last})
    figure.update_xaxes(
        type="date", tickvals=[_time(moment) for moment in ends], tickformat=FULL_DATES[language],
        tickangle=0, showgrid=False,
    )  # fmt: skip
    figure.update_layout(margin={"r": 40})


def _mark_versions(figure: go.Figure, runs: Sequence[RunLine]) -> None:
    """Name the version at each run from which on another one served, the first included."""
    for i, run in enumerate(runs):
        if i and run.model_version == runs[i - 1].model_version:
            continue
        moment = _time(_matured_ms(run))
        figure.add_shape(
            type="line", x0=moment, x1=moment, y0=0, y1=1, yref="paper", layer="below",
            line={"color": MUTED, "width": 1},
        )  # fmt: skip
        figure.add_annotation(
            x=moment, y=1, yref="paper", text=plain(run.model_version), showarrow=False, xanchor="left",
            yanchor="bottom", xshift=-3, font={"size": 12, "color": MUTED},
        )  # fmt: skip


def drift_ranking(report: Mapping[str, Any], profile: Profile, language: str) -> go.Figure | None:
    """Return columns by how far they moved, those that drifted in red; None where nothing was compared.

    Names stand above their bars, so that long ones fit on a phone.
    """
    columns = [c for c in report["drift"]["columns"] if c["psi"] is not None]
    if not columns:
        return None
    ranked = sorted(columns, key=lambda c: (c["verdict"] != "drift", -c["psi"]))[:_MOST_COLUMNS]
    figure = _blank(_BAR_STEP_PX * len(ranked) + 8, language)
    names = [plain(column_name(c["name"], profile, language)) for c in ranked]
    shown = [number(c["psi"], language, 3) for c in ranked]
    places = list(range(len(ranked)))
    figure.add_bar(
        x=[c["psi"] for c in ranked], y=places, orientation="h", width=0.3, offset=0.12,
        marker={"color": [ALERT if c["verdict"] == "drift" else BEFORE for c in ranked]},
        customdata=[f"{name}: PSI {psi}" for name, psi in zip(names, shown, strict=True)],
        hovertemplate="%{customdata}<extra></extra>",
    )  # fmt: skip
    for place, column, name, psi in zip(places, ranked, names, shown, strict=True):
        bold = ("<b>", "</b>") if column["verdict"] == "drift" else ("", "")
        common = {"y": place + 0.12, "xref": "paper", "yanchor": "bottom", "showarrow": False, "borderpad": 0}
        figure.add_annotation(text=f"{bold[0]}{name}{bold[1]}", x=0, xanchor="left", **common)
        figure.add_annotation(text=f"{bold[0]}{psi}{bold[1]}", x=1, xanchor="right", **common)
    most = max(c["psi"] for c in ranked)
    figure.update_layout(showlegend=False, margin={"l": 0, "r": 0, "t": 4, "b": 4})
    figure.update_xaxes(visible=False, range=[0, max(most, 0.1)])
    figure.update_yaxes(visible=False, range=[len(ranked) - 0.45, -0.55])
    return figure


def before_and_now(curve: Mapping[str, Any], profile: Profile, language: str) -> go.Figure:
    """Return one column's distribution on held-out data and in the window, in the profile's words."""
    figure = _blank(260, language)
    names = (say("held_out", language), say("this_window", language))
    if curve["edges"]:
        edges = curve["edges"]
        for name, key, colour in zip(names, ("reference", "current"), (BEFORE, ALERT), strict=True):
            figure.add_scatter(
                x=edges, y=[*curve[key], curve[key][-1]], name=name, mode="lines",
                line={"color": colour, "width": 2, "shape": "hv"}, fill="tozeroy", fillcolor=_faint(colour),
            )  # fmt: skip
        figure.update_yaxes(title=say("density", language), rangemode="tozero", nticks=5)
        figure.update_xaxes(title=plain(unit_name(curve["unit"], language)), nticks=6, showgrid=False)
    else:
        levels = [plain(_level(curve["name"], level, profile, language)) for level in curve["levels"]]
        for name, key, colour in zip(names, ("reference", "current"), (BEFORE, ALERT), strict=True):
            figure.add_bar(x=levels, y=curve[key], name=name, marker={"color": colour})
        figure.update_yaxes(title=say("share", language), tickformat=".0%", rangemode="tozero", nticks=5)
        figure.update_xaxes(type="category", showgrid=False)
    return figure


def _level(column: str, level: str, profile: Profile, language: str) -> str:
    if level == "other":
        return say("other", language)
    field = profile.by_column.get(column)
    named = None if field is None else field.level_labels.get(level)
    return level if named is None else named.in_language(language)


def reliability(bands: Sequence[Mapping[str, Any]], model: str, language: str) -> go.Figure | None:
    """Return shares of frauds by score with their limits; None without a share or a promise.

    Both axes are logarithmic: most scores are far below 1%, and the alerts far above.
    """
    told = [band for band in bands if band["value"] is not None]
    promised = [band for band in bands if band["held_out"] is not None]
    if not told and not promised:
        return None
    figure, colour = _blank(300, language), MODEL_COLOURS[model]
    figure.add_scatter(
        x=[_FLOOR, 1], y=[_FLOOR, 1], mode="lines", line={"color": BEFORE, "width": 1.5},
        name=say("as_it_says", language), hoverinfo="skip",
    )  # fmt: skip
    figure.add_scatter(
        x=[max(band["score"], _FLOOR) for band in promised],
        y=[max(band["held_out"], _FLOOR) for band in promised],
        mode="lines", line={"color": colour, "width": 1.5, "dash": "dash"},
        name=say("held_out", language), hoverinfo="skip",
    )  # fmt: skip
    shares = [max(band["value"], _FLOOR) for band in told]
    figure.add_scatter(
        x=[max(band["score"], _FLOOR) for band in told], y=shares, mode="markers",
        marker={"size": 9, "color": colour, "symbol": ["circle" if b["value"] > 0 else "circle-open"
                                                        for b in told]},
        error_y={
            "type": "data", "symmetric": False, "color": colour, "thickness": 1.5, "width": 4,
            "array": [max(b["high"] - s, 0) for b, s in zip(told, shares, strict=True)],
            "arrayminus": [max(s - max(b["low"], _FLOOR), 0) for b, s in zip(told, shares, strict=True)],
        },
        customdata=[_band_words(band, language) for band in told],
        hovertemplate="%{customdata}<extra></extra>", name=say("this_window", language),
    )  # fmt: skip
    ticks = {
        "type": "log", "range": [-4.1, 0.08], "tickvals": [0.0001, 0.001, 0.01, 0.1, 1],
        "ticktext": [f"{number(v, language)}%" for v in (0.01, 0.1, 1, 10, 100)],
    }  # fmt: skip
    figure.update_xaxes(title=say("axis_score", language), **ticks)
    figure.update_yaxes(title=say("axis_fraud_share", language), **ticks)
    figure.update_layout(margin={"l": 64})
    return figure


def _band_words(band: Mapping[str, Any], language: str) -> str:
    shares = (f"{number(100 * band[key], language, 2)}%" for key in ("score", "value", "low", "high"))
    names = ("score", "share", "low", "high")
    answers = number(band["n_answers"], language, 0)
    return say("band_says", language, answers=answers, **dict(zip(names, shares, strict=True)))


def latency_over_time(runs: Sequence[RunLine], language: str) -> go.Figure | None:
    """Return the 95th percentile of the time to score one transaction; None before there is one."""
    known = [(run.until_ms, run.figures.get("latency_p95_ms")) for run in runs]
    if not any(value is not None for _, value in known):
        return None
    figure = _blank(220, language)
    figure.add_scatter(
        x=[_time(when) for when, _ in known],
        y=[value for _, value in known],
        mode="lines+markers",
        line={"color": MUTED, "width": 2},
        marker={"color": MUTED, "size": 6},
        customdata=["" if value is None else f"{number(value, language, 1)} ms" for _, value in known],
        hovertemplate=f"%{{x|{FULL_DATES[language]}}}: %{{customdata}}<extra></extra>",
    )
    figure.update_layout(showlegend=False)
    figure.update_yaxes(title="p95, ms", rangemode="tozero", nticks=5)
    _dated(figure, runs[0].until_ms, runs[-1].until_ms, language)
    return figure


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.12)"
