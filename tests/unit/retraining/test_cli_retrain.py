"""`retrain` and `gold` on the command line: exit codes, and what they read beside the dataset."""

from pathlib import Path

import pytest

from fraud.cli import main
from fraud.monitoring.alerts import Alert, AlertState, Severity
from fraud.monitoring.ledger import Ledger, write_ledger
from fraud.settings import read_settings


@pytest.fixture(autouse=True)
def own_directories(tmp_path: Path, small_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAUD_ARTIFACTS_DIR", str(small_bundle))
    monkeypatch.setenv("FRAUD_REGISTRY_DIR", str(tmp_path / "registry"))
    monkeypatch.setenv("FRAUD_FEEDBACK_DIR", str(tmp_path / "feedback"))


def alert(key: str, state: AlertState) -> Alert:
    return Alert(key, state, Severity.WARNING, 0, 0, "drifted", {})


def test_only_alerts_that_fire_are_heard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = tmp_path / "feedback" / "monitoring"
    directory.mkdir(parents=True)
    alerts = [alert("f1:xgboost", AlertState.FIRING), alert("drift:amount", AlertState.PENDING)]
    write_ledger(directory, Ledger(alerts={7: {a.key: a for a in alerts}}))
    assert main(["retrain"]) == 0
    assert "1 monitoring alerts are firing" in capsys.readouterr().out


def test_a_damaged_ledger_is_an_error_not_silence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = tmp_path / "feedback" / "monitoring"
    directory.mkdir(parents=True)
    (directory / "ledger.json").write_text("{")
    assert main(["retrain"]) == 2
    assert "ledger.json is damaged" in capsys.readouterr().err


def test_a_base_table_that_is_not_there_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["retrain", "--data", "nowhere.csv"]) == 2
    assert "there is no such file" in capsys.readouterr().err


def test_gold_shows_an_unused_window_and_refuses_one_that_overlaps(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["gold"]) == 0
    assert "no held-out window has judged yet" in capsys.readouterr().out
    assert main(["gold", "--test-start", "2026-03-10"]) == 2
    assert "overlaps the one that has been used" in capsys.readouterr().err


def test_one_flag_is_enough_on_ones_own_disk_and_not_where_strangers_flag() -> None:
    own = read_settings({}).retraining
    assert (own.min_labels, own.min_frauds, own.max_age_days) == (1, 0, 30.0)
    strangers = read_settings({"FRAUD_DATASET_REPO": "org/flags"}).retraining
    assert (strangers.min_labels, strangers.min_frauds) == (50, 5)
    chosen = read_settings({"FRAUD_RETRAIN_MIN_LABELS": "7", "FRAUD_RETRAIN_MAX_AGE_DAYS": "off"}).retraining
    assert (chosen.min_labels, chosen.max_age_days) == (7, None)
