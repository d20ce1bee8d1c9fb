"""Alerts with hysteresis: what is true for long enough fires, and what has been false for long enough ends.

The states and the two durations are those of Prometheus (`for` and `keep_firing_for`), so that an operator
meets the same words here and there. Durations are measured between the ends of the windows that were looked
at, not between the moments of looking: a run that is repeated, or that comes late, changes nothing.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Literal

from fraud.data.profile import DAY_MS
from fraud.errors import SettingsError


class Severity(StrEnum):
    """How long a finding must last before it fires: not at all, or for `AlertPolicy.for_days`."""

    CRITICAL = "critical"
    WARNING = "warning"


class AlertState(StrEnum):
    """Where an alert stands."""

    PENDING = "pending"
    FIRING = "firing"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check of a run came to.

    Attributes
    ----------
    key : names the check and never changes, such as "f1:xgboost" or "drift:amount"
    holds : True: something is wrong; False: nothing is; None: nobody can tell from this window
    reason : a code that the report puts into words, with `params`
    """

    key: str
    holds: bool | None
    severity: Severity
    reason: str
    params: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class AlertPolicy:
    """How patient alerts are.

    Attributes
    ----------
    for_days : how long a warning must hold before it fires; a critical finding fires at once
    keep_firing_days : how long a finding must be false before its alert ends
    forget_days : how long an alert that no window could judge any more is kept
    """

    for_days: float = 1.0
    keep_firing_days: float = 2.0
    forget_days: float = 14.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not 0 <= value <= 365:
                raise SettingsError(f"{name} of the alert policy must be from 0 to 365.", field=name)


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert that is pending or firing; times are ends of windows, in epoch milliseconds.

    `last_true_ms` is when the finding last held. `unknown` says that the newest window could not tell.
    """

    key: str
    state: AlertState
    severity: Severity
    since_ms: int
    last_true_ms: int
    reason: str
    params: Mapping[str, object]
    fired_ms: int | None = None
    unknown: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object."""
        return asdict(self) | {"params": dict(self.params)}


Cause = Literal["finding", "expired", "replaced"]
"""What moved an alert: its finding, want of evidence for too long, or another model that serves instead."""


@dataclass(frozen=True, slots=True)
class Transition:
    """An alert that began or ceased to fire with this window, and what moved it."""

    alert: Alert
    firing: bool
    at_ms: int
    cause: Cause = "finding"


def advance(
    alerts: Mapping[str, Alert],
    findings: Mapping[str, Finding],
    now_ms: int,
    policy: AlertPolicy,
) -> tuple[dict[str, Alert], tuple[Transition, ...]]:
    """Return the alerts after a window that ends at `now_ms`, and which began or ceased to fire.

    A finding that cannot tell leaves an alert as it was: want of evidence neither fires nor resolves, until
    the alert is too old to stand for anything. A key that is not among the findings any more (a segment
    without traffic) cannot tell either.
    """
    after: dict[str, Alert] = {}
    transitions: list[Transition] = []
    for key in sorted({*alerts, *findings}):
        before, finding = alerts.get(key), findings.get(key)
        current = _next(before, finding, now_ms, policy)
        if current is not None:
            after[key] = current
        fired = before is not None and before.state is AlertState.FIRING
        fires = current is not None and current.state is AlertState.FIRING
        if fires and not fired and current is not None:
            transitions.append(Transition(current, True, now_ms))
        elif fired and not fires and before is not None:
            judged = finding is not None and finding.holds is False
            transitions.append(Transition(before, False, now_ms, "finding" if judged else "expired"))
    return after, tuple(transitions)


def replaced(alerts: Mapping[str, Alert], now_ms: int) -> tuple[Transition, ...]:
    """Return what there is to tell when another model serves: what fired about the one before has ended."""
    firing = [alert for _, alert in sorted(alerts.items()) if alert.state is AlertState.FIRING]
    return tuple(Transition(alert, False, now_ms, "replaced") for alert in firing)


def _next(before: Alert | None, finding: Finding | None, now_ms: int, policy: AlertPolicy) -> Alert | None:
    if finding is not None and finding.holds:
        return _held(before, finding, now_ms, policy)
    if before is None:
        return None
    if finding is None or finding.holds is None:
        too_old = now_ms - before.last_true_ms >= policy.forget_days * DAY_MS
        return None if too_old else replace(before, unknown=True)
    if before.state is AlertState.PENDING:
        return None
    over = now_ms - before.last_true_ms >= policy.keep_firing_days * DAY_MS
    return None if over else replace(before, unknown=False)


def _held(before: Alert | None, finding: Finding, now_ms: int, policy: AlertPolicy) -> Alert:
    since_ms = now_ms if before is None else before.since_ms
    patient = policy.for_days * DAY_MS if finding.severity is Severity.WARNING else 0
    firing = now_ms - since_ms >= patient or (before is not None and before.state is AlertState.FIRING)
    fired_ms = None if before is None else before.fired_ms
    return Alert(
        key=finding.key,
        state=AlertState.FIRING if firing else AlertState.PENDING,
        severity=finding.severity,
        since_ms=since_ms,
        last_true_ms=now_ms,
        reason=finding.reason,
        params=finding.params,
        fired_ms=now_ms if firing and fired_ms is None else fired_ms,
    )


def alerts_from_json(document: object) -> dict[str, Alert]:
    """Return what `Alert.to_json` wrote, by key.

    Raises
    ------
    ValueError
        It is no such document.
    """
    if not isinstance(document, list):
        raise ValueError("the alerts are not a list")
    alerts = {}
    for item in document:
        try:
            alert = Alert(
                key=str(item["key"]),
                state=AlertState(item["state"]),
                severity=Severity(item["severity"]),
                since_ms=int(item["since_ms"]),
                last_true_ms=int(item["last_true_ms"]),
                reason=str(item["reason"]),
                params=dict(item["params"]),
                fired_ms=None if item["fired_ms"] is None else int(item["fired_ms"]),
                unknown=bool(item["unknown"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"an alert lacks {error}") from error
        alerts[alert.key] = alert
    return alerts
