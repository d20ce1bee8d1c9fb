"""The Monitoring tab's words as HTML. Every text of a report is escaped: reports come from files."""

import html
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from fraud.data.profile import Profile
from fraud.formats import calendar, number, percentage
from fraud.models.report import MODEL_COLOURS, MODEL_TITLES
from fraud.monitoring.alerts import Alert, AlertState, alerts_from_json
from fraud.monitoring.history import MonitoringRecord
from fraud.monitoring.page import band_row, interval, shown
from fraud.monitoring.segments import Segment
from fraud.monitoring.words import (
    check_name,
    column_name,
    figure_name,
    headline,
    opinions_lines,
    reason,
    say,
    segment_name,
)
from fraud.ui.answers import icon
from fraud.ui.tables import swatch, table_html
from fraud.ui.texts import text

_TONES = {"healthy": "approve", "alert": "decline", "insufficient_evidence": "review"}
_ICONS = {"healthy": "approve", "alert": "alert", "insufficient_evidence": "unsure"}
RUN = "python -m fraud monitor"
_RETRAIN = "python -m fraud retrain"
_LONGER = "python -m fraud monitor --window 28d"
_SEGMENTS = 6
_PLAY = (
    "python -m fraud simulate-production --days 60 --event new_typology@30 --out played",
    "python -m fraud monitor --simulated played --until {until} --window 14d",
    "FRAUD_MONITORING_DIR=played/monitoring make demo",
)


def command(words: str) -> str:
    """Return a command as code that wraps only between its words."""
    return f"<code>{html.escape(words)}</code>"


def lead_html(record: MonitoringRecord | None, language: str) -> str:
    """Return the tab's title, and that its history is an example or was played where it is."""
    note = words = ""
    if record is not None and record.example:
        words = text("monitoring_example", language, command=command(RUN))
    elif record is not None and record.report.get("simulated"):
        words = text("monitoring_simulated", language)
    if words:
        note = f'<p class="example-note" role="note">{icon("unsure")}<span>{words}</span></p>'
    lead = f'<p class="quiet">{text("monitoring_lead", language)}</p>'
    return f"<h2>{text('monitoring_title', language)}</h2>{lead}{note}"


def empty_html(language: str, simulated_until: str) -> str:
    """Return what is missing before the first run, and the commands that bring it."""
    practise = ""
    if simulated_until:
        play = "\n".join(line.format(until=simulated_until) for line in _PLAY)
        practise = f"<h3>{text('monitoring_empty_play', language)}</h3><pre>{html.escape(play)}</pre>"
    return (
        f'<div class="glance"><p class="glance-state">{_chip("insufficient_evidence", language)}'
        f"<b>{text('monitoring_empty', language)}</b></p><p>{text('monitoring_empty_says', language)}</p>"
        f"<h3>{text('monitoring_empty_run', language)}</h3><pre>{RUN}</pre>{practise}</div>"
    )


def unreadable_html(sentence: str, language: str) -> str:
    """Return that a file cannot be shown, and what to do about it."""
    return (
        f'<div class="alert" role="alert"><p><b>{text("monitoring_unreadable", language)}</b></p>'
        f"<p>{html.escape(sentence)}</p></div>"
    )


def _chip(state: str, language: str) -> str:
    return f'<span class="decision {_TONES[state]}">{icon(_ICONS[state])}{say(state, language)}</span>'


def glance_html(record: MonitoringRecord, profile: Profile, serving: str, language: str) -> str:
    """Return the state, when it was looked at, what fires since when, and what to do."""
    report, state = record.report, str(record.report["state"])
    alerts = sorted(
        alerts_from_json(report["alerts"]).values(),
        key=lambda a: (a.state is not AlertState.FIRING, a.since_ms),
    )
    parts = [
        f'<p class="glance-state">{_chip(state, language)}<b>{headline(state, alerts, language)}</b></p>',
        f'<p class="quiet">{_looked(record, serving, language)}</p>',
        _alerts(alerts, profile, language),
    ]
    lacking = _lacking(report, language)
    if state == "insufficient_evidence" and lacking:
        items = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in lacking)
        parts.append(f"<h3>{text('monitoring_missing', language)}</h3><ul>{items}</ul>")
    steps = "".join(f"<li>{step}</li>" for step in _next_steps(state, alerts, language))
    parts.append(f"<h3>{text('monitoring_next', language)}</h3><ul>{steps}</ul>")
    return f'<div class="glance {_TONES[state]}" role="status">{"".join(parts)}</div>'


