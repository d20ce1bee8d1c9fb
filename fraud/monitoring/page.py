"""The report as a page for people: what state things are in, then why, then what it rests on."""

from collections.abc import Mapping, Sequence
from typing import Any

from fraud.data.profile import Profile
from fraud.formats import calendar, number, percentage
from fraud.html_page import Block, Chart, Heading, Paragraph, Table, render
from fraud.models.report import MODEL_TITLES
from fraud.monitoring import figures
from fraud.monitoring.alerts import alerts_from_json
from fraud.monitoring.ledger import RunLine
from fraud.monitoring.segments import Segment
from fraud.monitoring.words import (
    alert_line,
    column_name,
    figure_name,
    headline,
    opinions_lines,
    reason,
    say,
    segment_name,
    segments_line,
)

_TONES = {"healthy": "ok", "alert": "alert", "insufficient_evidence": "unknown"}
_CURVES = 6
_TO = "\N{EN DASH}"
_PERCENT = frozenset({"accuracy", "accuracy_never_fraud", "fraud_rate", "alert_rate"})


def page(report: Mapping[str, Any], runs: Sequence[RunLine], profile: Profile, language: str) -> str:
    """Return a report as one self-contained HTML file."""
    window = {key: calendar(report["window"][key], language) for key in ("start", "end")}
    lead = say("report_lead", language, version=report["model"]["version"], **window)
    blocks: list[Block] = [
        *_state(report, profile, language),
        *_performance(report, runs, language),
        *_drift(report, profile, language),
        *_segments(report, profile, language),
        *_operations(report, runs, language),
        *_basis(report, language),
    ]
    return render(say("report_title", language), lead, blocks, language)


def _stretch(ends: Mapping[str, str], language: str) -> str:
    return f"{calendar(ends['start'], language)} {_TO} {calendar(ends['end'], language)}"


def _state(report: Mapping[str, Any], profile: Profile, language: str) -> list[Block]:
    alerts = alerts_from_json(report["alerts"]).values()
    state = str(report["state"])
    blocks: list[Block] = [Paragraph(say("simulated", language), "note")] if report.get("simulated") else []
    blocks += [Paragraph(f"{say(state, language)}. {headline(state, alerts, language)}", _TONES[state])]
    own = [alert for alert in alerts if not alert.key.startswith("segment:")]
    blocks += [Paragraph(alert_line(alert, profile, language)) for alert in own]
    if len(own) < len(alerts):
        blocks.append(Paragraph(segments_line(len(alerts) - len(own), language)))
    return blocks


def _performance(report: Mapping[str, Any], runs: Sequence[RunLine], language: str) -> list[Block]:
    blocks: list[Block] = [Heading(say("performance", language), "performance")]
    for name, model in report["models"].items():
        for judged in ("f1", "concept_drift"):
            for found in model[judged]["reasons"]:
                words = reason(found["code"], found["params"], language)
                blocks.append(Paragraph(f"{MODEL_TITLES[name]}: {words}"))
    drawn = figures.f1_over_time(runs, report["held_out_f1"], language)
    if drawn is not None:
        blocks.append(Chart(say("f1_question", language), say("f1_legend", language), drawn))
    ends = {key: calendar(report["matured"][key], language) for key in ("start", "end")}
    blocks.append(Paragraph(say("performance_of", language, **ends)))
    for name, model in report["models"].items():
        blocks.append(_figures_table(name, model, language))
        blocks += [Paragraph(line) for line in _estimated_now(name, model, report["window"], language)]
        blocks += [Paragraph(line) for line in opinions_lines(model.get("opinions"), language)]
    blocks.append(Paragraph(say("naive_note", language), "note"))
    blocks.append(Paragraph(say("cbpe_note", language), "note"))
    return [*blocks, *_calibration(report, language)]


