"""A small monitoring directory for tests: a report as `report_of` writes it, and a ledger of two runs."""

import copy
import json
from pathlib import Path
from typing import Any

UNTIL_MS = 1_777_420_800_000  # 2026-04-29
DAY_MS = 86_400_000


def _figure(value: float | None, low: float | None, high: float | None) -> dict[str, Any]:
    counted = {"n_answers": 120, "n_frauds": 30, "effective_n": 80.0, "basis": "audit"}
    return {"value": value, "low": low, "high": high, **counted}


def _model(name: str) -> dict[str, Any]:
    judged = {
        "health": "healthy",
        "reasons": [{"code": "as_estimated", "params": {"realised": 0.5, "estimated": 0.52}}],
    }
    return {
        "model": name,
        "opinions": {
            "n_lone": 112,
            "n_confirmed": 3,
            "n_overturned": 5,
            "n_weighty": 80,
            "n_awaiting": 1,
            "lone_weight": 5.0,
            "error": {
                "assumed": 0.02,
                "found": {"value": 0.0625, "low": 0.027, "high": 0.15},
                "used": 0.027,
            },
        },
        "realised": {
            "n_asked": 200,
            "n_answers": 120,
            "n_frauds": 30,
            "figures": {"f1": _figure(0.5, 0.4, 0.6), "fraud_rate": _figure(0.006, 0.004, 0.009)},
            "naive_biased": {"f1": 0.7},
        },
        "estimated": {"figures": {"f1": {"value": 0.52, "low": 0.45, "high": 0.6}}},
        "f1": judged,
        "concept_drift": judged,
    }


_BAND = {"score": 0.2, "held_out": 0.21, "value": 0.25, "low": 0.1, "high": 0.4}
REPORT: dict[str, Any] = {
    "schema_version": 1,
    "until": "2026-04-29T00:00:00+00:00",
    "window": {"start": "2026-04-15T00:00:00+00:00", "end": "2026-04-29T00:00:00+00:00"},
    "matured": {"start": "2026-04-08T00:00:00+00:00", "end": "2026-04-22T00:00:00+00:00"},
    "dataset_revision": "a" * 40,
    "model": {"version": "1.0.0", "manifest_digest": "d"},
    "profile": "cards",
    "state": "healthy",
    "n_predictions": 5000,
    "n_mature": 2500,
    "n_labels": 300,
    "held_out_f1": {
        "random_forest": {"value": 0.52, "low": 0.49, "high": 0.55},
        "xgboost": {"value": 0.51, "low": 0.48, "high": 0.54},
    },
    "models": {name: _model(name) for name in ("random_forest", "xgboost")},
    "calibration": {
        name: {"bins": [{**_BAND, "n_predictions": 90, "n_answers": 40, "n_frauds": 11}]}
        for name in ("random_forest", "xgboost")
    },
    "segments": [],
    "drift": {
        "verdict": "drift",
        "reasons": [{"code": "columns_drifted", "params": {"n": 1, "of": 2}}],
        "columns": [
            {
                "name": name,
                "verdict": verdict,
                "psi": psi,
                "missing_reference": 0.0,
                "missing_current": 0.0,
                "tests": [{"q_value": 0.0004}],
            }
            for name, verdict, psi in (("amount", "ok", 0.01), ("card_age_days", "drift", 0.8))
        ],
        "assumptions": [],
    },
    "curves": [
        {
            "name": "card_age_days",
            "unit": "days",
            "edges": [0.0, 1.0, 2.0],
            "levels": [],
            "reference": [0.4, 0.6],
            "current": [0.9, 0.1],
        },
        {
            "name": "channel",
            "unit": "",
            "edges": [],
            "levels": ["chip", "other"],
            "reference": [0.9, 0.1],
            "current": [0.8, 0.2],
        },
    ],
    "domain": {"verdict": "ok", "reasons": [{"code": "stretches_alike", "params": {}}], "drivers": []},
    "operations": {
        "n_predictions": 5000,
        "per_day": 357.1,
        "latency_ms": {"p50": 4.0, "p95": 7.0, "p99": 9.0},
        "versions": {"1.0.0": 5000},
    },
    "alerts": [],
}


def alert(key: str, reason: str = "below_estimate", state: str = "firing", **params: Any) -> dict[str, Any]:
    return {
        "key": key,
        "state": state,
        "severity": "warning",
        "since_ms": UNTIL_MS - 3 * DAY_MS,
        "last_true_ms": UNTIL_MS,
        "reason": reason,
        "params": params,
        "fired_ms": UNTIL_MS if state == "firing" else None,
        "unknown": False,
    }


def report(**changes: Any) -> dict[str, Any]:
    return copy.deepcopy(REPORT) | changes


def run_line(until_ms: int = UNTIL_MS, version: str = "1.0.0", **changes: Any) -> dict[str, Any]:
    short = {"value": 0.5, "low": 0.4, "high": 0.6}
    return {
        "until_ms": until_ms,
        "window_ms": 14 * DAY_MS,
        "dataset_revision": "a" * 40,
        "model_version": version,
        "manifest_digest": "d",
        "state": "healthy",
        "figures": {f"f1:{m}": short for m in ("random_forest", "xgboost")} | {"latency_p95_ms": 7.0},
    } | changes


def write_monitoring(directory: Path, document: Any = None, runs: Any = None, *, flat: bool = False) -> None:
    """Write a ledger and a report below it; `flat` as the example of a release lies."""
    place = directory if flat else directory / "report"
    place.mkdir(parents=True, exist_ok=True)
    (place / "report.json").write_text(json.dumps(REPORT if document is None else document))
    lines = [run_line(UNTIL_MS - 7 * DAY_MS), run_line()] if runs is None else runs
    ledger = {"schema_version": 1, "alerts": [], "runs": lines}
    (directory / "ledger.json").write_text(json.dumps(ledger))
