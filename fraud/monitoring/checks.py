"""From an examination to findings: one for each thing an operator may be told of, by a name that lasts."""

from collections.abc import Mapping
from typing import Literal

from fraud.monitoring.alerts import Alert, AlertState, Finding, Severity
from fraud.monitoring.drift_records import ColumnDrift
from fraud.monitoring.examining import Examination
from fraud.monitoring.segments import MISSING, OTHER, SegmentAssessment
from fraud.monitoring.verdicts import Health, Judgement

State = Literal["healthy", "alert", "insufficient_evidence"]
CERTAIN = 4.0
"""An effect so many times the least that counts is not waited for: a column gone, a unit changed."""
_HOLDS = {Health.ALERT: True, Health.HEALTHY: False, Health.INSUFFICIENT_EVIDENCE: None}


def findings_of(examination: Examination) -> dict[str, Finding]:
    """Return what the checks of a run came to, by key."""
    found = []
    for model, assessment in examination.models.items():
        found.append(_judged(f"f1:{model}", assessment.f1, _twice_the_margin(assessment.f1)))
        found.append(_judged(f"concept_drift:{model}", assessment.drift, _beyond_doubt(assessment.drift)))
    found += [_column(column) for column in examination.drift.columns]
    found += [_segment(part) for part in examination.segments]
    domain = examination.domain
    holds = {"drift": True, "ok": False, "insufficient evidence": None}[domain.verdict]
    reason = domain.reasons[0]
    found.append(Finding("domain", holds, Severity.WARNING, reason.code, dict(reason.params)))
    return {finding.key: finding for finding in found}


def state_of(examination: Examination, findings: Mapping[str, Finding], alerts: Mapping[str, Alert]) -> State:
    """Return the state of a window.

    Healthy only where F1 of both models and the inputs could be judged and nothing was found: what holds and
    has not lasted long enough to fire is no alert yet, and no health either.
    """
    if any(alert.state is AlertState.FIRING for alert in alerts.values()):
        return "alert"
    judged = [assessment.f1.health for assessment in examination.models.values()]
    enough = Health.INSUFFICIENT_EVIDENCE not in judged
    enough = enough and examination.drift.verdict != "insufficient evidence"
    found = any(finding.holds for finding in findings.values())
    return "healthy" if enough and not found else "insufficient_evidence"


def _judged(key: str, judgement: Judgement, certain: bool) -> Finding:
    reason = judgement.reasons[0]
    severity = Severity.CRITICAL if certain else Severity.WARNING
    return Finding(key, _HOLDS[judgement.health], severity, reason.code, dict(reason.params))


def _twice_the_margin(judgement: Judgement) -> bool:
    params = judgement.reasons[0].params
    high, margin = params.get("high"), params.get("margin")
    return isinstance(high, float) and isinstance(margin, float) and high < -2 * margin


def _beyond_doubt(judgement: Judgement) -> bool:
    p_value = judgement.reasons[0].params.get("p_value")
    return isinstance(p_value, float) and p_value <= 0.002


def _column(column: ColumnDrift) -> Finding:
    alerts = [test for test in column.tests if test.alert]
    certain = any(t.aspect != "distribution" or t.effect >= CERTAIN * t.minimum for t in alerts)
    holds = {"drift": True, "ok": False, "insufficient evidence": None}[column.verdict]
    code = column.reasons[0].code if column.reasons else "as_before"
    params = dict(column.reasons[0].params) if column.reasons else {}
    severity = Severity.CRITICAL if certain else Severity.WARNING
    return Finding(f"drift:{column.name}", holds, severity, code, params)


def _segment(part: SegmentAssessment) -> Finding:
    # A level may be called "other" or "missing" as well: those that stand for more have no "=".
    mark = ":" if part.segment.kind in (OTHER, MISSING) else "="
    key = f"segment:{part.segment.column}{mark}{part.segment.level}:{part.model}"
    return _judged(key, part.judgement, certain=False)
