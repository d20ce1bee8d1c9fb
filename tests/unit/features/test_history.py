"""Point-in-time features: nothing from the future, and one answer for training and serving."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud.data.profile import DAY_MS, Profile, load_profile, parse_profile, window_ms
from fraud.data.table import Transactions, transactions_from_frame
from fraud.features.history import History, build_index
from fraud.features.pipeline import FeaturePipeline
from fraud.models.bundle import load_bundle
from fraud.models.examples import to_record
from fraud.serving.scorer import Scorer

HOUR = 3_600_000


def tiny(rows: list[tuple[float, str, str, float, int | None]], delay_days: float = 2) -> Transactions:
    """Rows of (hour, card, shop, amount, label)."""
    return transactions_from_frame(
        pd.DataFrame(
            {
                "at": [pd.Timestamp("2026-01-01", tz="UTC") + pd.Timedelta(hours=r[0]) for r in rows],
                "card": [r[1] for r in rows],
                "shop": [r[2] for r in rows],
                "paid": [r[3] for r in rows],
                "fraud": [r[4] for r in rows],
            }
        ),
        tiny_profile(delay_days),
    )


def tiny_profile(delay_days: float = 2) -> Profile:
    return parse_profile(
        {
            "name": "tiny",
            "title": {"en": "Tiny"},
            "description": {"en": ""},
            "columns": {"time": "at", "label": "fraud", "amount": "paid"},
            "entities": [
                {"name": "card", "column": "card", "label": {"en": "Card"}},
                {"name": "shop", "column": "shop", "label": {"en": "Shop"}},
            ],
            "fields": [{"column": "paid", "kind": "number", "label": {"en": "Paid"}}],
            "features": {
                "label_delay_days": delay_days,
                "history": [
                    {
                        "by": ["card"],
                        "windows": ["1h", "1d"],
                        "functions": ["count", "sum", "mean", "ratio", "zscore", "variation", "max_ratio"],
                        "last": ["hours"],
                    },
                    {"by": ["shop"], "windows": ["3d"], "functions": ["fraud_rate", "n_frauds", "risk"]},
                    {"by": ["card", "shop"], "windows": ["1d"], "functions": ["count"]},
                ],
            },
            "evaluation": {"kind": "time"},
            "costs": {"review": 1, "friction": 5},
        },
        "test",
    )


def features(table: Transactions, delay_days: float = 2) -> dict[str, np.ndarray]:
    return History.of(table, tiny_profile(delay_days)).features(table)


def test_a_window_counts_strictly_earlier_events_of_the_same_card_only() -> None:
    columns = features(
        tiny([(0, "a", "x", 10, 0), (0.5, "a", "x", 20, 0), (0.5, "b", "x", 99, 0), (1.0, "a", "y", 30, 0)])
    )
    assert columns["card_count_1h"].tolist() == [0, 1, 0, 2]
    assert columns["card_sum_1h"].tolist() == [0, 10, 0, 30]
    assert columns["card_mean_1h"][3] == 15 and columns["card_ratio_1h"][3] == 2
    assert columns["card_hours_since_last"][3] == 0.5
    assert np.isnan(columns["card_mean_1h"][0]) and np.isnan(columns["card_hours_since_last"][0])
    assert columns["card_shop_count_1d"].tolist() == [0, 1, 0, 0]


def test_transactions_of_the_same_moment_do_not_see_each_other() -> None:
    columns = features(tiny([(1, "a", "x", 10, 0), (1, "a", "x", 20, 0)]))
    assert columns["card_count_1d"].tolist() == [0, 0]


def test_a_label_counts_only_once_it_is_known() -> None:
    rows = [(0, "a", "x", 10, 1), (24, "b", "x", 10, 0), (47, "c", "x", 10, 0), (49, "d", "x", 10, 0)]
    columns = features(tiny(rows))
    assert columns["shop_n_frauds_3d"].tolist() == [0, 0, 0, 1]  # two days of label delay
    assert columns["shop_risk_3d"].tolist() == [0, 0, 0, 1 / 11]
    assert columns["shop_fraud_rate_3d"][3] == 1.0 and np.isnan(columns["shop_fraud_rate_3d"][2])


def test_a_fraud_reported_late_counts_as_legitimate_until_then() -> None:
    rows = [(0, "a", "x", 10, 1), (1, "b", "x", 10, 0), (60, "c", "x", 10, 0), (90, "d", "x", 10, 0)]
    table = tiny(rows)
    reported = table.known_at_ms.copy()
    reported[0] = table.times()[0] + 80 * HOUR  # the label delay is 48 hours
    columns = features(table.with_labels(table.labels, reported))
    assert columns["shop_fraud_rate_3d"][2] == 0.0, "nobody knew at hour 60"
    assert columns["shop_n_frauds_3d"][2:].tolist() == [0, 1]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(49, 400), min_size=12, max_size=12), st.integers(0, 300))
def test_a_report_changes_no_row_before_it(hours: list[int], moment: int) -> None:
    table = tiny([(i * 12, "ab"[i % 2], "x", 10, 1) for i in range(12)])
    reported = table.times() + np.array(hours) * HOUR
    now = table.times()[0] + moment * HOUR
    seen = features(table.with_labels(table.labels, reported))
    # The world in which nothing was reported from `now` on: those labels are legitimate, as far as is known.
    open_cases = reported >= now
    unreported = np.where(open_cases, 0.0, table.labels)
    matured = np.where(open_cases, table.times() + 48 * HOUR, reported)
    blind = features(table.with_labels(unreported, matured))
    earlier = table.times() <= now
    for name, column in seen.items():
        np.testing.assert_array_equal(column[earlier], blind[name][earlier], err_msg=name)


def test_an_unknown_label_is_never_counted_as_legitimate() -> None:
    columns = features(tiny([(0, "a", "x", 10, None), (1, "b", "x", 10, 1), (60, "c", "x", 10, None)]))
    assert columns["shop_fraud_rate_3d"][2] == 1.0


event = st.tuples(
    st.integers(0, 400).map(lambda q: q / 4),
    st.sampled_from("ab"),
    st.sampled_from("xy"),
    st.integers(0, 10_000).map(lambda cents: cents / 100),
    st.sampled_from([0, 1, None]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(event, min_size=2, max_size=40), st.integers(1, 39), st.lists(event, max_size=10))
def test_changing_any_later_transaction_changes_no_earlier_row(rows: list, cut: int, later: list) -> None:
    rows = sorted(rows, key=lambda r: r[0])
    moment = rows[min(cut, len(rows) - 1)][0]
    kept = [r for r in rows if r[0] <= moment]
    changed = kept + [(max(r[0], moment + 0.25), *r[1:]) for r in later]
    before, after = features(tiny(kept)), features(tiny(sorted(changed, key=lambda r: r[0])))
    for name, column in before.items():
        np.testing.assert_array_equal(column, after[name][: len(kept)], err_msg=name)


@settings(max_examples=40, deadline=None)
@given(st.lists(event, min_size=1, max_size=40))
def test_the_compiled_windows_equal_the_definition(rows: list) -> None:
    table = tiny(sorted(rows, key=lambda r: r[0]))
    columns = features(table)
    cards, paid, time = table.texts["card"].texts(), table.numbers["paid"], table.times()
    for i in range(len(table)):
        for window in ("1h", "1d"):
            low = time[i] - window_ms(window)
            past = [j for j in range(len(table)) if cards[j] == cards[i] and low <= time[j] < time[i]]
            assert columns[f"card_count_{window}"][i] == len(past)
            assert columns[f"card_sum_{window}"][i] == pytest.approx(sum(paid[j] for j in past), abs=1e-9)
            amounts = np.array([paid[j] for j in past])
            top = paid[i] / amounts.max() if len(past) and amounts.max() > 0 else np.nan
            assert columns[f"card_max_ratio_{window}"][i] == pytest.approx(top, nan_ok=True)
            if len(past) < 3:
                assert np.isnan(columns[f"card_zscore_{window}"][i])
                continue
            mean, deviation = amounts.mean(), max(amounts.std(), max(amounts.mean(), 1) / 100)
            zscore = columns[f"card_zscore_{window}"][i]
            assert zscore == pytest.approx((paid[i] - mean) / deviation, abs=1e-6)
            spread = amounts.std() / mean if mean else np.nan
            variation = columns[f"card_variation_{window}"][i]
            assert variation == pytest.approx(spread, abs=1e-6, nan_ok=True)


@settings(max_examples=30, deadline=None)
@given(st.lists(event, min_size=2, max_size=40))
def test_one_transaction_gets_the_features_it_has_in_the_table_to_the_last_bit(rows: list) -> None:
    table = tiny(sorted(rows, key=lambda r: r[0]))
    history, columns = History.of(table, tiny_profile()), features(table)
    for i in range(0, len(table), 3):
        for name, alone in history.features(table.take(np.array([i]))).items():
            np.testing.assert_array_equal(alone[0], columns[name][i], err_msg=name)


@pytest.mark.parametrize("name", ["cards", "handbook", "sparkov"])
def test_every_history_of_a_shipped_profile_looks_backwards_only(name: str) -> None:
    profile = load_profile(name)
    table = _random_table(profile, 600)
    cut = 400
    pipeline = FeaturePipeline.fit(profile, table.take(np.arange(cut)))
    before = pipeline.transform(table.take(np.arange(cut)))
    changed = table.with_labels(
        np.where(np.arange(600) < cut, table.labels, 1 - table.labels), table.known_at_ms
    )
    np.testing.assert_array_equal(before, pipeline.transform(changed)[:cut])


def _random_table(profile: Profile, n: int) -> Transactions:
    rng = np.random.default_rng(5)
    start = pd.Timestamp("2026-01-01", tz="UTC")
    time = [start + pd.Timedelta(minutes=30 * i) for i in range(n)]
    frame = {profile.columns.time: time, profile.columns.label: rng.integers(0, 2, n).astype(str)}
    for field in profile.fields:
        if field.kind == "category":
            frame[field.column] = rng.choice(field.levels or ("P", "Q", "R"), n)
        elif field.kind == "date":
            frame[field.column] = ["1980-05-05"] * n
        else:
            low = max(field.minimum or 0, -80)
            values = rng.uniform(low, min(field.maximum or 80, low + 80), n)
            frame[field.column] = np.round(values) if field.integer else values
    for entity in profile.entities:
        frame[entity.column] = rng.integers(0, 9, n).astype(str)
    return transactions_from_frame(pd.DataFrame(frame), profile)


def test_training_and_serving_features_are_equal_to_the_last_bit(
    small_bundle: Path, small_frame: pd.DataFrame, small_profile: Profile
) -> None:
    scorer = Scorer.from_bundle(load_bundle(small_bundle))
    table = transactions_from_frame(small_frame, small_profile)
    trained = scorer.pipeline.transform(table)
    newest = np.flatnonzero(table.times() > table.times()[-1] - 2 * DAY_MS)
    assert len(newest) > 100
    for row in newest[::7].tolist():
        served = scorer.features(to_record(table, row, small_profile))
        np.testing.assert_array_equal(served[0], trained[row])


def test_a_supplied_past_replaces_what_is_known_of_the_card_and_nothing_else(
    small_bundle: Path, small_profile: Profile, small_frame: pd.DataFrame
) -> None:
    scorer = Scorer.from_bundle(load_bundle(small_bundle))
    table = transactions_from_frame(small_frame, small_profile)
    record = to_record(table, len(table) - 1, small_profile)
    names = list(scorer.pipeline.names)
    known = scorer.features(record)[0]
    empty = scorer.features(record, past=[])[0]
    assert empty[names.index("card_id_count_30d")] == 0
    own = [n for n in names if n.startswith("merchant_id_")]
    for name in own:
        np.testing.assert_equal(empty[names.index(name)], known[names.index(name)])


def test_an_entity_never_seen_has_an_empty_past() -> None:
    profile = tiny_profile()
    index = build_index(tiny([(0, "a", "x", 10, 0)]), ("card",), profile)
    assert index.groups(tiny([(1, "nobody", "x", 1, 0)])).tolist() == [-1]
    assert index.groups(tiny([(1, None, "x", 1, 0)])).tolist() == [-1]  # type: ignore[list-item]
