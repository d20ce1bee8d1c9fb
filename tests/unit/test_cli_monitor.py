"""`python -m fraud monitor`: exit codes that a scheduler can trust, one sentence for what it cannot do."""

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fraud.cli import main
from fraud.cli_monitor import end_of_window, window_days
from fraud.errors import SettingsError
from fraud.monitoring import run as running
from fraud.monitoring.alerts import Alert, AlertState, Severity, Transition
from fraud.monitoring.run import RunOutcome
from tests.unit.monitoring.records import UNTIL_MS, alert, report


@pytest.fixture(autouse=True)
def own_directories(tmp_path: Path, small_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAUD_ARTIFACTS_DIR", str(small_bundle))
    monkeypatch.setenv("FRAUD_REGISTRY_DIR", str(tmp_path / "registry"))
    monkeypatch.setenv("FRAUD_FEEDBACK_DIR", str(tmp_path / "feedback"))
    monkeypatch.delenv("FRAUD_WEBHOOKS", raising=False)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Replace the run by one that comes to `asked["outcome"]` and tells of `asked["transitions"]`."""
    asked: dict[str, Any] = {
        "outcome": RunOutcome("healthy", report(), (), False, Path("there")),
        "transitions": (),
    }

    def monitor(**arguments: Any) -> RunOutcome:
        asked["arguments"] = arguments
        arguments["notify"](asked["transitions"])
        return asked["outcome"]

    monkeypatch.setattr(running, "monitor", monitor)
    return asked


@pytest.mark.parametrize(("state", "code"), [("healthy", 0), ("alert", 1), ("insufficient_evidence", 3)])
def test_each_state_has_its_exit_code(asked, capsys, state, code) -> None:
    document = report(state=state, alerts=[alert("f1:xgboost")] if state == "alert" else [])
    asked["outcome"] = RunOutcome(state, document, (), False, Path("there"))
    assert main(["monitor"]) == code
    shown = capsys.readouterr().out
    assert "wrote the report to" in shown
    assert ("One alert is firing." in shown) == (state == "alert")


def test_it_speaks_the_language_of_its_report(asked, capsys) -> None:
    assert main(["monitor", "--language", "pt-BR"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "relatório gravado em there"


def test_before_any_feedback_there_is_insufficient_evidence_and_a_report(tmp_path, capsys) -> None:
    assert main(["monitor"]) == 3
    assert "no prediction" in capsys.readouterr().out.lower()
    directory = tmp_path / "feedback" / "monitoring"
    assert json.loads((directory / "report" / "report.json").read_text())["n_predictions"] == 0
    assert json.loads((directory / "ledger.json").read_text())["runs"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--window", "soon"], "--window must be a length from 1h to 366d"),
        (["--window", "0d"], "--window must be"),
        (["--window", "367d"], "--window must be"),
        (["--until", "yesterday"], "--until must be a time such as"),
        (["--until", "2999-01-01T00:00Z"], "--until 2999-01-01T00:00Z has not come yet"),
        (["--revision", "f" * 40], "f" * 40),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_exit_code_2(capsys, arguments, words) -> None:
    assert main(["monitor", *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error and len(error.strip().splitlines()) == 1


def test_a_damaged_ledger_is_one_sentence_and_exit_code_2(tmp_path, capsys) -> None:
    directory = tmp_path / "feedback" / "monitoring"
    directory.mkdir(parents=True)
    (directory / "ledger.json").write_text("{")
    assert main(["monitor"]) == 2
    assert "damaged" in capsys.readouterr().err


def test_the_options_reach_the_run(asked, tmp_path) -> None:
    out = tmp_path / "elsewhere"
    main(["monitor", "--window", "36h", "--until", "2026-10-01T02:00:00.123456+02:00", "--out", str(out)])
    arguments = asked["arguments"]
    assert arguments["policy"].window_days == 1.5
    assert arguments["until"] == datetime(2026, 10, 1, 0, 0, 0, 123_000, UTC)
    assert arguments["out"] == out and arguments["directory"] == tmp_path / "feedback" / "monitoring"
    main(["monitor", "--simulated", str(tmp_path / "played")])
    assert asked["arguments"]["directory"] == tmp_path / "played" / "monitoring"


def test_a_window_ends_with_the_last_full_hour_unless_told() -> None:
    now = datetime(2026, 11, 22, 12, 34, 56, 789, UTC)
    assert end_of_window(None, now) == datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert end_of_window("2026-10-01", now) == datetime(2026, 10, 1, tzinfo=UTC)
    assert timedelta(days=window_days("366d")) == timedelta(days=366)
    with pytest.raises(SettingsError):
        end_of_window("2026-11-22T12:35Z", now)
    assert end_of_window("2026-11-22T12:35Z", now, simulated=True) > now, "played days may lie ahead"
    for text in ("", "7", "7w", "-1d", "1.5d", "99999d"):
        with pytest.raises(SettingsError):
            window_days(text)


@pytest.mark.parametrize(
    ("n", "language", "words"),
    [
        (1, "en", "An alert on one part of the traffic"),
        (2, "en", "Alerts on 2 parts of the traffic"),
        (1, "pt-BR", "Um alerta em uma parte do tráfego"),
        (2, "pt-BR", "Alertas em 2 partes do tráfego"),
    ],
)
def test_parts_of_the_traffic_are_counted_in_words(asked, capsys, n, language, words) -> None:
    parts = [alert(f"segment:channel={level}:xgboost") for level in ("online", "chip")[:n]]
    asked["outcome"] = RunOutcome("alert", report(state="alert", alerts=parts), (), False, Path("there"))
    assert main(["monitor", "--language", language]) == 1
    assert words in capsys.readouterr().out


def test_the_assumed_rate_of_wrong_answers_is_a_setting(asked, monkeypatch, capsys) -> None:
    main(["monitor"])
    assert asked["arguments"]["policy"].evidence.answers.error == 0.02
    monkeypatch.setenv("FRAUD_ANSWER_ERROR", "0.05")
    main(["monitor"])
    policy = asked["arguments"]["policy"]
    assert policy.evidence.answers.error == policy.segments.evidence.answers.error == 0.05
    monkeypatch.setenv("FRAUD_ANSWER_ERROR", "0.6")
    assert main(["monitor"]) == 2
    assert "FRAUD_ANSWER_ERROR" in capsys.readouterr().err


def test_a_played_history_is_marked_as_simulated(asked, tmp_path) -> None:
    main(["monitor"])
    assert asked["arguments"]["simulated"] is False
    main(["monitor", "--simulated", str(tmp_path / "played")])
    assert asked["arguments"]["simulated"] is True


def _transition(*, firing: bool) -> Transition:
    found = Alert(
        "f1:xgboost", AlertState.FIRING, Severity.WARNING, UNTIL_MS, UNTIL_MS, "below_estimate", {}, UNTIL_MS
    )
    return Transition(found, firing, UNTIL_MS)


def _messages(tmp_path: Path) -> list[str]:
    path = tmp_path / "feedback" / "webhooks" / "outbox.sqlite3"
    if not path.exists():
        return []
    with sqlite3.connect(path) as connection:
        tables = [row[0] for row in connection.execute("select name from sqlite_master where type='table'")]
        return [str(row) for table in tables for row in connection.execute(f"select * from {table}")]  # noqa: S608


def test_an_alert_that_begins_or_ends_leaves_a_message_for_every_endpoint(
    asked, tmp_path, monkeypatch
) -> None:
    # Nobody listens there: the message waits in the outbox, and the run ends as it would have.
    monkeypatch.setenv("FRAUD_WEBHOOKS", "http://127.0.0.1:9/hook")
    monkeypatch.setenv("FRAUD_WEBHOOK_SECRETS", "whsec_" + "QUFB" * 11)
    monkeypatch.setenv("FRAUD_WEBHOOK_ALLOW_PRIVATE", "127.0.0.1")
    asked["transitions"] = (_transition(firing=True),)
    assert main(["monitor"]) == 0
    waiting = "".join(_messages(tmp_path))
    assert "alert.firing" in waiting and "f1:xgboost" in waiting and "2026-04-29T00:00:00+00:00" in waiting
    asked["transitions"] = (_transition(firing=False),)
    main(["monitor"])
    assert "alert.resolved" in "".join(_messages(tmp_path))


def test_a_simulated_production_tells_nobody(asked, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("FRAUD_WEBHOOKS", "http://127.0.0.1:9/hook")
    monkeypatch.setenv("FRAUD_WEBHOOK_SECRETS", "whsec_" + "QUFB" * 11)
    monkeypatch.setenv("FRAUD_WEBHOOK_ALLOW_PRIVATE", "127.0.0.1")
    asked["transitions"] = (_transition(firing=True),)
    main(["monitor", "--simulated", str(tmp_path / "played")])
    assert not [row for row in _messages(tmp_path) if "alert.firing" in row]
