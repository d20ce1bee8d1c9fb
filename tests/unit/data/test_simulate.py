from dataclasses import replace
from datetime import date
from hashlib import sha256

import numpy as np
import pandas as pd
import pytest

from fraud.data.profile import load_profile
from fraud.data.simulate import (
    COLUMNS,
    TYPOLOGIES,
    SimulationConfig,
    TypologyConfig,
    simulate,
    streaming,
)
from fraud.data.simulate.config import stream
from fraud.data.simulate.honest import draw_amounts
from fraud.data.simulate.population import draw_population
from fraud.errors import TableError

SMALL = {"n_transactions": 6_000, "days": 30}
PINNED = "e29ab3c7217683a57a6902626a7dabd929a8203491ebeb393b621b8848345f44"


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return simulate(120_000, days=120)


def digest(frame: pd.DataFrame) -> str:
    return sha256(frame.to_csv(index=False, lineterminator="\n").encode()).hexdigest()


def test_the_same_seed_gives_the_same_table_byte_for_byte() -> None:
    assert digest(simulate(3_000, days=20)) == PINNED


def test_a_table_written_day_by_day_is_the_table_drawn_at_once(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(streaming, "FILE_ROWS", 2_000)
    n_rows, n_files = streaming.write_simulated(tmp_path / "table", 6_000, 7, 30)
    parts = [pd.read_parquet(path) for path in sorted((tmp_path / "table").iterdir())]
    whole = simulate(**SMALL)
    assert (n_rows, n_files) == (len(whole), 3) == (len(whole), len(parts))
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), whole)


def test_more_rows_a_day_than_ids_can_tell_apart_are_refused() -> None:
    with pytest.raises(TableError, match="ask for more days"):
        next(streaming.simulated_days(10_000_000, days=3))


def test_another_seed_gives_another_table() -> None:
    assert digest(simulate(**SMALL, seed=8)) != digest(simulate(**SMALL))


def test_the_columns_and_their_types_are_those_promised(table: pd.DataFrame) -> None:
    assert tuple(table.columns) == COLUMNS
    assert str(table["occurred_at"].dtype) == str(table["reported_at"].dtype) == "datetime64[ms, UTC]"
    assert table["is_fraud"].dtype == np.int8
    assert table["transaction_id"].is_unique
    assert not table.drop(columns="reported_at").isna().any().any()


def test_the_table_is_sorted_by_time_and_stays_in_its_window(table: pd.DataFrame) -> None:
    moments = table["occurred_at"]
    assert moments.is_monotonic_increasing
    assert moments.iloc[0] >= pd.Timestamp("2026-01-01", tz="UTC")
    assert moments.iloc[-1] < pd.Timestamp("2026-05-01", tz="UTC")


def test_amounts_are_positive_cents_and_places_have_four_decimals(table: pd.DataFrame) -> None:
    assert (table["amount"] >= 0.5).all()
    for column, decimals in {"amount": 2, "home_lat": 4, "home_lon": 4, "merchant_lat": 4}.items():
        assert np.array_equal(table[column], table[column].round(decimals))


def test_no_amount_is_above_what_the_profile_takes() -> None:
    population = draw_population(SimulationConfig(), 7, 1_000)
    card = np.arange(len(population.level))
    first = np.zeros(len(card), dtype=np.int64)
    amounts = draw_amounts(stream(7, "honest"), population, card, first, first, factor=1e6)
    (rule,) = (c for c in load_profile("cards").fields if c.column == "amount")
    assert amounts.max() == rule.maximum


def test_two_windows_make_the_same_table_as_one() -> None:
    config = SimulationConfig(n_cards=150)
    whole = simulate(days=40, config=config)
    before = simulate(days=28, config=config)
    after = simulate(days=12, start_day=28, config=config)
    pd.testing.assert_frame_equal(pd.concat([before, after], ignore_index=True), whole)