def _looked(record: MonitoringRecord, serving: str, language: str) -> str:
    report = record.report
    version = report["model"]["version"]
    words = text(
        "monitoring_looked", language, version=html.escape(version),
        start=_moment(report["window"]["start"], language), end=_moment(report["window"]["end"], language),
        first=_date(report["matured"]["start"], language), last=_date(report["matured"]["end"], language),
    )  # fmt: skip
    if record.runs and record.newest_ms > record.runs[-1].until_ms:
        words += " " + text("monitoring_late", language, newest=_moment(_iso(record.newest_ms), language))
    if version != serving:
        shown_versions = {"serving": html.escape(serving), "version": html.escape(version)}
        words += " " + text("monitoring_other_version", language, **shown_versions)
    return words


def _moment(iso: str, language: str) -> str:
    return html.escape(calendar(iso, language))


def _date(iso: str, language: str) -> str:
    return html.escape(calendar(iso, language, time=False))


def _iso(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat()


def _alerts(alerts: Sequence[Alert], profile: Profile, language: str) -> str:
    own = [alert for alert in alerts if not alert.key.startswith("segment:")]
    parts = [alert for alert in alerts if alert.key.startswith("segment:")]
    items = "".join(_alert(alert, profile, language) for alert in own)
    listed = f'<ul class="alerts">{items}</ul>' if items else ""
    if parts:
        key = "monitoring_segments_one" if len(parts) == 1 else "monitoring_segments"
        rows = "".join(_alert(alert, profile, language) for alert in parts)
        words = text(key, language, n=len(parts))
        listed += f'<details><summary>{words}</summary><ul class="alerts">{rows}</ul></details>'
    return listed


def _alert(alert: Alert, profile: Profile, language: str) -> str:
    name = html.escape(check_name(alert.key, profile, language))
    began = _date(_iso(alert.since_ms), language)
    since = text(f"monitoring_{alert.state.value}_since", language, since=began)
    unknown = f"; {text('monitoring_unknown', language)}" if alert.unknown else ""
    why = html.escape(reason(alert.reason, alert.params, language))
    tone = "decline" if alert.state is AlertState.FIRING else "review"
    mark = icon("alert" if alert.state is AlertState.FIRING else "unsure")
    return (
        f'<li><p><b>{name}</b> <span class="since {tone}">{mark}{since}{unknown}</span></p>'
        f'<p class="quiet">{why}</p></li>'
    )


def _lacking(report: Mapping[str, Any], language: str) -> list[str]:
    found = []
    for name, model in report["models"].items():
        if model["f1"]["health"] == "insufficient_evidence":
            found += [
                f"{MODEL_TITLES[name]}: {reason(r['code'], r['params'], language)}"
                for r in model["f1"]["reasons"]
            ]
    if report["drift"]["verdict"] == "insufficient evidence":
        found += [reason(r["code"], r["params"], language) for r in report["drift"]["reasons"]]
    return found


def _next_steps(state: str, alerts: Sequence[Alert], language: str) -> list[str]:
    if state == "healthy":
        return [text("next_healthy", language)]
    kinds = {alert.key.partition(":")[0] for alert in alerts}
    steps = []
    if kinds & {"f1", "concept_drift"}:
        steps.append(text("next_model", language, retrain=command(_RETRAIN)))
    if kinds & {"drift", "domain"}:
        steps.append(text("next_input", language, retrain=command(_RETRAIN)))
    if "segment" in kinds:
        steps.append(text("next_segment", language))
    return steps or [text("next_evidence", language, longer=command(_LONGER))]


def tiles_html(report: Mapping[str, Any], language: str) -> str:
    """Return the few figures that are looked at first."""
    none = text("tile_none", language)
    tiles = []
    for name, model in report["models"].items():
        found, held_out = model["realised"]["figures"].get("f1"), report["held_out_f1"].get(name)
        known = found is not None and found["value"] is not None
        detail = ""
        if found is not None and known:
            value = "—" if held_out is None else shown("f1", held_out["value"], language)
            limits = interval("f1", found, language)
            detail = text("tile_f1_detail", language, interval=limits, held_out=value)
        title = swatch(name) + text("tile_f1", language, model=MODEL_TITLES[name])
        tiles.append((title, shown("f1", found["value"], language) if found and known else none, detail))
    tiles += [_drift_tile(report, language), _answers_tile(report, language), _latency_tile(report, language)]
    cells = "".join(
        f"<div><dt>{title}</dt><dd><b>{value}</b> <span>{detail}</span></dd></div>"
        for title, value, detail in tiles
    )
    return f'<dl class="tiles">{cells}</dl>'


def _drift_tile(report: Mapping[str, Any], language: str) -> tuple[str, str, str]:
    columns = report["drift"]["columns"]
    compared = [c for c in columns if c["verdict"] != "insufficient evidence"]
    title = text("tile_drift", language)
    if not compared:
        return title, text("tile_none", language), text("tile_none_compared", language)
    n_drifted = sum(c["verdict"] == "drift" for c in compared)
    return title, str(n_drifted), text("tile_of", language, n=len(compared))


def _answers_tile(report: Mapping[str, Any], language: str) -> tuple[str, str, str]:
    realised = next(iter(report["models"].values()))["realised"]
    counts = {name: number(realised[f"n_{name}"], language, 0) for name in ("answers", "asked", "frauds")}
    return (
        text("tile_answers", language),
        counts.pop("answers"),
        text("tile_answers_detail", language, **counts),
    )


def _latency_tile(report: Mapping[str, Any], language: str) -> tuple[str, str, str]:
    found = report["operations"]
    p95 = found["latency_ms"].get("p95")
    value = text("tile_none", language) if p95 is None else f"{number(p95, language, 1)} ms"
    rate = number(found["per_day"], language, 0)
    return text("tile_latency", language), value, text("tile_latency_detail", language, rate=rate)


def question_html(question: str, *notes: str) -> str:
    """Return a chart's question, already escaped, with notes below it."""
    return f"<h3>{question}</h3>" + "".join(f'<p class="quiet">{note}</p>' for note in notes)


def judgements_html(report: Mapping[str, Any], language: str) -> str:
    """Return the question that the chart of F1 answers, and the answer in words."""
    answers = []
    for name, model in report["models"].items():
        # Below the held-out figure, and apart from what the scores promise: two questions, two answers.
        for found in (*model["f1"]["reasons"], *model["concept_drift"]["reasons"]):
            words = html.escape(reason(found["code"], found["params"], language))
            answers.append(f"<b>{MODEL_TITLES[name]}</b>: {words}")
    return question_html(say("f1_question", language), *answers)


def f1_legend_html(language: str) -> str:
    """Return what the lines of the chart of F1 are."""
    models = "".join(f"<span>{swatch(name)}{title}</span>" for name, title in MODEL_TITLES.items())
    lines = "".join(
        f'<span><i class="key {kind}"></i>{text(f"legend_{kind}", language)}</span>'
        for kind in ("realised", "estimated", "held_out", "version")
    )
    return f'<div class="marks">{models}{lines}</div>'


def figures_html(report: Mapping[str, Any], language: str) -> str:
    """Return both models' figures side by side: realised, estimated, naive, and what they rest on."""
    tables = "".join(_figures(name, model, language) for name, model in report["models"].items())
    question = question_html(text("figures_question", language), text("figures_realised_help", language))
    notes = "".join(f'<p class="fine">{say(note, language)}</p>' for note in ("naive_note", "cbpe_note"))
    notes = _opinions(report, language) + notes
    return f'{question}<div class="pair">{tables}</div>{notes}'


def _opinions(report: Mapping[str, Any], language: str) -> str:
    """Return what the answers rest on, model by model."""
    found = []
    for name, model in report["models"].items():
        words = html.escape(" ".join(opinions_lines(model.get("opinions"), language)))
        found.append(f'<p class="fine"><b>{MODEL_TITLES[name]}</b>: {words}</p>' if words else "")
    return "".join(found)


def _figures(name: str, model: Mapping[str, Any], language: str) -> str:
    realised, estimated = model["realised"], (model["estimated"] or {}).get("figures", {})
    rows = []
    for figure, found in realised["figures"].items():
        limits = interval(figure, found, language)
        spread = "" if limits == "—" or found["low"] == found["high"] else f"<small>{limits}</small>"
        n_answers, n_frauds = (number(found[key], language, 0) for key in ("n_answers", "n_frauds"))
        rows.append(
            [
                html.escape(figure_name(figure, language, str(found.get("basis", "audit")))),
                f"{shown(figure, found['value'], language)}{spread}",
                shown(figure, estimated.get(figure, {}).get("value"), language),
                shown(figure, realised["naive_biased"].get(figure), language),
                f"{n_answers} <small>({n_frauds})</small>",
            ]
        )
    header = [say(f"column_{key}", language) for key in ("figure", "realised", "estimated", "naive")]
    header.append(text("column_answers_frauds", language))
    return table_html(swatch(name) + MODEL_TITLES[name], header, rows)


def drift_html(report: Mapping[str, Any], profile: Profile, language: str) -> str:
    """Return the question that the ranking answers, with the answer and its legend."""
    notes = [html.escape(reason(r["code"], r["params"], language)) for r in report["drift"]["reasons"]]
    notes += [html.escape(reason(r["code"], r["params"], language)) for r in report["domain"]["reasons"]]
    drivers = [column_name(one["column"], profile, language) for one in report["domain"]["drivers"]]
    notes += [html.escape(say("drivers", language, columns=", ".join(drivers)))] if drivers else []
    season = [r for r in report["drift"].get("assumptions", []) if r["code"].startswith("season_")]
    notes += [html.escape(reason(r["code"], r["params"], language)) for r in season]
    legend = (
        f'<div class="marks"><span><i class="swatch drifted"></i>{text("legend_drifted", language)}</span>'
        f'<span><i class="swatch before"></i>{text("legend_as_before", language)}</span></div>'
    )
    compared = any(c["psi"] is not None for c in report["drift"]["columns"])
    return question_html(say("drift_question", language), *notes) + (legend if compared else "")


def drift_table_html(report: Mapping[str, Any], profile: Profile, language: str) -> str:
    """Return every column's verdict and effect, closed, with what the tests rest on."""
    columns = report["drift"]["columns"]
    if not columns:
        return ""
    rows = []
    for column in columns:
        lowest = min((test["q_value"] for test in column["tests"]), default=None)
        p_value = "—" if lowest is None else "&lt;0.001" if lowest < 0.001 else number(lowest, language, 3)
        rows.append(
            [
                html.escape(column_name(column["name"], profile, language)),
                say(column["verdict"], language),
                "—" if column["psi"] is None else number(column["psi"], language, 3),
                percentage(column["missing_reference"], language),
                percentage(column["missing_current"], language),
                p_value.replace(".", ",") if language.startswith("pt") else p_value,
            ]
        )
    keys = ("column", "verdict", "psi", "missing_before", "missing_now", "p_value")
    table = table_html("", [say(f"column_{key}", language) for key in keys], rows, 2)
    rests = "".join(
        f'<p class="fine">{html.escape(reason(r["code"], r["params"], language))}</p>'
        for r in report["drift"]["assumptions"]
    )
    words = text("drift_all", language, n=len(columns))
    legend = f'<p class="fine">{say("drift_legend", language)}</p>'
    return f"<details><summary>{words}</summary>{table}{legend}{rests}</details>"


def curve_legend_html(language: str) -> str:
    """Return which colour is then and which is now."""
    return (
        f'<div class="marks"><span><i class="swatch before"></i>{say("held_out", language)}</span>'
        f'<span><i class="swatch drifted"></i>{say("this_window", language)}</span></div>'
    )


def calibration_html(bands: Sequence[Mapping[str, Any]], model: str, language: str) -> str:
    """Return the question that a chart of calibration answers, with its legend."""
    question = question_html(swatch(model) + text("calibration_title", language, model=MODEL_TITLES[model]))
    if not any(band["value"] is not None or band["held_out"] is not None for band in bands):
        return question + f'<p class="quiet">{text("calibration_none", language)}</p>'
    keys = ["share"] * any(band["value"] is not None for band in bands)
    keys += ["promise"] * any(band["held_out"] is not None for band in bands) + ["equal"]
    items = "".join(
        f'<span><i class="key {key}" style="color:{MODEL_COLOURS[model]}"></i>'
        f"{text(f'legend_{key}', language)}</span>"
        for key in keys
    )
    return f'{question}<div class="marks">{items}</div>'


def calibration_table_html(bands: Sequence[Mapping[str, Any]], language: str) -> str:
    """Return the bands of scores as a table, closed."""
    if not bands:
        return ""
    keys = ("scores", "share", "interval", "held_out", "predictions", "answers", "frauds")
    rows = [[html.escape(cell) for cell in band_row(band, language)] for band in bands]
    table = table_html("", [say(f"column_{key}", language) for key in keys], rows, 0)
    return f"<details><summary>{text('calibration_table', language)}</summary>{table}</details>"


def segments_html(report: Mapping[str, Any], profile: Profile, language: str) -> str:
    """Return the parts of the traffic that could be judged, the worst first."""
    judged = [s for s in report["segments"] if s["judgement"]["health"] != "insufficient_evidence"]
    question, n = say("segments", language), len(report["segments"])
    if not judged:
        return question_html(question, text("segments_none", language, n=n))
    ranked = sorted(
        judged, key=lambda s: (s["judgement"]["health"] != "alert", s["gap"]["gap"] if s["gap"] else 0.0)
    )
    rows = []
    for part in ranked:
        found = part["realised"]["figures"].get("f1", {"value": None, "low": None, "high": None})
        health = part["judgement"]["health"]
        estimated = None if part["gap"] is None else part["gap"]["estimated"]
        rows.append(
            [
                html.escape(segment_name(Segment(**part["segment"]), profile, language))
                + f"<small>{swatch(part['model'])}{MODEL_TITLES[part['model']]}</small>",
                f'<span class="since {_TONES[health]}">{icon(_ICONS[health])}{say(health, language)}</span>',
                f"{shown('f1', found['value'], language)}<small>{interval('f1', found, language)}</small>",
                shown("f1", estimated, language),
                number(part["realised"]["n_frauds"], language, 0),
            ]
        )
    keys = ("segment", "verdict", "realised", "estimated", "frauds")
    header = [say(f"column_{key}", language) for key in keys]
    tables = table_html("", header, rows[:_SEGMENTS], 2)
    if rows[_SEGMENTS:]:
        words = text("segments_rest", language, n=len(rows) - _SEGMENTS)
        rest = table_html("", header, rows[_SEGMENTS:], 2)
        tables += f"<details><summary>{words}</summary>{rest}</details>"
    return question_html(question, say("segments_judged", language, n=len(judged), of=n)) + tables


def latency_html(report: Mapping[str, Any], language: str) -> str:
    """Return whether scoring is quick, in words."""
    found = report["operations"]
    count, rate = number(found["n_predictions"], language, 0), number(found["per_day"], language, 1)
    notes = [say("volume", language, n=count, rate=rate)]
    if set(found["latency_ms"]) == {"p50", "p95", "p99"}:
        times = {level: number(value, language, 1) for level, value in found["latency_ms"].items()}
        notes.append(say("latency", language, **times))
    else:
        notes.append(text("latency_none", language))
    return question_html(say("latency_question", language), *notes)


def basis_html(report: Mapping[str, Any], language: str) -> str:
    """Return what the whole page rests on."""

    def stretch(ends: Mapping[str, str]) -> str:
        return f"{_moment(ends['start'], language)} \N{EN DASH} {_moment(ends['end'], language)}"

    facts = {
        "version": html.escape(report["model"]["version"]),
        "revision": f"<code>{html.escape((report['dataset_revision'] or '—')[:12])}</code>",
        "window": stretch(report["window"]),
        "matured": stretch(report["matured"]),
        **{key: number(report[f"n_{key}"], language, 0) for key in ("predictions", "mature", "labels")},
    }
    rows = "".join(
        f"<div><dt>{say(f'basis_{key}', language)}</dt><dd>{value}</dd></div>" for key, value in facts.items()
    )
    return f'<h3>{say("basis", language)}</h3><dl class="facts">{rows}</dl>'
