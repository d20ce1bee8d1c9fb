"""The evaluation plan: in time, with the label delay between, and never on what was not known."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fraud.data.profile import DAY_MS, Profile, load_profile, parse_profile
from fraud.data.table import Transactions, read_table, transactions_from_frame
from fraud.errors import TableError
from fraud.models.split import Split, labels_as_of, newest_traffic, split

HANDBOOK = Path(__file__).parents[4] / "shared" / "data" / "handbook_simulated.parquet"
START = pd.Timestamp("2026-01-01", tz="UTC")


def make_profile(timed: bool = True, **evaluation: Any) -> Profile:
    return parse_profile(
        {
            "name": "small",
            "title": {"en": "Small"},
            "description": {"en": ""},
            "columns": {"label": "fraud"} | ({"time": "at", "label_at": "seen"} if timed else {}),
            "entities": [{"name": "card", "column": "card", "label": {"en": "Card"}}],
            "fields": [{"column": "paid", "kind": "number", "label": {"en": "Paid"}}],
            "features": {"label_delay_days": 2},
            "evaluation": {"kind": "time" if timed else "stratified"} | evaluation,
            "costs": {"review": 1, "friction": 5},
        },
        "test",
    )


def days(
    profile: Profile,
    n_days: int = 100,
    *,
    fraud_every: int = 5,
    changes: dict[int, dict[str, Any]] | None = None,
) -> Transactions:
    """One transaction at noon of each day, of its own card, every fifth a fraud."""
    frame = pd.DataFrame(
        {
            "at": [START + pd.Timedelta(days=i, hours=12) for i in range(n_days)],
            "card": [f"c{i}" for i in range(n_days)],
            "paid": 1.0,
            "fraud": [str(int(i % fraud_every == 0)) for i in range(n_days)],
            "seen": pd.Series([None] * n_days, dtype=object),
        }
    )
    for row, cells in (changes or {}).items():
        for name, value in cells.items():
            frame.loc[row, name] = value
    return transactions_from_frame(frame, profile)


BY_DATES = {"test_start": "2026-03-02", "calibration_days": 10, "delay_days": 7, "test_days": 20}  # day 60


def split_days(**changes: Any) -> tuple[Split, Transactions]:
    profile = make_profile(**BY_DATES)
    table = days(profile, changes=changes.get("changes"))
    return split(table, profile, 7), table


def test_the_handbooks_split_is_the_handbooks_to_the_row() -> None:
    if not HANDBOOK.is_file():
        pytest.skip("the Handbook's simulated table is not on this machine")
    profile = load_profile("handbook")
    table = transactions_from_frame(read_table(HANDBOOK), profile)
    plan = split(table, profile, 7)
    train = np.concatenate([plan.train, plan.calibration])
    assert (len(train), int(table.labels[train].sum())) == (67_240, 598)
    assert (len(plan.test), int(table.labels[plan.test].sum())) == (58_264, 385)


def test_parts_follow_each_other_with_the_delay_before_the_test() -> None:
    plan, _ = split_days()
    assert plan.train.tolist() == list(range(43))
    assert plan.calibration.tolist() == list(range(43, 53))
    assert plan.test.tolist() == list(range(60, 80))
    assert plan.as_of_ms == int((START + pd.Timedelta(days=60)).timestamp() * 1000)


def test_a_period_of_training_leaves_out_what_is_older() -> None:
    profile = make_profile(**BY_DATES, train_days=30)
    assert split(days(profile), profile, 7).train.tolist() == list(range(23, 43))


def test_an_unknown_label_is_in_no_part() -> None:
    unknown = (3, 45, 61)
    plan, _ = split_days(changes={i: {"fraud": None} for i in unknown})
    used = np.concatenate([plan.train, plan.calibration, plan.test]).tolist()
    assert not set(unknown) & set(used)


def test_a_fraud_reported_after_training_still_counts_as_legitimate_then() -> None:
    plan, table = split_days(changes={10: {"seen": "2026-05-01"}})
    assert labels_as_of(table, plan.as_of_ms)[10] == 0
    assert labels_as_of(table, None)[10] == 1


def test_unknown_labels_stay_unknown_at_every_moment() -> None:
    plan, table = split_days(changes={10: {"fraud": None}})
    assert np.isnan(labels_as_of(table, plan.as_of_ms)[10]) and np.isnan(labels_as_of(table, None)[10])


def test_a_part_whose_frauds_were_all_reported_later_is_refused() -> None:
    late = {i: {"seen": "2026-06-01"} for i in range(43, 53)}
    with pytest.raises(TableError, match="The calibration part of the evaluation plan holds no frauds"):
        split_days(changes=late)


def test_known_compromised_cards_are_dropped_from_the_day_after_they_were_known() -> None:
    profile = make_profile(**BY_DATES, drop_compromised="card")
    # The card of day 55's fraud (known at noon of day 57) pays again; that of day 60's (known on day 62) too.
    changes = {61: {"card": "c55"}, 62: {"card": "c60"}, 63: {"card": "c60"}}
    plan = split(days(profile, changes=changes), profile, 7)
    assert plan.n_dropped_compromised == 2
    assert {61, 63}.isdisjoint(plan.test.tolist()) and 62 in plan.test


def test_fractions_cut_the_labelled_rows_in_time_and_keep_the_delay() -> None:
    profile = make_profile(test_fraction=0.25, calibration_fraction=0.2, delay_days=5)
    table = days(profile)
    plan = split(table, profile, 7)
    assert plan.test.tolist() == list(range(75, 100))
    assert plan.train.tolist() == list(range(56)) and plan.calibration.tolist() == list(range(56, 70))
    gap = table.times()[plan.test[0]] - table.times()[plan.calibration[-1]]
    assert gap > 5 * DAY_MS


def test_without_time_the_split_is_random_has_equal_rates_and_says_so() -> None:
    profile = make_profile(timed=False, test_fraction=0.25, calibration_fraction=0.2)
    table = days(profile, 400)
    plan = split(table, profile, 7)
    parts = [plan.train, plan.calibration, plan.test]
    assert [len(p) for p in parts] == [240, 60, 100]
    assert [table.labels[p].mean() for p in parts] == [0.2] * 3
    assert len(set(np.concatenate(parts).tolist())) == 400
    assert "optimistic" in plan.note and plan.as_of_ms is None


def test_a_random_split_is_the_seeds() -> None:
    profile = make_profile(timed=False)
    table = days(profile)
    assert split(table, profile, 7).test.tolist() == split(table, profile, 7).test.tolist()
    assert split(table, profile, 7).test.tolist() != split(table, profile, 8).test.tolist()


@pytest.mark.parametrize(("fraud_every", "word"), [(1, "legitimate transactions"), (1000, "frauds")])
@pytest.mark.parametrize("timed", [True, False])
def test_too_few_of_a_class_is_refused_with_the_count(fraud_every: int, word: str, timed: bool) -> None:
    profile = make_profile(timed=timed)
    with pytest.raises(TableError, match=f"holds [01] {word} .* needs 10 at least"):
        split(days(profile, fraud_every=fraud_every), profile, 7)


def test_a_fraction_too_small_for_the_table_is_refused() -> None:
    profile = make_profile(timed=False, test_fraction=0.01)
    with pytest.raises(TableError, match=r"too few labelled rows \(50\)"):
        split(days(profile, 50), profile, 7)


@pytest.mark.parametrize("start", ["2020-01-01", "2030-01-01"])
def test_a_test_window_outside_the_table_is_refused(start: str) -> None:
    profile = make_profile(test_start=start)
    with pytest.raises(TableError, match=r"part of the evaluation plan holds no frauds \(0 rows\)"):
        split(days(profile), profile, 7)


def test_the_manifests_windows_say_rows_frauds_and_times() -> None:
    plan, table = split_days()
    window = plan.windows(table)["calibration"]
    assert window == {
        "n_rows": 10,
        "n_frauds": 2,
        "first_at": "2026-02-13T12:00:00+00:00",
        "last_at": "2026-02-22T12:00:00+00:00",
    }


def test_the_newest_traffic_is_as_many_days_as_calibrate_all_of_them_after_the_window() -> None:
    profile = make_profile(**BY_DATES)
    table = days(profile)
    newest = newest_traffic(table, split(table, profile, 0), profile)
    assert newest.tolist() == list(range(90, 100)), "ten days, labelled or not"


@pytest.mark.parametrize(
    "evaluation",
    [
        BY_DATES | {"test_days": 31},  # nine days are left after it
        {k: v for k, v in BY_DATES.items() if k != "test_days"},  # the window reaches to the end
        {"test_fraction": 0.3, "calibration_fraction": 0.2},
    ],
)
def test_a_table_that_ends_with_its_window_has_no_newest_traffic(evaluation: dict[str, Any]) -> None:
    profile = make_profile(**evaluation)
    table = days(profile)
    assert len(newest_traffic(table, split(table, profile, 0), profile)) == 0


def test_a_table_without_time_has_no_newest_traffic() -> None:
    profile = make_profile(timed=False)
    table = days(profile, changes={row: {"paid": float(row)} for row in range(100)})
    assert len(newest_traffic(table, split(table, profile, 0), profile)) == 0