def test_the_same_cards_go_on_when_the_daily_volume_is_kept() -> None:
    first = simulate(6_000, days=30).drop_duplicates("card_id").set_index("card_id")
    later = simulate(2_000, days=10, start_day=30).drop_duplicates("card_id").set_index("card_id")
    both = first.index.intersection(later.index)
    assert len(both) > 0.8 * len(first)
    same = ["home_lat", "home_lon", "cardholder_age"]
    pd.testing.assert_frame_equal(first.loc[both, same], later.loc[both, same])


def test_fraud_rates_can_change_while_the_honest_days_stay_the_same() -> None:
    calm = simulate(**SMALL)
    config = SimulationConfig(account_takeover=TypologyConfig(20.0, 0.05, 4.0, 0.8))
    stormy = simulate(**SMALL, config=config)
    columns = ["occurred_at", "card_id", "merchant_id", "amount"]
    honest = [t.loc[t["typology"] == "none", columns].reset_index(drop=True) for t in (calm, stormy)]
    pd.testing.assert_frame_equal(*honest)
    assert (stormy["typology"] == "account_takeover").sum() > 5 * (
        calm["typology"] == "account_takeover"
    ).sum()


def test_the_number_of_rows_is_about_the_number_asked_for(table: pd.DataFrame) -> None:
    assert 0.92 < len(table) / 120_000 < 1.08
    assert 1.8 < len(simulate(24_000, days=60)) / len(simulate(12_000, days=60)) < 2.2


def test_cards_make_about_one_transaction_a_day_with_a_heavy_tail(table: pd.DataFrame) -> None:
    per_day = table.groupby("card_id").size() / 120
    assert 0.8 < per_day.mean() < 1.5
    assert per_day.quantile(0.99) > 3 * per_day.median()


def test_the_observed_fraud_rate_is_between_half_and_one_percent(table: pd.DataFrame) -> None:
    assert 0.005 < table["is_fraud"].mean() < 0.01


def test_every_typology_occurs(table: pd.DataFrame) -> None:
    assert set(table["typology"]) == set(TYPOLOGIES)


def test_labels_arrive_after_their_transactions_and_only_for_reported_fraud(table: pd.DataFrame) -> None:
    reported = table["reported_at"].notna()
    assert np.array_equal(reported, table["is_fraud"] == 1)
    delay = (table["reported_at"] - table["occurred_at"])[reported]
    assert delay.min() >= pd.Timedelta(minutes=10)
    assert pd.Timedelta(days=1) < delay.median() < pd.Timedelta(days=10)
    assert delay.max() > pd.Timedelta(days=20)


def test_a_stolen_card_is_noticed_sooner_than_a_skimmed_one(table: pd.DataFrame) -> None:
    delay = (table["reported_at"] - table["occurred_at"]).groupby(table["typology"]).median()
    assert delay["lost_stolen"] < delay["account_takeover"] < delay["skimmed_merchant"] < delay["none"]


def test_some_frauds_are_never_reported_and_some_reports_are_false(table: pd.DataFrame) -> None:
    fraud = table["typology"] != "none"
    assert 0.02 < (table.loc[fraud, "is_fraud"] == 0).mean() < 0.15
    false_reports = ((table["is_fraud"] == 1) & ~fraud).sum() / (table["is_fraud"] == 1).sum()
    assert 0.01 < false_reports < 0.12


def test_card_testing_is_many_small_amounts_and_then_big_ones(table: pd.DataFrame) -> None:
    fraud = table[table["typology"] == "card_testing"]
    small = fraud["amount"] <= 15
    assert small.mean() > 0.6
    assert (fraud["channel"] == "online").all()
    assert fraud.loc[~small, "amount"].median() > 60
    first_small = fraud[small].groupby("card_id")["occurred_at"].min()
    first_big = fraud[~small].groupby("card_id")["occurred_at"].min()
    assert (first_big - first_small).dropna().gt(pd.Timedelta(0)).mean() > 0.9


