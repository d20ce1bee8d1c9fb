"""What becomes known, and when: fraud that nobody reports, and honest purchases reported as fraud."""

from dataclasses import replace

import numpy as np

from fraud.data.simulate.config import DAY_SECONDS, SimulationConfig, TypologyConfig
from fraud.data.simulate.honest import ONLINE, Rows
from fraud.data.simulate.population import Ints

_MAX_DELAY_DAYS = 120.0
"""Schemes refuse a chargeback after about four months."""


def report_fraud(rng: np.random.Generator, rows: Rows, typology: TypologyConfig) -> Rows:
    """Return one typology's fraudulent transactions with the time of their report, or -1."""
    known = rng.random(len(rows)) >= typology.never_reported
    delay = _delay(rng, len(rows), typology.delay_median_days, typology.delay_sigma)
    return replace(rows, reported=np.where(known, rows.second + delay, -1))


def report_honest(rng: np.random.Generator, rows: Rows, config: SimulationConfig) -> Rows:
    """Return honest transactions, a few of them reported as fraud by their own cardholders.

    Larger amounts are disputed more often: the chance grows with the square root of the amount over 30 EUR.
    """
    chance = config.friendly * np.where(rows.channel == ONLINE, 1.0, 1 / 3) * np.sqrt(rows.amount / 30)
    disputed = rng.random(len(rows)) < chance
    delay = _delay(rng, len(rows), config.friendly_delay_median_days, 0.6)
    return replace(rows, reported=np.where(disputed, rows.second + delay, -1))


def _delay(rng: np.random.Generator, n: int, median_days: float, sigma: float) -> Ints:
    """Return lognormal delays in seconds, at least ten minutes."""
    days = np.minimum(np.exp(np.log(median_days) + sigma * rng.standard_normal(n)), _MAX_DELAY_DAYS)
    seconds: Ints = np.maximum(np.rint(days * DAY_SECONDS), 600).astype(np.int64)
    return seconds
