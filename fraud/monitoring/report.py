"""A run's report as plain JSON, and its figures as Prometheus text."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from fraud.monitoring.alerts import Alert, AlertState, Finding
from fraud.monitoring.calibration import calibration_json
from fraud.monitoring.checks import State
from fraud.monitoring.examining import Examination, as_json
from fraud.monitoring.ledger import REPORT_SCHEMA

TREND: Final = ("f1", "f1_estimated", "f1_estimated_now", "alert_rate")
"""What the ledger keeps of a run for each model, to be drawn over time."""


def moment(milliseconds: int) -> str:
    """Return epoch milliseconds as an ISO 8601 text in UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat()


def report_of(
    examination: Examination,
    findings: Mapping[str, Finding],
    alerts: Mapping[str, Alert],
    state: State,
    *,
    dataset_revision: str | None,
    n_labels: int,
    unused: Mapping[str, int],
    simulated: bool = False,
    policy_digest: str,
) -> dict[str, Any]:
    """Return everything that a run found as a JSON object; the same inputs give the same object.

    `window` is what drift, operations and `estimated_now` look at; `matured`, as long and ended by the label
    delay, is what realised and estimated performance look at, and what `n_mature` and `n_labels` count.
    Figures named `naive_biased` rest on volunteered labels. `simulated`: no customer is behind any figure.
    """
    expected = examination.expectation
    delay_ms = round(expected.profile.features.label_delay_days * 86_400_000)
    end, length = examination.until_ms, examination.window_ms
    document = {
        "schema_version": REPORT_SCHEMA,
        "until": moment(end),
        "window": {"start": moment(end - length), "end": moment(end)},
        "matured": {"start": moment(end - delay_ms - length), "end": moment(end - delay_ms)},
        "dataset_revision": dataset_revision,
        "model": {"version": expected.version, "manifest_digest": expected.manifest_digest},
        "profile": expected.profile.name,
        "simulated": simulated,
        "policy_digest": policy_digest,
        "state": state,
        "n_predictions": examination.n_predictions,
        "n_mature": examination.n_mature,
        "n_labels": n_labels,
        "unused": dict(unused),
        "held_out_f1": {
            name: None if reference.f1 is None else reference.f1.to_json()
            for name, reference in expected.models.items()
        },
        "models": {name: assessment.to_json() for name, assessment in examination.models.items()},
        "calibration": calibration_json(examination.calibration),
        "segments": [part.to_json() for part in examination.segments],
        "drift": examination.drift.to_json(),
        "curves": [curve.to_json() for curve in examination.curves],
        "domain": examination.domain.to_json(),
        "operations": {
            "n_predictions": examination.operations.n_predictions,
            "per_day": examination.operations.per_day,
            "latency_ms": dict(examination.operations.latency_ms),
            "versions": dict(examination.operations.versions),
        },
        "findings": [
            {"key": f.key, "holds": f.holds, "severity": f.severity, "code": f.reason, "params": f.params}
            for f in findings.values()
        ],
        "alerts": [alert.to_json() for alert in alerts.values()],
    }
    return dict(as_json(document))