def test_a_thief_without_the_pin_stays_below_the_contactless_limit(table: pd.DataFrame) -> None:
    fraud = table[table["typology"] == "lost_stolen"]
    assert not (fraud["channel"] == "online").any()
    assert (fraud.loc[fraud["channel"] == "contactless", "amount"] <= 50).mean() > 0.7
    assert (
        np.hypot(fraud["home_lat"] - fraud["merchant_lat"], fraud["home_lon"] - fraud["merchant_lon"]) < 1
    ).mean() > 0.8


def test_a_taken_over_account_buys_more_by_night_and_for_more(table: pd.DataFrame) -> None:
    honest = table[(table["typology"] == "none") & (table["channel"] == "online")]
    fraud = table[table["typology"] == "account_takeover"]
    assert (fraud["occurred_at"].dt.hour < 6).mean() > 2 * (honest["occurred_at"].dt.hour < 6).mean()
    assert fraud["amount"].median() > 3 * honest["amount"].median()


def test_a_merchants_reported_past_tells_of_its_future(table: pd.DataFrame) -> None:
    week = (table["occurred_at"] - table["occurred_at"].iloc[0]).dt.days // 7
    rate = table.groupby([week, "merchant_id"])["is_fraud"].mean().unstack(fill_value=0.0)
    past, future = rate.iloc[:-2].to_numpy().ravel(), rate.iloc[2:].to_numpy().ravel()
    assert future[past > 0.1].mean() > 5 * future.mean()


def test_honest_cards_also_burst_travel_and_visit_new_merchants(table: pd.DataFrame) -> None:
    honest = table[table["typology"] == "none"]
    gap = honest.groupby("card_id")["occurred_at"].diff()
    assert (gap < pd.Timedelta(minutes=10)).mean() > 0.02
    assert (honest["country"] != "PT").mean() > 0.02
    late = honest[honest["occurred_at"] > honest["occurred_at"].iloc[len(honest) // 2]]
    assert (~honest.duplicated(["card_id", "merchant_id"])).loc[late.index].mean() > 0.05


def test_people_shop_by_day_and_more_on_saturdays(table: pd.DataFrame) -> None:
    moments = table["occurred_at"].dt
    assert (moments.hour < 6).mean() < 0.1
    per_weekday = table.groupby(moments.day_of_week).size()
    assert per_weekday[5] > 1.1 * per_weekday[0]


def test_december_is_busier_than_november() -> None:
    autumn = simulate(12_000, days=60, start=date(2026, 11, 1))
    per_month = autumn.groupby(autumn["occurred_at"].dt.month).size()
    assert per_month[12] > 1.1 * per_month[11]


def test_a_tiny_world_still_works() -> None:
    assert len(simulate(1, days=1)) > 0
    assert len(simulate(days=2, config=SimulationConfig(n_cards=1, card_rate=5.0))) > 0


def test_streams_are_independent_of_their_neighbours() -> None:
    assert stream(7, "honest", -3).random() == stream(7, "honest", -3).random()
    assert len({stream(7, name, key).random() for name in ("honest", "labels") for key in (-1, 0, 1)}) == 6


def test_the_population_depends_on_no_fraud_setting() -> None:
    config = SimulationConfig()
    plain = draw_population(config, 7, 50)
    other = draw_population(replace(config, friendly=0.0, mimicry=0.5), 7, 50)
    assert np.array_equal(plain.usual_shops, other.usual_shops)
    assert np.array_equal(plain.rate, other.rate)


@pytest.mark.parametrize("wrong", [{"n_transactions": 0}, {"days": 0}, {"start_day": -1}])
def test_an_impossible_window_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least"):
        simulate(**wrong)


@pytest.mark.parametrize("wrong", [{"mimicry": 1.5}, {"card_rate": 0.0}, {"n_cards": 0}])
def test_an_impossible_world_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SimulationConfig(**wrong)


def test_an_impossible_typology_is_refused() -> None:
    with pytest.raises(ValueError, match="never_reported"):
        TypologyConfig(1.0, 1.5, 1.0, 1.0)
    with pytest.raises(ValueError, match="incidents"):
        TypologyConfig(-1.0, 0.5, 1.0, 1.0)
