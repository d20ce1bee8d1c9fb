"""Small tables for the tests of drift."""

from dataclasses import replace

import numpy as np

from fraud.data.profile import DAY_MS, Profile, parse_profile
from fraud.data.table import NEVER_MS, Coded, Transactions
from fraud.models.reference import Batch, Sketch, build_reference
from fraud.monitoring.drift import start_window

TEXT = {"en": "x"}
MONDAY = 20_003
"""A Monday, in days since 1970."""


def profile(*, timed: bool = True, entity: bool = True) -> Profile:
    """Return a profile of one amount, one whole number, one category and one flag."""
    return parse_profile(
        {
            "name": "small",
            "title": TEXT,
            "description": TEXT,
            "columns": {"label": "y", **({"time": "t"} if timed else {})},
            "entities": [{"name": "card", "column": "card", "label": TEXT}] if entity else [],
            "fields": [
                {"column": "amount", "kind": "number", "unit": "EUR", "label": TEXT},
                {"column": "age", "kind": "number", "integer": True, "label": TEXT},
                {"column": "channel", "kind": "category", "open_levels": True, "label": TEXT},
                {"column": "abroad", "kind": "boolean", "label": TEXT},
            ],
            "evaluation": {"kind": "time"} if timed else {"kind": "stratified"},
            "costs": {"review": 1, "friction": 5},
        },
        "test",
    )


def table(
    rng: np.random.Generator,
    n: int,
    *,
    days: tuple[int, int] | None = (0, 42),
    hours: tuple[float, float] = (0, 24),
    n_cards: int = 3_000,
) -> Transactions:
    """Return n rows that differ by chance alone; `days` counts from a Monday."""
    time_ms = None
    if days is not None:
        first = MONDAY + days[0]
        time_ms = rng.integers(first, MONDAY + days[1], n) * DAY_MS
        time_ms = np.sort(time_ms + (rng.uniform(*hours, n) * 3_600_000).astype(np.int64))
    channels = rng.choice(3, n, p=[0.6, 0.3, 0.1]).astype(np.int32)
    cards = rng.integers(0, n_cards, n).astype(np.int32)
    return Transactions(
        rows=np.arange(n),
        ids=np.full(n, "", dtype=object),
        time_ms=time_ms,
        numbers={
            "amount": rng.lognormal(3, 1, n).round(2),
            "age": rng.integers(18, 90, n).astype(float),
            "abroad": (rng.random(n) < 0.1).astype(float),
        },
        texts={
            "channel": Coded(channels, ("chip", "online", "cash")),
            "card": Coded(cards, tuple(f"K{i}" for i in range(n_cards))),
        },
        labels=np.full(n, np.nan),
        known_at_ms=np.full(n, NEVER_MS),
    )


def with_numbers(transactions: Transactions, **columns: np.ndarray) -> Transactions:
    """Return the same rows with other numbers."""
    return replace(transactions, numbers={**transactions.numbers, **columns})


def with_channel(transactions: Transactions, codes: np.ndarray, values: tuple[str, ...]) -> Transactions:
    """Return the same rows with another category."""
    return replace(
        transactions, texts={**transactions.texts, "channel": Coded(codes.astype(np.int32), values)}
    )


def reference_of(transactions: Transactions, of: Profile | None = None) -> Sketch:
    """Return a reference without scores."""
    return build_reference(of or profile(), lambda: [Batch(transactions)])


def window_of(reference: Sketch, *parts: Transactions) -> Sketch:
    """Return the parts, counted one after the other on the bins of the reference."""
    tally = start_window(reference)
    for part in parts:
        tally.update(Batch(part))
    return tally.sketch()
