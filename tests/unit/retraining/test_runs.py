"""Run directories: which stay, and what a removal that was killed leaves."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fraud.retraining.runs import RUN_FILE, Run, prune, read_runs, start

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def run(runs: Path, hour: int) -> Run:
    begun = start(runs, NOW + timedelta(hours=hour), f"{hour:064x}", {"reasons": []})
    (begun.directory / "gate.html").write_text("report")
    return begun


def test_the_newest_that_are_over_stay_and_one_on_its_way_always_does(tmp_path: Path) -> None:
    unfinished = run(tmp_path, 0)
    over = [run(tmp_path, hour).over("refused") for hour in range(1, 6)]
    assert prune(tmp_path, 2) == 3
    kept = [found.run_id for found in read_runs(tmp_path)]
    assert kept == [over[4].run_id, over[3].run_id, unfinished.run_id]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)
    assert prune(tmp_path, 2) == 0


def test_a_removal_that_was_killed_is_ended_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = [run(tmp_path, hour).over("recorded") for hour in range(3)]
    unlink = Path.unlink

    def killed(path: Path, missing_ok: bool = False) -> None:
        if path.name == RUN_FILE:
            raise KeyboardInterrupt
        unlink(path, missing_ok)

    with monkeypatch.context() as died, pytest.raises(KeyboardInterrupt):
        died.setattr(Path, "unlink", killed)
        prune(tmp_path, 1)
    assert len(read_runs(tmp_path)) == 3, "a record goes last, so none is half there"
    assert prune(tmp_path, 1) == 2
    assert [found.run_id for found in read_runs(tmp_path)] == [over[2].run_id]


def test_a_directory_that_never_became_a_run_goes_and_anything_else_stays(tmp_path: Path) -> None:
    never = tmp_path / "20261122T120000000000Z-0123abcd"
    never.mkdir()
    (never / f".{RUN_FILE}.partial").write_text("{")
    (tmp_path / "somebodys-notes").mkdir()
    (tmp_path / "gold.json").write_text("{}")
    assert prune(tmp_path, 10) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gold.json", "somebodys-notes"]


def test_without_any_run_there_is_nothing_to_remove(tmp_path: Path) -> None:
    assert prune(tmp_path / "nowhere", 1) == 0


def test_the_message_about_a_run_has_one_id_and_another_run_another(tmp_path: Path) -> None:
    first, second = run(tmp_path, 1), run(tmp_path, 2)
    assert first.message_id == first.over("refused").message_id != second.message_id
    assert first.message_id.startswith("msg_") and len(first.message_id) == 30
