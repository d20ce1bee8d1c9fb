"""The held-out window's uses: counted once per run, shared by windows that overlap, never lost."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from fraud.data.profile import Profile, load_profile
from fraud.data.sources import load_transactions
from fraud.errors import EvidenceError, SettingsError, StorageError
from fraud.retraining.gold import (
    GOLD_FILE,
    Gold,
    Window,
    moved_profile,
    read_gold,
    refresh,
    window_of,
    write_gold,
)

JUNE = Window("a" * 64, "cards", 1_000, 2_000, 9_000, 90)
LATER = replace(JUNE, digest="b" * 64, first_ms=2_001, last_ms=3_000)
STRADDLING = replace(JUNE, digest="c" * 64, first_ms=1_999, last_ms=2_500)


def test_a_run_counts_once_however_often_it_resumes() -> None:
    gold = Gold().used(JUNE, "run-1").used(JUNE, "run-1").used(JUNE, "run-2")
    assert gold.uses(JUNE) == 2


def test_a_window_that_shares_days_shares_the_uses_and_a_later_one_starts_anew() -> None:
    gold = Gold().used(JUNE, "run-1")
    assert gold.uses(STRADDLING) == 1, "a few rows more make no fresh window"
    assert gold.uses(LATER) == 0
    assert gold.uses(replace(STRADDLING, profile="other")) == 0


def test_the_record_is_read_back_as_it_was(tmp_path: Path) -> None:
    gold = Gold().used(JUNE, "run-1").used(LATER, "run-2").moved("cards", date(2026, 9, 1))
    write_gold(tmp_path, gold)
    assert read_gold(tmp_path) == gold


@pytest.mark.parametrize("text", ["", "{}", '{"schema_version": 1, "windows": []}', '{"schema_version": 99}'])
def test_a_damaged_or_newer_record_is_no_empty_one(tmp_path: Path, text: str) -> None:
    (tmp_path / GOLD_FILE).write_text(text)
    with pytest.raises(StorageError):
        read_gold(tmp_path)


def test_a_fresh_window_may_not_share_a_day_with_the_spent_one() -> None:
    with pytest.raises(EvidenceError, match="overlaps"):
        refresh(Gold(), JUNE, STRADDLING, date(2026, 9, 1), 50)
    with pytest.raises(EvidenceError, match="holds 49 frauds and 50 are needed"):
        refresh(Gold(), JUNE, replace(LATER, n_frauds=49), date(2026, 9, 1), 50)
    assert refresh(Gold(), JUNE, LATER, date(2026, 9, 1), 50).test_start == {"cards": "2026-09-01"}


def test_a_moved_window_moves_the_profiles_plan_and_nothing_else(small_profile: Profile) -> None:
    moved = moved_profile(small_profile, date(2026, 3, 26))
    assert moved.evaluation.test_start == date(2026, 3, 26)  # type: ignore[union-attr]
    assert moved.model_copy(update={"evaluation": small_profile.evaluation}) == small_profile


def test_a_plan_by_shares_has_no_start_to_move() -> None:
    with pytest.raises(SettingsError, match="retrain with --data"):
        moved_profile(load_profile("ulb"), date(2026, 1, 1))


def test_a_windows_digest_is_that_of_its_rows_and_labels(small_profile: Profile) -> None:
    table, _ = load_transactions(small_profile, None)
    rows = np.arange(30_000, 31_000)
    window = window_of(table, rows, small_profile)
    assert window == window_of(table, rows, small_profile) and window.n_rows == 1_000
    labels = table.labels.copy()
    labels[30_500] = 1 - labels[30_500]
    relabelled = table.with_labels(labels, table.known_at_ms)
    assert window_of(relabelled, rows, small_profile).digest != window.digest
    assert window_of(table, rows[1:], small_profile).digest != window.digest
