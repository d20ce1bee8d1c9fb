"""A past that was cut gives the features that the whole one gives."""

import numpy as np
import pytest

from fraud.data.profile import DAY_MS, Profile
from fraud.data.sources import load_transactions
from fraud.data.table import Transactions
from fraud.features.history import History
from fraud.features.reach import rows_in_reach


@pytest.fixture(scope="module")
def table(small_profile: Profile) -> Transactions:
    return load_transactions(small_profile, None)[0]


def differing(table: Transactions, kept: np.ndarray, profile: Profile, from_ms: int) -> set[str]:
    later = table.take(np.flatnonzero(table.times() >= from_ms))
    whole, cut = (History.of(t, profile).features(later) for t in (table, table.take(kept)))
    return {name for name in whole if not np.array_equal(whole[name], cut[name], equal_nan=True)}


def test_later_features_are_the_same_to_the_last_bit(table: Transactions, small_profile: Profile) -> None:
    from_ms = int(table.times()[-1]) - 15 * DAY_MS
    kept = rows_in_reach(table, small_profile, from_ms)
    assert len(kept) < len(table) and (np.diff(kept) > 0).all()
    assert not differing(table, kept, small_profile, from_ms)


def test_windows_of_time_alone_lose_frauds_that_were_reported_late(
    table: Transactions, small_profile: Profile
) -> None:
    from_ms = int(table.times()[-1]) - 15 * DAY_MS
    since_ms = from_ms - small_profile.features.longest_window_ms - 7 * DAY_MS
    lost = differing(table, np.flatnonzero(table.times() >= since_ms), small_profile, from_ms)
    assert "card_id_n_frauds_30d" in lost


def test_the_last_visit_of_a_card_stays_however_long_ago(table: Transactions, small_profile: Profile) -> None:
    cards = table.texts["card_id"].codes
    quiet = cards[-1]
    time = table.times()
    away = (cards == quiet) & (time >= time[0] + 20 * DAY_MS) & (np.arange(len(table)) < len(table) - 1)
    rare = table.take(np.flatnonzero(~away))
    from_ms = int(time[-1]) - DAY_MS
    kept = rows_in_reach(rare, small_profile, from_ms)
    assert not differing(rare, kept, small_profile, from_ms)
    recent = rare.times() >= from_ms - small_profile.features.longest_window_ms - 7 * DAY_MS
    assert "card_id_hours_since_last" in differing(rare, np.flatnonzero(recent), small_profile, from_ms)
