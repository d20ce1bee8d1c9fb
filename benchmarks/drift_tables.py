"""The generated table of the drift benchmarks: 30 columns, with a time and a card."""

import numpy as np
import pandas as pd

from fraud.data.profile import Profile, parse_profile

N_NUMBERS, N_CATEGORIES = 22, 8
N_COLUMNS = N_NUMBERS + N_CATEGORIES
DAY_S = 86_400


def profile() -> Profile:
    """Return a profile of 30 columns."""
    text = {"en": "x"}
    fields = [{"column": f"n{i}", "kind": "number", "label": text} for i in range(N_NUMBERS)]
    fields += [
        {"column": f"c{i}", "kind": "category", "open_levels": True, "label": text}
        for i in range(N_CATEGORIES)
    ]
    return parse_profile(
        {
            "name": "drift",
            "title": text,
            "description": text,
            "columns": {"label": "y", "time": "t"},
            "entities": [{"name": "card", "column": "card", "label": text}],
            "fields": fields,
            "evaluation": {"kind": "time"},
            "costs": {"review": 1, "friction": 5},
        },
        "benchmark",
    )


def table(rng: np.random.Generator, n: int, first_day: int, days: int) -> pd.DataFrame:
    """Return n rows: lognormal, normal, whole, rounded, often zero and partly missing numbers; levels."""
    columns: dict[str, object] = {}
    for i in range(N_NUMBERS):
        kind = i % 6
        values = {
            0: lambda: rng.lognormal(3, 1, n).round(2),
            1: lambda: rng.normal(0, 1, n),
            2: lambda: rng.integers(18, 90, n).astype(float),
            3: lambda: np.round(rng.lognormal(3, 1, n), -1),
            4: lambda: np.where(rng.random(n) < 0.7, 0.0, rng.exponential(5, n)),
            5: lambda: np.where(rng.random(n) < 0.05, np.nan, rng.gamma(2, 10, n)),
        }[kind]()
        columns[f"n{i}"] = values
    for i in range(N_CATEGORIES):
        size = (3, 5, 12, 40)[i % 4]
        share = 1 / np.arange(1, size + 1)
        codes = rng.choice(size, n, p=share / share.sum())
        columns[f"c{i}"] = pd.Categorical.from_codes(codes, [f"L{k}" for k in range(size)])
    hour = np.clip(rng.normal(14, 5, n), 0, 23.99)
    seconds = (rng.integers(first_day, first_day + days, n) * DAY_S + hour * 3600).astype(np.int64)
    columns["t"] = (seconds * 1000).astype("datetime64[ms]")
    columns["card"] = pd.Categorical.from_codes(rng.integers(0, 20_000, n), [f"K{k}" for k in range(20_000)])
    return pd.DataFrame(columns).sort_values("t", ignore_index=True)
