"""Windows of predictions for tests."""

from typing import Any

import numpy as np

from fraud.data.profile import DAY_MS, load_profile
from fraud.data.table import NEVER_MS, Coded, Transactions
from fraud.monitoring.observations import ModelAnswers, Observations
from fraud.monitoring.opinions import Standing

PROFILE = load_profile("cards")
CUT = 0.2


def transactions(
    n: int, day: np.ndarray, card: np.ndarray, amount: np.ndarray, labels: np.ndarray
) -> Transactions:
    return Transactions(
        rows=np.arange(n),
        ids=np.array([f"t{i}" for i in range(n)], object),
        time_ms=day * DAY_MS,
        numbers={"amount": amount},
        texts={
            "card_id": Coded(card.astype(np.int32), tuple(f"c{i}" for i in range(card.max() + 1))),
            "channel": Coded((card % 2).astype(np.int32), ("chip", "online")),
        },
        labels=labels,
        known_at_ms=np.full(n, NEVER_MS),
    )


def observed(
    p: Any,
    y: Any,
    asked: Any = None,
    pi: Any = None,
    *,
    day: Any = None,
    card: Any = None,
    amount: Any = None,
    standing: Any = Standing.CONFIRMED,
) -> Observations:
    n = len(p)
    p, y = np.asarray(p, float), np.asarray(y, float)
    day = np.zeros(n, np.int64) if day is None else np.asarray(day)
    table = transactions(
        n,
        day,
        np.arange(n) if card is None else np.asarray(card),
        np.full(n, 10.0) if amount is None else np.asarray(amount, float),
        y,
    )
    return Observations(
        predicted_ms=day * DAY_MS,
        version=Coded(np.zeros(n, np.int32), ("1.0.0",)),
        answers={"xgboost": ModelAnswers(p, p >= CUT)},
        labels=y,
        standing=np.where(np.isnan(y), 0, standing).astype(np.int8),
        volunteered=np.zeros(n, bool),
        audit_asked=np.ones(n, bool) if asked is None else np.asarray(asked),
        audit_probability=np.ones(n) if pi is None else np.asarray(pi, float),
        latency_ms=np.ones(n),
        transactions=table,
    )
