"""The ledger remembers every run once and is never half of anything."""

import json
import multiprocessing
from dataclasses import replace

import pytest

from fraud.errors import StorageError
from fraud.monitoring.alerts import AlertPolicy, Finding, Severity, advance
from fraud.monitoring.ledger import (
    LEDGER_FILE,
    MAX_RUNS,
    Ledger,
    RunLine,
    locked,
    read_ledger,
    write_ledger,
)

LINE = RunLine(1_000, 7, "a" * 40, "1.0.0", "d" * 64, "healthy", {"f1:xgboost": None})


def _alerts():
    finding = Finding("gap:xgboost", True, Severity.CRITICAL, "gap", {"z": 4.0})
    return advance({}, {finding.key: finding}, 1_000, AlertPolicy())[0]


def test_a_ledger_is_read_as_it_was_written(tmp_path) -> None:
    ledger = Ledger().with_run(LINE, _alerts())
    write_ledger(tmp_path, ledger)
    assert read_ledger(tmp_path) == ledger
    assert [p.name for p in tmp_path.iterdir()] == [LEDGER_FILE]


def test_before_the_first_run_the_ledger_is_empty(tmp_path) -> None:
    assert read_ledger(tmp_path) == Ledger()
    assert Ledger().newest(7) is None


def test_a_run_on_newer_labels_takes_the_place_of_the_one_before() -> None:
    ledger = Ledger().with_run(LINE, {}).with_run(replace(LINE, dataset_revision="b" * 40), {})
    assert [run.dataset_revision for run in ledger.runs] == ["b" * 40]
    assert ledger.find(LINE) is None


def test_another_window_length_is_another_run() -> None:
    ledger = Ledger().with_run(LINE, _alerts()).with_run(replace(LINE, window_ms=8), {})
    assert len(ledger.runs) == 2
    assert ledger.alerts[7] == _alerts() and not ledger.alerts[8], "one length ends no alert of another"
    assert ledger.newest(7) == LINE and ledger.newest(9) is None


def test_a_ledger_of_the_first_version_keeps_its_alerts(tmp_path) -> None:
    document = {
        "schema_version": 1,
        "alerts": [alert.to_json() for alert in _alerts().values()],
        "runs": [{k: v for k, v in LINE.to_json().items() if k != "policy"}],
    }
    (tmp_path / LEDGER_FILE).write_text(json.dumps(document))
    assert read_ledger(tmp_path) == Ledger((LINE,), {7: _alerts()})


def test_runs_are_kept_in_the_order_of_their_windows_and_not_for_ever() -> None:
    ledger = Ledger()
    for until in range(MAX_RUNS + 5, 0, -1):
        ledger = ledger.with_run(replace(LINE, until_ms=until), {})
    assert ledger.newest(7) == replace(LINE, until_ms=MAX_RUNS + 5)
    assert len(ledger.runs) <= MAX_RUNS


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"schema_version": 1, "runs": [{}], "alerts": []}',
        '{"schema_version": 2, "runs": [], "alerts": []}',
    ],
)
def test_a_damaged_ledger_is_refused_with_a_way_out(tmp_path, text) -> None:
    (tmp_path / LEDGER_FILE).write_text(text)
    with pytest.raises(StorageError, match="move it away"):
        read_ledger(tmp_path)


def test_a_ledger_of_a_newer_program_is_not_touched(tmp_path) -> None:
    (tmp_path / LEDGER_FILE).write_text(json.dumps({"schema_version": 3}))
    with pytest.raises(StorageError, match="newer version"):
        read_ledger(tmp_path)


def _hold(directory, held, release) -> None:
    with locked(directory):
        held.set()
        release.wait(20)


def test_two_runs_do_not_work_at_once(tmp_path) -> None:
    context = multiprocessing.get_context("spawn")
    held, release = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path, held, release))
    other.start()
    try:
        assert held.wait(20)
        with pytest.raises(StorageError, match="Another monitoring run"), locked(tmp_path):
            pass
    finally:
        release.set()
        other.join(20)
    with locked(tmp_path):
        pass
