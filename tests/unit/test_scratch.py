"""Files of a table that somebody scored do not stay."""

import os
import tempfile
import time
from pathlib import Path

import pytest

from fraud import scratch
from fraud.service import FraudService
from fraud.settings import read_settings
from fraud.wiring import start_heartbeat


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def scored(seconds: float) -> Path:
    file = scratch.new_file("scored.csv")
    file.write_text("card,amount\n")
    age(file.parent, seconds)
    return file


def test_a_scored_table_lives_an_hour_and_no_longer(temporary: Path) -> None:
    old, new = scored(scratch.LIFE_S + 60), scored(scratch.LIFE_S - 60)
    assert scratch.sweep() == 1
    assert not old.parent.exists() and new.read_text() == "card,amount\n"


def test_what_a_killed_process_left_of_a_table_goes_too(temporary: Path) -> None:
    left = temporary / "fraud-batch-abc"
    left.mkdir()
    (left / "table.csv").write_text("card\n")
    age(left, scratch.LIFE_S + 60)
    assert scratch.sweep() == 1 and not left.exists()


def test_nothing_else_is_touched_and_no_link_is_followed(temporary: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "letter").write_text("dear")
    (temporary / "fraud-scored-link").symlink_to(home)
    other = temporary / "other-scored"
    other.mkdir()
    age(other, 1e6)
    age(home, 1e6)
    assert scratch.sweep(life_s=0) == 0
    assert (home / "letter").exists() and other.exists()


def test_nobody_else_may_read_a_scored_table(temporary: Path) -> None:
    assert scratch.new_file("scored.csv").parent.stat().st_mode & 0o077 == 0


def test_a_start_sweeps(temporary: Path, service: FraudService, tmp_path: Path) -> None:
    old = scored(scratch.LIFE_S + 60)
    start_heartbeat(service, read_settings({"FRAUD_FEEDBACK_DIR": str(tmp_path)})).stop()
    assert not old.parent.exists()