def _estimated_now(
    name: str, model: Mapping[str, Any], window: Mapping[str, str], language: str
) -> list[str]:
    found = model.get("estimated_now")
    if not found or "f1" not in found["figures"]:
        return []
    f1 = found["figures"]["f1"]
    return [
        say(
            "estimated_now",
            language,
            model=MODEL_TITLES[name],
            value=shown("f1", f1["value"], language),
            interval=interval("f1", f1, language),
            n=number(found["n_predictions"], language, 0),
            start=calendar(window["start"], language),
            end=calendar(window["end"], language),
        )
    ]


def _calibration(report: Mapping[str, Any], language: str) -> list[Block]:
    blocks: list[Block] = []
    for name, found in report.get("calibration", {}).items():
        drawn = figures.reliability(found["bins"], name, language)
        if drawn is not None:
            title = say("calibration_question", language, model=MODEL_TITLES[name])
            blocks.append(Chart(title, say("calibration_legend", language), drawn))
            header = ("scores", "share", "interval", "held_out", "predictions", "answers", "frauds")
            rows = [band_row(band, language) for band in found["bins"]]
            blocks.append(Table(MODEL_TITLES[name], _header(header, language), rows))
    return blocks


def band_row(band: Mapping[str, Any], language: str) -> list[str]:
    """Return a band of scores as cells: mean score, share of frauds, its limits, the promise, counts."""
    return [
        shown("fraud_rate", band["score"], language),
        shown("fraud_rate", band["value"], language),
        interval("fraud_rate", band, language),
        shown("fraud_rate", band["held_out"], language),
        *(number(band[key], language, 0) for key in ("n_predictions", "n_answers", "n_frauds")),
    ]


def _figures_table(name: str, model: Mapping[str, Any], language: str) -> Table:
    realised, estimated = model["realised"], (model["estimated"] or {}).get("figures", {})
    rows = []
    for figure, found in realised["figures"].items():
        rows.append(
            [
                figure_name(figure, language, found.get("basis", "audit")),
                shown(figure, found["value"], language),
                interval(figure, found, language),
                shown(figure, realised["naive_biased"].get(figure), language),
                shown(figure, estimated.get(figure, {}).get("value"), language),
                interval(figure, estimated.get(figure, {}), language),
                number(found["n_answers"], language, 0),
                number(found["n_frauds"], language, 0),
            ]
        )
    header = ("figure", "realised", "interval", "naive", "estimated", "interval", "answers", "frauds")
    return Table(MODEL_TITLES[name], _header(header, language), rows)


def _header(names: Sequence[str], language: str) -> list[str]:
    return [say(f"column_{name}", language) for name in names]


def shown(figure: str, value: float | None, language: str) -> str:
    """Return one figure as people read it; a dash where there is none."""
    if value is None:
        return "—"
    if figure in _PERCENT:
        return f"{number(100 * value, language, 2)}%"
    return number(value, language, 2 if figure == "cost_per_1000" else 3)


def interval(figure: str, found: Mapping[str, Any], language: str) -> str:
    """Return 95% limits; a dash where there are none."""
    if found.get("low") is None or found.get("high") is None:
        return "—"
    return f"{shown(figure, found['low'], language)} {_TO} {shown(figure, found['high'], language)}"


def _drift(report: Mapping[str, Any], profile: Profile, language: str) -> list[Block]:
    drift, domain = report["drift"], report["domain"]
    blocks: list[Block] = [Heading(say("inputs", language), "inputs")]
    blocks += [Paragraph(reason(r["code"], r["params"], language)) for r in drift["reasons"]]
    ranking = figures.drift_ranking(report, profile, language)
    if ranking is not None:
        blocks.append(Chart(say("drift_question", language), say("drift_legend", language), ranking))
        rows = [_drift_row(column, profile, language) for column in drift["columns"]]
        header = ("column", "verdict", "psi", "missing_before", "missing_now", "p_value")
        blocks.append(Table(say("drift_table", language), _header(header, language), rows, 2))
    drifted = {column["name"] for column in drift["columns"] if column["verdict"] == "drift"}
    for curve in [c for c in report["curves"] if c["name"] in drifted][:_CURVES]:
        title = say("curve_question", language, column=column_name(curve["name"], profile, language))
        drawn = figures.before_and_now(curve, profile, language)
        blocks.append(Chart(title, say("curve_legend", language), drawn))
    blocks += [Paragraph(reason(r["code"], r["params"], language)) for r in domain["reasons"]]
    if domain["drivers"]:
        names = ", ".join(column_name(d["column"], profile, language) for d in domain["drivers"])
        blocks.append(Paragraph(say("drivers", language, columns=names)))
    blocks += [Paragraph(reason(r["code"], r["params"], language), "note") for r in drift["assumptions"]]
    return blocks


