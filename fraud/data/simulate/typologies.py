"""How fraudsters use cards: four typologies, each in part like honest use.

Every incident belongs to the day on which it begins and may go on for days; `origin_days` bounds how long.
"""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from fraud.data.simulate.catalogue import CATEGORIES, CITIES, HOUR_NAMES, INDEX, N_HOME_CITIES
from fraud.data.simulate.config import DAY_SECONDS, SimulationConfig, stream
from fraud.data.simulate.honest import (
    CHIP,
    CONTACTLESS,
    ONLINE,
    Rows,
    clock,
    draw_amounts,
    draw_channels,
    hour_to_second,
    running_sum,
)
from fraud.data.simulate.population import N_USUAL, Floats, Ints, Population

TYPOLOGIES = ("none", "card_testing", "lost_stolen", "account_takeover", "skimmed_merchant")
CARD_TESTING, LOST_STOLEN, ACCOUNT_TAKEOVER, SKIMMED_MERCHANT = range(1, 5)

_CARRY_DAYS = 6
"""Within this many days every incident is over, waiting aside."""

_SOFT_BLOCK_DAYS = 21
_NIGHT = HOUR_NAMES.index("night")


def origin_days(config: SimulationConfig) -> int:
    """Return for how many days before a window incidents that reach into it may have begun."""
    return config.skim_wait_days[1] + _CARRY_DAYS


def incidents(
    population: Population, config: SimulationConfig, seed: int, day: int, visits: Rows
) -> list[Rows]:
    """Return the fraudulent transactions of all incidents that begin on `day`, per typology, unreported.

    `visits` are that day's honest transactions: cards are copied where they really paid.
    """
    rng = stream(seed, "incidents", day)
    draws: tuple[Callable[..., Rows], ...] = (_card_testing, _lost_stolen, _account_takeover)
    expected = (config.card_testing, config.lost_stolen, config.account_takeover)
    found = []
    for draw, typology in zip(draws, expected, strict=True):
        n = rng.poisson(typology.incidents * population.n_cards / 1000)
        victims = rng.integers(0, population.n_cards, n)
        found.append(draw(rng, population, config, seed, day, victims))
    return [*found, _skimmed(rng, population, config, seed, day, visits)]


def _rows(second: Ints, card: Ints, merchant: Ints, amount: Floats, channel: Ints, typology: int) -> Rows:
    same = np.full(len(second), typology, dtype=np.int64)
    return Rows(second, card, merchant, amount, channel, same, np.full(len(second), -1, dtype=np.int64))


def _choice(rng: np.random.Generator, n: int, weights: Mapping[str, float]) -> Ints:
    """Return categories drawn with the given weights."""
    cumulative = np.cumsum(list(weights.values()))
    at = np.searchsorted(cumulative, rng.random(n) * cumulative[-1], side="right")
    chosen: Ints = np.array([INDEX[name] for name in weights])[np.minimum(at, len(weights) - 1)]
    return chosen


def _usual_sites(rng: np.random.Generator, population: Population, card: Ints, category: Ints) -> Ints:
    return population.usual_sites[card, category, rng.integers(0, N_USUAL, len(card))]


