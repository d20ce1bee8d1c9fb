"""Simulated card payments: the built-in data, so that nobody needs a download.

Each day of a world has its own random streams, keyed by the seed and the day. A window is therefore the
same whether it is drawn alone, or as part of a longer one; and the days after a training table are had by
asking for them (`start_day`). docs/simulator.md says what is modelled and how hard it is.
"""

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from fraud.data.simulate.catalogue import NAMES
from fraud.data.simulate.config import DAY_SECONDS, SimulationConfig, TypologyConfig, stream
from fraud.data.simulate.honest import CHANNELS, Rows, honest_day
from fraud.data.simulate.labels import report_fraud, report_honest
from fraud.data.simulate.population import Ints, Population, card_age_days, country_codes, draw_population
from fraud.data.simulate.typologies import TYPOLOGIES, incidents, origin_days

__all__ = ["COLUMNS", "TYPOLOGIES", "SimulationConfig", "TypologyConfig", "simulate"]

COLUMNS = (
    "transaction_id",
    "occurred_at",
    "card_id",
    "merchant_id",
    "amount",
    "category",
    "channel",
    "card_age_days",
    "cardholder_age",
    "home_lat",
    "home_lon",
    "merchant_lat",
    "merchant_lon",
    "country",
    "is_fraud",
    "reported_at",
    "typology",
)
"""The columns of a simulated table, in order."""


def simulate(
    n_transactions: int = 400_000,
    seed: int = 7,
    start: date = date(2026, 1, 1),
    days: int = 240,
    *,
    start_day: int = 0,
    config: SimulationConfig | None = None,
) -> pd.DataFrame:
    """Return `days` days of card transactions, sorted by time.

    Parameters
    ----------
    n_transactions
        Expected number of rows, met within a few percent: `n_transactions / days` sizes the population,
        unless `config.n_cards` is set. Keep that quotient to keep the cards.
    seed
        Names the world. One seed gives one table, on any machine.
    start
        Date of day 0 of the world, UTC.
    days
        Length of the window in days.
    start_day
        First day of the window, counted from `start`. The same cards go on: days 0-239 and then 240-269
        are together what days 0-269 are.
    config
        The world's numbers.

    Returns
    -------
    pandas.DataFrame
        The columns `COLUMNS`. `amount` in EUR; `card_age_days` in days, `cardholder_age` in years;
        positions in degrees, for online merchants that of their office; `country` the merchant's, ISO 3166-1
        alpha-2; `is_fraud` the *observed* label, which `reported_at` (NaT where 0) made known, perhaps after
        the window; `typology` the truth, "none" for honest, for analysis and never as a feature.

    Raises
    ------
    ValueError
        If `n_transactions` or `days` is below 1, or `start_day` is negative.
    """
    if n_transactions < 1 or days < 1 or start_day < 0:
        raise ValueError("n_transactions and days must be at least 1, start_day at least 0")
    config = config or SimulationConfig()
    population = draw_population(config, seed, config.cards_for(n_transactions, days))
    parts = []
    for day in range(start_day - origin_days(config), start_day + days):
        honest, fraudulent = one_day(population, config, seed, day, start + timedelta(days=day))
        parts += [honest, *fraudulent] if day >= start_day else fraudulent
    rows = Rows.concat(parts)
    first, end = start_day * DAY_SECONDS, (start_day + days) * DAY_SECONDS
    rows = rows.take((rows.second >= first) & (rows.second < end))
    return table_of(rows, population, start)


def one_day(
    population: Population, config: SimulationConfig, seed: int, day: int, today: date
) -> tuple[Rows, list[Rows]]:
    """Return the day's honest transactions, and those of the incidents that begin on it, with reports."""
    honest = honest_day(population, config, seed, day, today)
    rng = stream(seed, "labels", day)
    typologies = (config.card_testing, config.lost_stolen, config.account_takeover, config.skimmed_merchant)
    fraudulent = [
        report_fraud(rng, rows, typology)
        for rows, typology in zip(incidents(population, config, seed, day, honest), typologies, strict=True)
    ]
    return report_honest(rng, honest, config), fraudulent


def table_of(
    rows: Rows, population: Population, start: date, typologies: Sequence[str] = TYPOLOGIES
) -> pd.DataFrame:
    """Return the rows with ids, names and places, as a table sorted by time."""
    rows = rows.take(np.lexsort((rows.amount, rows.typology, rows.merchant, rows.card, rows.second)))
    day = rows.second // DAY_SECONDS
    # Ids count within a day, so that they do not depend on where the window begins.
    number = day * 1_000_000 + np.arange(len(rows)) - np.searchsorted(day, day, side="left")
    cards = _ids("C", 5, np.arange(1, population.n_cards + 1))
    merchants = _ids("M", 4, np.arange(1, population.n_merchants + 1))
    columns = {
        "transaction_id": _ids("T", 10, number),
        "occurred_at": _moments(rows.second, start),
        "card_id": cards[rows.card],
        "merchant_id": merchants[rows.merchant],
        "amount": rows.amount,
        "category": NAMES[population.merchant_category[rows.merchant]],
        "channel": np.array(CHANNELS, dtype=object)[rows.channel],
        "card_age_days": card_age_days(population, rows.card, day),
        "cardholder_age": population.age[rows.card],
        "home_lat": population.home_lat[rows.card],
        "home_lon": population.home_lon[rows.card],
        "merchant_lat": population.merchant_lat[rows.merchant],
        "merchant_lon": population.merchant_lon[rows.merchant],
        "country": country_codes(population)[rows.merchant],
        "is_fraud": (rows.reported >= 0).astype(np.int8),
        "reported_at": _moments(rows.reported, start, known=rows.reported >= 0),
        "typology": np.array(typologies, dtype=object)[rows.typology],
    }
    return pd.DataFrame({name: columns[name] for name in COLUMNS})


def _ids(letter: str, width: int, numbers: Ints) -> npt.NDArray[np.object_]:
    return np.array([f"{letter}{number:0{width}d}" for number in numbers.tolist()], dtype=object)


def _moments(second: Ints, start: date, known: npt.NDArray[np.bool_] | None = None) -> pd.Series:
    """Return seconds since the start as UTC times in milliseconds, NaT where not `known`."""
    moments = np.datetime64(start, "ms") + second.astype("timedelta64[s]").astype("timedelta64[ms]")
    if known is not None:
        moments = np.where(known, moments, np.datetime64("NaT", "ms"))
    utc: pd.Series = pd.Series(moments).dt.tz_localize("UTC")
    return utc
