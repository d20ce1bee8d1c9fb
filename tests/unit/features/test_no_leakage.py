"""No feature sees what came later: every function that a profile can name, as its types list them."""

from importlib.resources import files
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud.data.profile import (
    AggregateFunction,
    Features,
    LastFunction,
    Profile,
    load_profile,
    parse_profile,
)
from fraud.data.table import Transactions, transactions_from_frame
from fraud.features.pipeline import FeaturePipeline

CALENDAR = get_args(get_args(Features.model_fields["calendar"].annotation)[0])
SHIPPED = sorted(
    entry.name.removesuffix(".toml")
    for entry in (files("fraud.data") / "profiles").iterdir()
    if entry.name.endswith(".toml")
)
DAY_H = 24


def everything() -> Profile:
    """Return a profile that declares every kind of feature there is."""

    def number(column: str, low: float = -90) -> dict:
        return {
            "column": column,
            "kind": "number",
            "label": {"en": column},
            "minimum": low,
            "maximum": 100_000,
        }

    places = ["lat", "lon", "shop_lat", "shop_lon"]
    return parse_profile(
        {
            "name": "everything",
            "title": {"en": "All"},
            "description": {"en": ""},
            "columns": {"time": "at", "label": "fraud", "amount": "paid", "label_at": "reported_at"},
            "entities": [
                {"name": "card", "column": "card", "label": {"en": "Card"}},
                {"name": "shop", "column": "shop", "label": {"en": "Shop"}},
            ],
            "fields": [
                number("paid", 0),
                *(number(p) for p in places),
                {"column": "born", "kind": "date", "label": {"en": "Born"}},
                {"column": "kind", "kind": "category", "label": {"en": "Kind"}, "levels": ["p", "q"]},
            ],
            "features": {
                "calendar": list(CALENDAR),
                "label_delay_days": 2,
                "position": places[:2],
                "distances": [{"name": "distance", "origin": places[:2], "destination": places[2:]}],
                "ages": [{"name": "age", "since": "born"}],
                "history": [
                    {
                        "by": by,
                        "windows": ["1h", "3d"],
                        "functions": list(get_args(AggregateFunction)),
                        "last": list(get_args(LastFunction)),
                    }
                    for by in (["card"], ["shop"], ["card", "kind"])
                ],
            },
            "evaluation": {"kind": "time"},
            "costs": {"review": 1, "friction": 5},
        },
        "test",
    )


PROFILE = everything()
NAMES = FeaturePipeline(PROFILE, {"kind": ("p", "q")}).names


def table(rows: list[tuple]) -> Transactions:
    """Return a table of (hour, card, shop, kind, amount, place, label, hours until it is reported)."""
    start = pd.Timestamp("2026-01-01", tz="UTC")
    at = [start + pd.Timedelta(hours=r[0]) for r in rows]
    frame = {
        "at": at,
        "card": [r[1] for r in rows],
        "shop": [r[2] for r in rows],
        "kind": [r[3] for r in rows],
        "paid": [r[4] for r in rows],
        "lat": [float(r[5]) for r in rows],
        "lon": [float(-r[5]) for r in rows],
        "shop_lat": [1.0] * len(rows),
        "shop_lon": [float(r[5] / 2) for r in rows],
        "born": ["1980-05-05"] * len(rows),
        "fraud": [r[6] for r in rows],
        "reported_at": [t + pd.Timedelta(hours=r[7]) for t, r in zip(at, rows, strict=True)],
    }
    return transactions_from_frame(pd.DataFrame(frame), PROFILE)


def matrix(transactions: Transactions) -> np.ndarray:
    """Return all features, with levels that do not depend on the rows."""
    return FeaturePipeline(PROFILE, {"kind": ("p", "q")}).transform(transactions)


row = st.tuples(
    st.integers(0, 400).map(lambda q: q / 4),
    st.sampled_from("ab"),
    st.sampled_from("xy"),
    st.sampled_from("pq"),
    st.integers(0, 10_000).map(lambda cents: cents / 100),
    st.integers(-80, 80),
    st.sampled_from([0, 1]),
    st.integers(2 * DAY_H, 6 * DAY_H),
)


@settings(max_examples=30, deadline=None)
@given(st.lists(row, min_size=2, max_size=30), st.integers(1, 29), st.lists(row, max_size=10))
def test_no_feature_of_any_kind_changes_with_what_comes_later(
    rows: list[tuple], cut: int, later: list[tuple]
) -> None:
    rows = sorted(rows, key=lambda r: r[0])
    kept = [r for r in rows if r[0] <= rows[min(cut, len(rows) - 1)][0]]
    moment = kept[-1][0]
    changed = kept + [(max(r[0], moment + 0.001), *r[1:]) for r in later]
    before, after = matrix(table(kept)), matrix(table(sorted(changed, key=lambda r: r[0])))
    for position, name in enumerate(NAMES):
        np.testing.assert_array_equal(before[:, position], after[: len(kept), position], err_msg=name)


@settings(max_examples=10, deadline=None)
@given(st.lists(row, min_size=2, max_size=15))
def test_no_feature_changes_with_the_label_of_its_own_row_or_of_one_not_reported_yet(
    rows: list[tuple],
) -> None:
    rows = sorted(rows, key=lambda r: r[0])
    seen = matrix(table(rows))
    for i, asked in enumerate(rows):
        # Reports come after two days at the least, and the delay is two: within it nobody knows a label.
        young = [(*r[:6], 1 - r[6], r[7]) if asked[0] - r[0] <= 2 * DAY_H else r for r in rows[: i + 1]]
        again = matrix(table(young + rows[i + 1 :]))
        for position, name in enumerate(NAMES):
            np.testing.assert_array_equal(seen[i, position], again[i, position], err_msg=name)


def test_every_feature_that_can_be_declared_is_under_test() -> None:
    history = {f"card_{f}_{w}" for f in get_args(AggregateFunction) for w in ("1h", "3d")}
    last = {f"card_{f}_since_last" for f in get_args(LastFunction)}
    assert history | last | set(CALENDAR) | {"distance", "age", "paid", "kind"} <= set(NAMES)
    # A key of [features] that this file does not know is a kind of feature that it does not test.
    known = {"calendar", "label_delay_days", "position", "distances", "ages", "history"}
    assert set(Features.model_fields) == known


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_profile_names_only_kinds_of_features_tested_here(name: str) -> None:
    features = load_profile(name).features
    used = {f for aggregate in features.history for f in (*aggregate.functions, *aggregate.last)}
    assert used <= {*get_args(AggregateFunction), *get_args(LastFunction)}
    assert set(features.calendar) <= set(CALENDAR)
