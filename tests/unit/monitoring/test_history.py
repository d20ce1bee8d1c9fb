"""What a page reads of monitoring: validated, cached by its files' times, an example only before a run."""

import json
import os
from pathlib import Path

import pytest

from fraud.errors import StorageError
from fraud.monitoring import history as reading
from fraud.monitoring.history import MonitoringHistory
from tests.unit.monitoring.records import DAY_MS, UNTIL_MS, alert, report, run_line, write_monitoring


def _history(tmp_path: Path) -> MonitoringHistory:
    return MonitoringHistory(tmp_path / "own", tmp_path / "example")


def test_before_the_first_run_there_is_nothing(tmp_path) -> None:
    assert _history(tmp_path)() is None


def test_the_report_and_the_runs_before_it_are_read(tmp_path) -> None:
    write_monitoring(tmp_path / "own", report(alerts=[alert("f1:xgboost")]))
    record = _history(tmp_path)()
    assert record is not None and not record.example
    assert record.report["alerts"][0]["state"] == "firing"
    assert [run.until_ms for run in record.runs] == [UNTIL_MS - 7 * DAY_MS, UNTIL_MS]
    assert record.runs[0].figures["f1:xgboost"] == {"value": 0.5, "low": 0.4, "high": 0.6}


def test_an_example_stands_in_only_until_the_first_run(tmp_path) -> None:
    write_monitoring(tmp_path / "example", flat=True)
    history = _history(tmp_path)
    first = history()
    assert first is not None and first.example
    write_monitoring(tmp_path / "own", report(n_predictions=77))
    second = history()
    assert second is not None and not second.example and second.report["n_predictions"] == 77
    assert second.signature != first.signature


def test_files_that_did_not_change_are_not_read_again(tmp_path, monkeypatch) -> None:
    write_monitoring(tmp_path / "own")
    history = _history(tmp_path)
    first = history()
    with monkeypatch.context() as patch:
        patch.setattr(reading, "_report", lambda path: pytest.fail("read again"))
        assert history() is first
    os.utime(tmp_path / "own" / "report" / "report.json", ns=(1, 1))
    assert history() is not first


def test_a_report_that_looked_back_shows_no_later_run(tmp_path) -> None:
    write_monitoring(tmp_path / "own", runs=[run_line(), run_line(UNTIL_MS + 7 * DAY_MS)])
    record = _history(tmp_path)()
    assert record is not None
    assert [run.until_ms for run in record.runs] == [UNTIL_MS]
    assert record.newest_ms == UNTIL_MS + 7 * DAY_MS


DEEP = "[" * 200_000


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "null", "[]", "7", DEEP, "\udcff",
        json.dumps({"schema_version": 1}),
        json.dumps(report(state="splendid")),
        json.dumps(report(n_predictions=-1)),
        json.dumps(report(until="soon")),
        json.dumps(report(until="2026-04-29T00:00:00")),
        json.dumps(report(models={})),
        json.dumps(report(models={"oracle": report()["models"]["xgboost"]})),
        json.dumps(report(alerts=[alert("x", reason="no_such_code")])),
        json.dumps(report(alerts=[alert("x" * 5000)])),
        json.dumps(report(alerts=[alert("f1:xgboost", high=1e300)])),
        json.dumps(report(alerts=[alert("f1:xgboost", high={"a": 1})])),
        json.dumps(report(operations={"n_predictions": 1, "per_day": float("nan"), "latency_ms": {},
                                      "versions": {}})),
        json.dumps(report(curves=[{"name": "amount", "unit": "", "edges": [], "levels": [],
                                   "reference": [], "current": []}])),
    ],
)  # fmt: skip
def test_a_damaged_or_foreign_report_is_one_sentence(tmp_path, text) -> None:
    write_monitoring(tmp_path / "own")
    path = tmp_path / "own" / "report" / "report.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(StorageError) as caught:
        _history(tmp_path)()
    assert caught.value.code == "monitoring_damaged"
    assert str(tmp_path) not in caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        "{", DEEP, json.dumps({"schema_version": 99, "runs": [], "alerts": []}),
        json.dumps({"schema_version": 1, "alerts": [], "runs": [{"until_ms": 1}]}),
        json.dumps({"schema_version": 1, "alerts": [], "runs": [run_line(until_ms=10**18)]}),
        json.dumps({"schema_version": 1, "alerts": [], "runs": [run_line(figures={"f1:xgboost": "high"})]}),
        json.dumps({"schema_version": 1, "alerts": [], "runs": [run_line(model_version=["1"])]}),
    ],
)  # fmt: skip
def test_a_damaged_ledger_is_one_sentence(tmp_path, text) -> None:
    write_monitoring(tmp_path / "own")
    (tmp_path / "own" / "ledger.json").write_text(text)
    with pytest.raises(StorageError) as caught:
        _history(tmp_path)()
    assert caught.value.code == "monitoring_damaged"


def test_a_report_of_another_version_is_said_so(tmp_path) -> None:
    write_monitoring(tmp_path / "own", report(schema_version=2))
    with pytest.raises(StorageError, match="another version"):
        _history(tmp_path)()


def test_a_report_that_was_written_elsewhere_is_missed(tmp_path) -> None:
    write_monitoring(tmp_path / "own")
    (tmp_path / "own" / "report" / "report.json").unlink()
    with pytest.raises(StorageError, match="without --out"):
        _history(tmp_path)()


def test_a_file_too_large_to_be_a_report_is_not_read(tmp_path, monkeypatch) -> None:
    write_monitoring(tmp_path / "own")
    monkeypatch.setattr(reading, "MAX_BYTES", 100)
    with pytest.raises(StorageError, match="damaged"):
        _history(tmp_path)()


def test_a_report_from_before_calibration_is_still_shown(tmp_path) -> None:
    old = report()
    del old["calibration"]
    write_monitoring(tmp_path / "own", old)
    record = _history(tmp_path)()
    assert record is not None and record.report["calibration"] == {}