def trend_figures(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the few figures of a report that the ledger keeps.

    `matured_end_ms` is where `f1`, `f1_estimated` and `alert_rate` belong on an axis of time: what they are
    of ended a label delay before the run's window did. There `f1_estimated_now` belongs. Earlier lines lack
    both.
    """
    matured_end = datetime.fromisoformat(report["matured"]["end"])
    kept: dict[str, Any] = {
        "latency_p95_ms": report["operations"]["latency_ms"].get("p95"),
        "matured_end_ms": round(matured_end.timestamp() * 1000),
    }
    for name, model in report["models"].items():
        realised = model["realised"]["figures"]
        estimated = (model["estimated"] or {}).get("figures", {})
        kept[f"f1:{name}"] = _short(realised.get("f1"))
        kept[f"f1_estimated:{name}"] = _short(estimated.get("f1"))
        now = (model.get("estimated_now") or {}).get("figures", {})
        kept[f"f1_estimated_now:{name}"] = _short(now.get("f1"))
        kept[f"alert_rate:{name}"] = _short(realised.get("alert_rate"))
    return kept


def _short(figure: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if figure is None or figure.get("value") is None:
        return None
    return {key: figure.get(key) for key in ("value", "low", "high")}


def prometheus_text(report: Mapping[str, Any]) -> str:
    """Return a report's figures in Prometheus' text format, for a textfile collector.

    Labels take models, figures, columns of the profile and the names of checks: none that a client chooses.
    """
    gauges: list[_Gauge] = []

    def gauge(name: str, words: str, *labels: str) -> _Gauge:
        gauges.append(_Gauge(f"fraud_monitoring_{name}", words, labels))
        return gauges[-1]

    until = datetime.fromisoformat(report["until"]).timestamp()
    gauge("window_end_timestamp_seconds", "End of the window that was looked at.").set(until)
    gauge("predictions", "Predictions of the window by the serving version.").set(report["n_predictions"])
    gauge("simulated", "1 where the figures are of a simulated production.").set(
        float(bool(report.get("simulated")))
    )
    state = gauge("state", "1 for the state of the window, 0 for the others.", "state")
    for name in ("healthy", "alert", "insufficient_evidence"):
        state.labels(name).set(float(report["state"] == name))
    figures = gauge(
        "performance", "Realised figures, from the audit sample by inverse probability.", "model", "figure"
    )
    bounds = gauge("performance_bound", "Their 95% limits.", "model", "figure", "bound")
    estimated = gauge(
        "performance_estimated",
        "The same figures without labels; blind to concept drift.",
        "model",
        "figure",
    )
    present = gauge(
        "performance_estimated_now",
        "What the scores of the present window promise, before its labels are known.",
        "model",
        "figure",
    )
    lone = gauge("answers_on_one_opinion", "Answers of the audit that rest on one opinion.", "model")
    waiting = gauge("claims_awaiting", "Claims of missed frauds that wait for a second opinion.", "model")
    naive = gauge("performance_naive", "The same from volunteered labels: biased.", "model", "figure")
    for name, model in report["models"].items():
        lone.labels(name).set(model["opinions"]["n_lone"])
        waiting.labels(name).set(model["opinions"]["n_awaiting"])
        for figure, found in model["realised"]["figures"].items():
            if found["value"] is not None:
                figures.labels(name, figure).set(found["value"])
            for bound in ("low", "high"):
                if found[bound] is not None:
                    bounds.labels(name, figure, bound).set(found[bound])
        for figure, found in (model["estimated"] or {}).get("figures", {}).items():
            estimated.labels(name, figure).set(found["value"])
        for figure, found in (model.get("estimated_now") or {}).get("figures", {}).items():
            present.labels(name, figure).set(found["value"])
        for figure, value in model["realised"]["naive_biased"].items():
            if value is not None:
                naive.labels(name, figure).set(value)
    effect = gauge("drift_psi", "Population stability index of a column.", "column")
    drifted = gauge("drift_detected", "Whether a column has drifted.", "column")
    for column in report["drift"]["columns"]:
        if column["psi"] is not None:
            effect.labels(column["name"]).set(column["psi"])
        drifted.labels(column["name"]).set(float(column["verdict"] == "drift"))
    firing = gauge("alert_firing", "1 while an alert fires, 0 while it is pending.", "alert")
    for alert in report["alerts"]:
        if not str(alert["key"]).startswith("segment:"):  # levels of open categories come from clients
            firing.labels(alert["key"]).set(float(alert["state"] == AlertState.FIRING))
    parts = gauge("segment_alerts_firing", "Alerts that fire on parts of the traffic.")
    fire = [a["key"] for a in report["alerts"] if a["state"] == AlertState.FIRING]
    parts.set(sum(str(key).startswith("segment:") for key in fire))
    return "".join(found.text() for found in gauges)


class _Gauge:
    """One family of Prometheus' text format: its library keeps figures of a process, these are a report's."""

    def __init__(self, name: str, words: str, names: tuple[str, ...]) -> None:
        self._name, self._words, self._names = name, words, names
        self._samples: dict[tuple[str, ...], float] = {}
        self._current: tuple[str, ...] = ()

    def labels(self, *values: object) -> "_Gauge":
        """Choose the sample that `set` sets."""
        self._current = tuple(str(value) for value in values)
        return self

    def set(self, value: float) -> None:
        """Set the chosen sample."""
        self._samples[self._current] = float(value)

    def text(self) -> str:
        """Return the family as text."""
        lines = [f"# HELP {self._name} {self._words}", f"# TYPE {self._name} gauge"]
        for values, figure in self._samples.items():
            pairs = [f'{n}="{_escaped(v)}"' for n, v in zip(self._names, values, strict=True)]
            lines.append(f"{self._name}{'{' + ','.join(pairs) + '}' if pairs else ''} {figure!r}")
        return "\n".join(lines) + "\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
