"""A typology that the training data does not know, for the day on which fraud changes.

Fake shops: a site that looks like a pharmacy's, a grocer's or a restaurant's takes one payment, sometimes
two days apart, from each card that is typed into it. Nothing of it is a burst, at night, abroad or in the
categories that the four known typologies buy in; what gives it away is a combination that is harmless in the
training data: such a category, online, new to the card, and dearer than the card is used to.
"""

import numpy as np

from fraud.data.simulate.catalogue import HOUR_NAMES, INDEX
from fraud.data.simulate.config import DAY_SECONDS, SimulationConfig, TypologyConfig, stream
from fraud.data.simulate.honest import ONLINE, Rows, draw_amounts, hour_to_second
from fraud.data.simulate.labels import report_fraud
from fraud.data.simulate.population import Population

FAKE_SHOP = "fake_shop"
FAKE_SHOPS = TypologyConfig(incidents=5.0, never_reported=0.08, delay_median_days=9.0, delay_sigma=0.6)
"""Per 1,000 card-days; victims notice late, because they wait for a delivery first."""
_AGAIN = 0.35
_FACTOR = 2.4
_WEIGHTS = {"health": 3.0, "grocery": 2.5, "restaurant": 2.5}


def fake_shops(
    population: Population, config: SimulationConfig, seed: int, day: int, code: int, intensity: float
) -> Rows:
    """Return the payments to fake shops of the cards that fall for one on `day`, with their reports.

    Parameters
    ----------
    code : the typology's number in the rows
    intensity : factor on `FAKE_SHOPS.incidents`
    """
    rng = stream(seed, "emerging", day)
    n = rng.poisson(FAKE_SHOPS.incidents * intensity * population.n_cards / 1000)
    victim = rng.integers(0, population.n_cards, n)
    uses = 1 + (rng.random(n) < _AGAIN)
    by = np.repeat(np.arange(n), uses)
    second_time = np.concatenate([[False], by[1:] == by[:-1]]) if len(by) else np.zeros(0, bool)
    card = victim[by]
    names = list(_WEIGHTS)
    cumulative = np.cumsum(list(_WEIGHTS.values()))
    at = np.searchsorted(cumulative, rng.random(n) * cumulative[-1], side="right")
    category = np.array([INDEX[name] for name in names])[np.minimum(at, len(names) - 1)][by]
    merchant = population.market.online(category, rng.random(len(by)))
    kind = np.full(len(by), HOUR_NAMES.index("shop"))
    wait = np.where(second_time, rng.integers(1, 4, len(by)), 0)
    second = (day + wait) * DAY_SECONDS + hour_to_second(rng, kind, np.zeros(len(by), dtype=np.int64))
    factor = np.exp(np.log(_FACTOR) + 0.3 * rng.standard_normal(len(by)))
    amount = draw_amounts(rng, population, card, category, merchant, factor)
    channel = np.full(len(by), ONLINE, dtype=np.int64)
    typology = np.full(len(by), code, dtype=np.int64)
    rows = Rows(second, card, merchant, amount, channel, typology, np.full(len(by), -1, dtype=np.int64))
    return report_fraud(rng, rows, FAKE_SHOPS)
