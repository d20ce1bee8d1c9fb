"""Releases that differ as real ones do (figures, data, cut-offs, gate reports), made from one bundle."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fraud.models.bundle import GOLDEN_FILE, MANIFEST, seal
from fraud.retraining.finishing import REPORT_FILES
from fraud.retraining.gate import Check, GatePolicy, Verdict
from fraud.retraining.gate_report import GateReport, write_report

MODELS = ("random_forest", "xgboost")


def gate_report(champion: str, challenger: str, *, passed: bool = True, gain: float = 0.01) -> GateReport:
    """Return a report with a few rules of every kind; a refusal is one of a slice."""
    checks = []
    for model in MODELS:
        for metric in ("ap", "f1"):
            params = {
                "value": gain, "low": gain - 0.009, "high": gain + 0.009, "metric": metric, "margin": 0.02,
                "improved": gain > 0.009,
            }  # fmt: skip
            checks.append(Check("margin", True, params, model))
    if passed:
        checks.append(Check("slices", True, {"n": 22, "n_too_small": 3, "needed": 50}))
    else:
        harmed = {
            "slice": "channel=chip", "n": 88, "champion": 0.81, "challenger": 0.42, "margin": 0.11,
            "p": 0.0005,
        }  # fmt: skip
        checks.append(Check("slice_recall", False, harmed, "xgboost"))
    checks.append(Check("gold", True, {"uses": 4, "budget": 50}))
    return GateReport(
        run_id="20261121T070000Z-0a1b2c3d",
        made_at="2026-11-21T07:00:00+00:00",
        champion=champion,
        challenger=challenger,
        dataset_revision="ab" * 20,
        n_labels=184,
        window={"n_rows": 9_000, "n_frauds": 120},
        window_words="9,000 transactions with 120 frauds",
        verdict=Verdict(tuple(checks)),
        evidence=None,
        policy=GatePolicy(),
    )


def make_release(
    bundle: Path,
    directory: Path,
    version: str,
    *,
    champion: str | None = None,
    gain: float = 0.0,
    n_labels: int = 0,
    report: GateReport | None = None,
    decline: float | None = None,
    **changes: Any,
) -> Path:
    """Write a release into ``directory / version`` and return it.

    Parameters
    ----------
    champion : the version that it was retrained against; None for one that came from no retraining
    gain : what is added to every figure in [0, 1]
    changes : entries of the manifest, set last
    """
    target = directory / version
    shutil.copytree(bundle, target)
    manifest = json.loads((target / MANIFEST).read_text())
    manifest["version"] = version
    manifest["created_at"] = f"2026-11-2{version[-1]}T07:00:00+00:00"
    if decline is not None:
        for entry in manifest["models"].values():
            entry["thresholds"]["decline"] = decline
        (target / GOLDEN_FILE).unlink(missing_ok=True)  # its answers are those of other cut-offs
    for entry in manifest["models"].values():
        for name in ("f1", "ap", "auc", "precision", "recall"):
            entry["metrics"][name] = {
                end: None if value is None else round(value + gain, 6)
                for end, value in entry["metrics"][name].items()
            }
    if champion is not None:
        figures = {
            f"difference_{name}": {"value": gain, "low": gain - 0.009, "high": gain + 0.009}
            for name in ("ap", "f1")
        }
        manifest["data"]["feedback"] = {
            "dataset_revision": "ab" * 20,
            "n_labels": n_labels,
            "unused": {"in quarantine": 12},
            "champion": champion,
            "gate": {model: {"n_frauds": 120, **figures} for model in MODELS},
        }
        reasons = ["the same recipe on other data"]
        manifest["change"] = {"replaces": champion, "size": "patch", "reasons": reasons}
    if report is not None:
        write_report(report, target)
        for name, path in REPORT_FILES.items():
            (target / name).rename(target / path)
    manifest |= changes
    seal(target, manifest)
    return target


def pass_of_time(day: int) -> datetime:
    """Return noon of a day of November 2026."""
    return datetime(2026, 11, day, 12, 0, tzinfo=UTC)