def _soft_targets(population: Population, seed: int, day: int, names: tuple[str, ...]) -> Ints:
    """Return the few sites of these categories whose checks fraudsters know to be weak in these weeks."""
    rng = stream(seed, "soft_targets", day // _SOFT_BLOCK_DAYS)
    order = rng.permutation(population.n_merchants)
    wanted = np.isin(population.merchant_category, [INDEX[name] for name in names])
    sites = order[(wanted & population.merchant_online)[order]]
    return sites[: max(2, len(sites) // 16)]


def _sites(
    rng: np.random.Generator, population: Population, seed: int, day: int, category: Ints, soft_share: float
) -> Ints:
    """Return online merchants for fraudulent orders, `soft_share` of them sites with weak checks."""
    soft = _soft_targets(population, seed, day, ("electronics", "fashion", "travel", "home"))
    weak = soft[rng.integers(0, len(soft), len(category))]
    other = population.market.online(category, rng.random(len(category)))
    return np.where(rng.random(len(category)) < soft_share, weak, other)


def _card_testing(
    rng: np.random.Generator,
    population: Population,
    config: SimulationConfig,
    seed: int,
    day: int,
    victim: Ints,
) -> Rows:
    """Try a card with small online payments, then spend on it, hours later and elsewhere."""
    n = len(victim)
    soft = _soft_targets(population, seed, day, ("digital_goods", "services"))
    begin = day * DAY_SECONDS + rng.integers(0, DAY_SECONDS, n)
    tests = rng.integers(4, 10, n)
    at = np.repeat(np.arange(n), tests)
    pace = np.exp(np.log(90.0) + 0.7 * rng.standard_normal(n))
    second = begin[at] + running_sum(
        np.ceil(pace[at] * rng.exponential(1.0, len(at))).astype(np.int64), tests
    )
    main = soft[rng.integers(0, len(soft), n)]
    other = population.market.online(np.full(len(at), INDEX["digital_goods"]), rng.random(len(at)))
    merchant = np.where(rng.random(len(at)) < 0.85, main[at], other)
    amount = np.round(np.exp(np.log(2.2) + 0.7 * rng.standard_normal(len(at))), 2).clip(0.5, 15.0)
    small = _rows(second, victim[at], merchant, amount, np.full(len(at), ONLINE), CARD_TESTING)

    # Not every tested card works: a fifth is dropped after the tests.
    cashed = np.where(rng.random(n) < 0.8, rng.integers(1, 4, n), 0)
    by = np.repeat(np.arange(n), cashed)
    wait = np.exp(np.log(4 * 3600.0) + 1.0 * rng.standard_normal(n)).clip(600, 2 * DAY_SECONDS)
    gaps = np.ceil(rng.exponential(1800.0, len(by))).astype(np.int64)
    last = second[np.cumsum(tests) - 1]
    when = last[by] + np.ceil(wait[by]).astype(np.int64) + running_sum(gaps, cashed)
    category = _choice(rng, len(by), {"electronics": 4, "travel": 2, "fashion": 3, "digital_goods": 2})
    shop = _sites(rng, population, seed, day, category, 0.75)
    category = population.merchant_category[shop]
    factor = np.exp(np.log(3.5) + 0.5 * rng.standard_normal(len(by)))
    spent = draw_amounts(rng, population, victim[by], category, shop, factor)
    return Rows.concat([small, _rows(when, victim[by], shop, spent, np.full(len(by), ONLINE), CARD_TESTING)])


def _lost_stolen(
    rng: np.random.Generator,
    population: Population,
    config: SimulationConfig,
    seed: int,
    day: int,
    victim: Ints,
) -> Rows:
    """Spend fast with a stolen card near its home, tapping below the limit unless the PIN is known."""
    n = len(victim)
    uses = np.minimum(2 + rng.geometric(0.2, n), 14)
    by = np.repeat(np.arange(n), uses)
    card = victim[by]
    weights = {
        "grocery": 4,
        "fuel": 2,
        "restaurant": 1.5,
        "fashion": 2.5,
        "electronics": 1.5,
        "entertainment": 1,
    }
    category = _choice(rng, len(by), weights)
    pin = (rng.random(n) < 0.3)[by]
    category = np.where(pin & (rng.random(len(by)) < 0.45), INDEX["cash_withdrawal"], category)
    pace = np.exp(np.log(300.0) + 0.6 * rng.standard_normal(n))[by]
    gaps = np.ceil(pace * rng.exponential(1.0, len(by))).astype(np.int64)
    start = hour_to_second(rng, np.full(n, HOUR_NAMES.index("road")), rng.integers(0, 4, n))
    second = day * DAY_SECONDS + start[by] + np.minimum(running_sum(gaps, uses), 2 * DAY_SECONDS)
    merchant = population.market.in_city(population.home_city[card], category, rng.random(len(by)))
    factor = np.where(pin, 3.0, 1.3)
    amount = draw_amounts(rng, population, card, category, merchant, factor)
    # Without the PIN the thief stays below the limit, and likes to be just below.
    below = np.round(config.contactless_limit * (1 - 0.35 * rng.random(len(by)) ** 2), 2)
    amount = np.where(pin, amount, below)
    channel = np.where(pin & (rng.random(len(by)) < 0.7), CHIP, CONTACTLESS)
    channel = np.where(category == INDEX["cash_withdrawal"], CHIP, channel)
    return _rows(second, card, merchant, amount, channel, LOST_STOLEN)


def _account_takeover(
    rng: np.random.Generator,
    population: Population,
    config: SimulationConfig,
    seed: int,
    day: int,
    victim: Ints,
) -> Rows:
    """Buy online in the victim's name: more, at merchants new to the card, more often at night."""
    n = len(victim)
    uses = np.minimum(1 + rng.geometric(0.32, n), 8)
    by = np.repeat(np.arange(n), uses)
    card = victim[by]
    mimic = (rng.random(n) < config.mimicry)[by]
    weights = {"electronics": 4, "fashion": 3, "travel": 2, "digital_goods": 3, "services": 1, "home": 1}
    category = _choice(rng, len(by), weights)
    night = rng.random(n) < 0.6
    kind = np.where(night, _NIGHT, HOUR_NAMES.index("online"))
    start = hour_to_second(rng, kind, np.zeros(n, dtype=np.int64))
    gaps = np.ceil(np.exp(np.log(1800.0) + 1.0 * rng.standard_normal(len(by)))).astype(np.int64)
    second = day * DAY_SECONDS + start[by] + np.minimum(running_sum(gaps, uses), 3 * DAY_SECONDS)
    new = _sites(rng, population, seed, day, category, 0.75)
    usual = _usual_sites(rng, population, card, category)
    merchant = np.where(mimic & (rng.random(len(by)) < 0.7), usual, new)
    category = population.merchant_category[merchant]
    factor = np.where(mimic, 1.1, np.exp(np.log(3.0) + 0.5 * rng.standard_normal(len(by))))
    amount = draw_amounts(rng, population, card, category, merchant, factor)
    return _rows(second, card, merchant, amount, np.full(len(by), ONLINE), ACCOUNT_TAKEOVER)


def compromised(
    population: Population, config: SimulationConfig, seed: int, day: int
) -> npt.NDArray[np.bool_]:
    """Return which merchants are compromised on `day`; shape (n_merchants,)."""
    active = np.zeros(population.n_merchants, dtype=bool)
    shortest, longest = config.skim_days
    for first in range(day - longest + 1, day + 1):
        rng = stream(seed, "compromise", first)
        n = rng.poisson(config.skimmed_merchant.incidents * population.n_merchants / 1000)
        merchant = rng.integers(0, population.n_merchants, n)
        length = rng.integers(shortest, longest + 1, n)
        active[merchant[day < first + length]] = True
    return active


def _skimmed(
    rng: np.random.Generator,
    population: Population,
    config: SimulationConfig,
    seed: int,
    day: int,
    visits: Rows,
) -> Rows:
    """Charge at the compromised merchant, and use copies of the cards that paid there elsewhere, later."""
    at = visits.take(compromised(population, config, seed, day)[visits.merchant])
    at = at.take(np.lexsort((at.card, at.second, at.merchant)))
    place_in_line = np.arange(len(at)) - np.searchsorted(at.merchant, at.merchant, side="left")
    at = at.take(place_in_line < config.skim_visits)
    u = rng.random(len(at))
    here = at.take(u < config.skim_at_merchant)
    uses = np.minimum(rng.geometric(0.4, len(here)), 5)
    here = here.take(np.repeat(np.arange(len(here)), uses))
    gaps = np.ceil(rng.exponential(900.0, len(here))).astype(np.int64)
    category = population.merchant_category[here.merchant]
    wait = np.ceil(np.exp(np.log(5 * 3600.0) + 1.0 * rng.standard_normal(len(uses)))).clip(
        60, 2 * DAY_SECONDS
    )
    begin = np.repeat(wait.astype(np.int64), uses)
    factor = np.exp(np.log(2.0) + 0.5 * rng.standard_normal(len(here)))
    amount = draw_amounts(rng, population, here.card, category, here.merchant, factor)
    channel = np.where(population.merchant_online[here.merchant], ONLINE, CHIP)
    second = here.second + begin + np.minimum(running_sum(gaps, uses), DAY_SECONDS)
    charged = _rows(second, here.card, here.merchant, amount, channel, SKIMMED_MERCHANT)
    copied = at.take(u > 1 - config.skim_elsewhere)
    return Rows.concat([charged, _copies(rng, population, config, day, copied)])


def _copies(
    rng: np.random.Generator, population: Population, config: SimulationConfig, day: int, copied: Rows
) -> Rows:
    """Use copied cards after a wait, half of them online and half in shops of other cities."""
    n = len(copied)
    uses = np.minimum(2 + rng.geometric(0.4, n), 8)
    by = np.repeat(np.arange(n), uses)
    card = copied.card[by]
    weights = {
        "electronics": 3,
        "fashion": 3,
        "fuel": 1,
        "grocery": 2,
        "travel": 1,
        "home": 1,
        "restaurant": 1,
    }
    category = _choice(rng, len(by), weights)
    low, high = config.skim_wait_days
    wait = rng.integers(low, high + 1, n)
    gaps = np.ceil(np.exp(np.log(2400.0) + 1.0 * rng.standard_normal(len(by)))).astype(np.int64)
    # Fuel is not sold online, so a copy used at a pump is used in a city.
    sites = np.array([c.online for c in CATEGORIES])[category] > 0
    online = (rng.random(n) < 0.5)[by] & sites
    start = clock(rng, category, online, np.zeros(len(by), dtype=np.int64))
    first = np.cumsum(uses) - uses
    second = (day + wait[by]) * DAY_SECONDS + start[first][by]
    second = second + np.minimum(running_sum(gaps, uses), 3 * DAY_SECONDS)
    abroad = rng.random(n) < 0.6
    place = np.where(abroad, rng.integers(N_HOME_CITIES, len(CITIES), n), rng.integers(0, N_HOME_CITIES, n))
    u = rng.random(len(by))
    shop = population.market.in_city(place[by], category, u)
    merchant = np.where(online, population.market.online(category, u), shop)
    factor = np.exp(np.log(2.0) + 0.5 * rng.standard_normal(len(by)))
    amount = draw_amounts(rng, population, card, category, merchant, factor)
    channel = draw_channels(rng, population, config, card, merchant, amount)
    return _rows(second, card, merchant, amount, channel, SKIMMED_MERCHANT)
