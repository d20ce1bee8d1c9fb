"""Alerts fire late enough, end late enough, and never for want of evidence."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraud.data.profile import DAY_MS
from fraud.errors import SettingsError
from fraud.monitoring.alerts import (
    Alert,
    AlertPolicy,
    AlertState,
    Finding,
    Severity,
    advance,
    alerts_from_json,
    replaced,
)

POLICY = AlertPolicy(for_days=1, keep_firing_days=2)


def _finding(holds: bool | None, severity: Severity = Severity.WARNING) -> dict[str, Finding]:
    return {"drift:amount": Finding("drift:amount", holds, severity, "drifted", {"psi": 0.3})}


def _run(course: list[bool | None], severity: Severity = Severity.WARNING) -> list[str]:
    """Return what each day of a course ends in: "-", "pending" or "firing"."""
    alerts: dict[str, Alert] = {}
    states = []
    for day, holds in enumerate(course):
        alerts, _ = advance(alerts, _finding(holds, severity), day * DAY_MS, POLICY)
        states.append(str(next((a.state for a in alerts.values()), "-")))
    return states


def test_a_warning_waits_until_it_has_held_long_enough() -> None:
    assert _run([True, True]) == ["pending", "firing"]


def test_a_critical_finding_fires_at_once() -> None:
    assert _run([True], Severity.CRITICAL) == ["firing"]


def test_a_single_bad_window_never_fires() -> None:
    assert _run([True, False, True, False]) == ["pending", "-", "pending", "-"]


def test_an_alert_goes_on_firing_through_a_short_relief() -> None:
    assert _run([True, True, False, True]) == ["pending", "firing", "firing", "firing"]


def test_an_alert_ends_when_the_finding_was_false_for_long_enough() -> None:
    assert _run([True, True, False, False]) == ["pending", "firing", "firing", "-"]


def test_want_of_evidence_neither_fires_nor_resolves() -> None:
    assert _run([None, True, None, True]) == ["-", "pending", "pending", "firing"]
    assert _run([True, True, None, None, None, None])[-1] == "firing"


def test_a_window_that_cannot_tell_is_marked_on_the_alert() -> None:
    alerts, _ = advance({}, _finding(True), 0, POLICY)
    alerts, _ = advance(alerts, _finding(None), DAY_MS, POLICY)
    assert alerts["drift:amount"].unknown
    alerts, _ = advance(alerts, _finding(True), 2 * DAY_MS, POLICY)
    assert not alerts["drift:amount"].unknown


def test_the_same_window_twice_changes_nothing_and_tells_nobody() -> None:
    alerts, _ = advance({}, _finding(True, Severity.CRITICAL), 5, POLICY)
    again, transitions = advance(alerts, _finding(True, Severity.CRITICAL), 5, POLICY)
    assert again == alerts
    assert transitions == ()


def test_a_beginning_and_an_end_are_told_once_each() -> None:
    told = []
    alerts: dict[str, Alert] = {}
    for day, holds in enumerate([True, True, True, False, False, False, False]):
        alerts, transitions = advance(alerts, _finding(holds), day * DAY_MS, POLICY)
        told += [(t.firing, day) for t in transitions]
    assert told == [(True, 1), (False, 4)]


@pytest.mark.parametrize("later", [{}, _finding(None)], ids=["not looked at", "cannot tell"])
def test_nothing_resolves_an_alert_that_nobody_could_judge_until_it_is_too_old(later) -> None:
    alerts, _ = advance({}, _finding(True, Severity.CRITICAL), 0, POLICY)
    for day in range(1, 14):
        alerts, transitions = advance(alerts, later, day * DAY_MS, POLICY)
        assert alerts["drift:amount"].state is AlertState.FIRING and alerts["drift:amount"].unknown
        assert not transitions
    alerts, (end,) = advance(alerts, later, 14 * DAY_MS, POLICY)
    assert not alerts and not end.firing and end.cause == "expired"


def test_an_end_says_whether_somebody_looked() -> None:
    alerts, (begin,) = advance({}, _finding(True, Severity.CRITICAL), 0, POLICY)
    _, (end,) = advance(alerts, _finding(False), 2 * DAY_MS, POLICY)
    assert (begin.cause, end.cause) == ("finding", "finding")


def test_what_fired_about_a_model_ends_with_it_and_what_was_pending_is_not_told() -> None:
    alerts, _ = advance({}, _finding(True, Severity.CRITICAL), 0, POLICY)
    other = Finding("f1:xgboost", True, Severity.WARNING, "drifted", {})
    alerts, _ = advance(alerts, {"f1:xgboost": other}, DAY_MS // 2, POLICY)
    (end,) = replaced(alerts, DAY_MS)
    assert (end.alert.key, end.firing, end.cause) == ("drift:amount", False, "replaced")


@given(st.lists(st.sampled_from([True, False, None]), max_size=12))
def test_the_state_survives_its_file(course: list[bool | None]) -> None:
    alerts: dict[str, Alert] = {}
    for day, holds in enumerate(course):
        alerts, _ = advance(alerts, _finding(holds), day * DAY_MS, POLICY)
    text = json.dumps([alert.to_json() for alert in alerts.values()])
    assert alerts_from_json(json.loads(text)) == alerts


@pytest.mark.parametrize("document", [{}, [{}], [{"key": "a"}], [None]])
def test_what_is_no_list_of_alerts_is_refused(document: object) -> None:
    with pytest.raises(ValueError, match=r"alert"):
        alerts_from_json(document)


def test_an_endless_patience_is_refused() -> None:
    with pytest.raises(SettingsError, match="for_days"):
        AlertPolicy(for_days=1_000)