def _drift_row(column: Mapping[str, Any], profile: Profile, language: str) -> list[str]:
    lowest = min((test["q_value"] for test in column["tests"]), default=None)
    return [
        column_name(column["name"], profile, language),
        say(column["verdict"], language),
        "—" if column["psi"] is None else number(column["psi"], language, 3),
        percentage(column["missing_reference"], language),
        percentage(column["missing_current"], language),
        "—" if lowest is None else "<0.001" if lowest < 0.001 else number(lowest, language, 3),
    ]


def _segments(report: Mapping[str, Any], profile: Profile, language: str) -> list[Block]:
    judged = [s for s in report["segments"] if s["judgement"]["health"] != "insufficient_evidence"]
    blocks: list[Block] = [Heading(say("segments", language), "segments")]
    blocks.append(Paragraph(say("segments_judged", language, n=len(judged), of=len(report["segments"]))))
    if judged:
        ranked = sorted(judged, key=lambda s: (s["judgement"]["health"] != "alert", s["gap"]["gap"]))
        rows = [
            [
                segment_name(Segment(**s["segment"]), profile, language),
                MODEL_TITLES[s["model"]],
                say(s["judgement"]["health"], language),
                shown("f1", s["realised"]["figures"]["f1"]["value"], language),
                interval("f1", s["realised"]["figures"]["f1"], language),
                shown("f1", s["gap"]["estimated"], language),
                number(s["realised"]["n_frauds"], language, 0),
            ]
            for s in ranked
        ]
        header = ("segment", "model", "verdict", "realised", "interval", "estimated", "frauds")
        blocks.append(Table(say("segments_table", language), _header(header, language), rows, 3))
    return blocks


def _operations(report: Mapping[str, Any], runs: Sequence[RunLine], language: str) -> list[Block]:
    found = report["operations"]
    blocks: list[Block] = [Heading(say("operations", language), "operations")]
    rate = number(found["per_day"], language, 1)
    count = number(found["n_predictions"], language, 0)
    blocks.append(Paragraph(say("volume", language, n=count, rate=rate)))
    if found["latency_ms"]:
        times = {level: number(value, language, 1) for level, value in found["latency_ms"].items()}
        blocks.append(Paragraph(say("latency", language, **times)))
    drawn = figures.latency_over_time(runs, language)
    if drawn is not None and len(runs) > 1:
        blocks.append(Chart(say("latency_question", language), say("latency_legend", language), drawn))
    return blocks


def _basis(report: Mapping[str, Any], language: str) -> list[Block]:
    rows = [
        [say("basis_version", language), report["model"]["version"]],
        [say("basis_revision", language), report["dataset_revision"] or "—"],
        [say("basis_window", language), _stretch(report["window"], language)],
        [say("basis_matured", language), _stretch(report["matured"], language)],
        [say("basis_predictions", language), number(report["n_predictions"], language, 0)],
        *_unused(report, language),
        [say("basis_mature", language), number(report["n_mature"], language, 0)],
        [say("basis_labels", language), number(report["n_labels"], language, 0)],
    ]
    return [
        Heading(say("basis", language), "basis"),
        Table("", _header(("figure", "value"), language), rows, 2),
    ]


def _unused(report: Mapping[str, Any], language: str) -> list[list[str]]:
    n_unused = sum(report["unused"].values())
    return [[say("basis_unused", language), number(n_unused, language, 0)]] if n_unused else []
