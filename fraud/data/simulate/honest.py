"""What cardholders do by themselves: a day of purchases, trips, and the repeats that resemble fraud."""

from dataclasses import dataclass, fields
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from fraud.data.simulate.catalogue import CATEGORIES, CITIES, HOUR_NAMES, HOURS, INDEX, N_HOME_CITIES
from fraud.data.simulate.config import DAY_SECONDS, SimulationConfig, stream
from fraud.data.simulate.population import N_USUAL, Floats, Ints, Population

CHANNELS = ("chip", "contactless", "online")
CHIP, CONTACTLESS, ONLINE = range(3)

TRIP_BLOCK_DAYS = 21
"""Trips are drawn for blocks of days and end within their block."""

SMALLEST_AMOUNT, LARGEST_AMOUNT = 0.5, 50_000.0
"""In EUR; what profiles/cards.toml takes. One draw in some twenty million lies above."""

_USUAL_CUMULATIVE = np.array([0.45, 0.72, 0.89, 1.0])
_ONLINE_SHARE = np.array([c.online for c in CATEGORIES])
_MEDIAN = np.array([c.median for c in CATEGORIES])
_SIGMA = np.array([c.sigma for c in CATEGORIES])
_SESSION = np.array([c.session for c in CATEGORIES])
_HOURS_OF = np.array([HOUR_NAMES.index(c.hours) for c in CATEGORIES])


@dataclass(frozen=True, slots=True)
class Rows:
    """Transactions as parallel arrays.

    `second` counts from the start of day 0; `amount` is in EUR; `typology` is 0 for an honest one;
    `reported` is the second at which it was reported as fraud, or -1.
    """

    second: Ints
    card: Ints
    merchant: Ints
    amount: Floats
    channel: Ints
    typology: Ints
    reported: Ints

    def __len__(self) -> int:
        return len(self.second)

    def take(self, which: npt.NDArray[np.bool_] | Ints) -> "Rows":
        """Return the chosen rows."""
        return Rows(*(getattr(self, field.name)[which] for field in fields(self)))

    @staticmethod
    def concat(parts: list["Rows"]) -> "Rows":
        """Return all rows of all parts, in order."""
        return Rows(*(np.concatenate([getattr(p, field.name) for p in parts]) for field in fields(Rows)))


def trips(population: Population, config: SimulationConfig, seed: int, day: int, today: date) -> Ints:
    """Return the city in which each card is on a trip, or -1 at home; shape (n_cards,)."""
    block, within = divmod(day, TRIP_BLOCK_DAYS)
    rng = stream(seed, "trips", block)
    n = population.n_cards
    # The season is that of the block's middle, so that every day of a block sees the same trips.
    middle = today + timedelta(days=TRIP_BLOCK_DAYS // 2 - within)
    season = 2.0 if middle.month in (7, 8, 12) else 1.0
    away = rng.random(n) < np.minimum(config.trips * season, 0.9)
    length = rng.integers(2, 11, n)
    first = np.floor(rng.random(n) * (TRIP_BLOCK_DAYS + 1 - length)).astype(np.int64)
    weights = np.cumsum([c.weight if i < N_HOME_CITIES else 2.5 * c.weight for i, c in enumerate(CITIES)])
    city = np.minimum(np.searchsorted(weights, rng.random(n) * weights[-1], side="right"), len(CITIES) - 1)
    return np.where(away & (first <= within) & (within < first + length), city, -1)


def honest_day(population: Population, config: SimulationConfig, seed: int, day: int, today: date) -> Rows:
    """Return one day of honest transactions, in no particular order, none yet reported."""
    rng = stream(seed, "honest", day)
    away_to = trips(population, config, seed, day, today)
    volume, mix = _season(today)
    card = np.repeat(np.arange(population.n_cards), rng.poisson(population.rate * volume))
    away = away_to[card]
    category = _categories(rng, population, mix, card, away)
    odds = _ONLINE_SHARE[category] * population.online[card] * np.where(away >= 0, 0.4, 1.0)
    online = (rng.random(len(card)) < np.minimum(odds, 0.95)) | (_ONLINE_SHARE[category] >= 1)
    merchant = _merchants(rng, population, config, card, category, online, away)
    second = clock(rng, category, online, population.shift[card])
    card, category, merchant, second, factor = _with_sessions(
        rng, population, config, (card, category, merchant, second)
    )
    amount = draw_amounts(rng, population, card, category, merchant, factor)
    channel = draw_channels(rng, population, config, card, merchant, amount)
    zeros = np.zeros(len(card), dtype=np.int64)
    return Rows(second + day * DAY_SECONDS, card, merchant, amount, channel, zeros, zeros - 1)


def clock(rng: np.random.Generator, category: Ints, online: npt.NDArray[np.bool_], shift: Ints) -> Ints:
    """Return the second of the day of honest purchases."""
    kind = np.where(online, HOUR_NAMES.index("online"), _HOURS_OF[category])
    return hour_to_second(rng, kind, shift)


def hour_to_second(rng: np.random.Generator, kind: Ints, shift: Ints) -> Ints:
    """Return a second of the day drawn from the hourly profile `kind`, `shift` hours later."""
    hour = (rng.random(len(kind))[:, None] >= HOURS[kind]).sum(axis=1)
    second: Ints = (hour + shift) % 24 * 3600 + rng.integers(0, 3600, len(kind))
    return second


def draw_amounts(
    rng: np.random.Generator,
    population: Population,
    card: Ints,
    category: Ints,
    merchant: Ints,
    factor: Floats | float = 1.0,
) -> Floats:
    """Return amounts in EUR for purchases of the category, `factor` times the usual."""
    z = np.exp(_SIGMA[category] * rng.standard_normal(len(card)))
    amount = _MEDIAN[category] * population.level[card] * population.price[merchant] * z * factor
    cash = category == INDEX["cash_withdrawal"]
    notes = np.clip(np.rint(amount / 10) * 10, 10, 400)
    # Shop prices: three in ten are whole euros, one in four ends in .99 or .90.
    ending = rng.random(len(card))
    amount = np.where(ending < 0.3, np.rint(amount), amount)
    amount = np.where(ending > 0.85, np.floor(amount) + 0.99, amount)
    return np.clip(np.round(np.where(cash, notes, amount), 2), SMALLEST_AMOUNT, LARGEST_AMOUNT)


def draw_channels(
    rng: np.random.Generator,
    population: Population,
    config: SimulationConfig,
    card: Ints,
    merchant: Ints,
    amount: Floats,
) -> Ints:
    """Return the channel of honest purchases; cash is never contactless."""
    u = rng.random(len(card))
    taps = population.contactless[card] * np.where(amount <= config.contactless_limit, 1.0, config.wallet)
    taps = np.where(population.merchant_category[merchant] == INDEX["cash_withdrawal"], 0.0, taps)
    return np.where(population.merchant_online[merchant], ONLINE, np.where(u < taps, CONTACTLESS, CHIP))


def _season(today: date) -> tuple[float, Floats]:
    """Return the day's volume (factor around 1) and the categories' factors."""
    weekday = today.weekday()
    volume = (0.92, 0.92, 0.95, 1.0, 1.16, 1.2, 0.85)[weekday]
    volume *= 1.12 if today.day <= 4 or today.day >= 27 else 0.97
    mix = np.ones(len(CATEGORIES))
    if weekday >= 5:
        mix *= [c.weekend for c in CATEGORIES]
    if today.month == 12:
        volume *= 1.25
        mix *= [c.december for c in CATEGORIES]
    if (today.month, today.day) in ((1, 1), (12, 25)):
        volume *= 0.5
    return volume, mix


def _categories(
    rng: np.random.Generator, population: Population, mix: Floats, card: Ints, away: Ints
) -> Ints:
    home = np.cumsum(population.preference * mix, axis=1)
    trip = np.cumsum(population.preference * mix * [c.away for c in CATEGORIES], axis=1)
    cumulative = np.where((away >= 0)[:, None], trip[card], home[card])
    at = rng.random(len(card))[:, None] * cumulative[:, -1:]
    category: Ints = (at >= cumulative[:, :-1]).sum(axis=1)
    return category


def _merchants(
    rng: np.random.Generator,
    population: Population,
    config: SimulationConfig,
    card: Ints,
    category: Ints,
    online: npt.NDArray[np.bool_],
    away: Ints,
) -> Ints:
    n = len(card)
    rank = np.minimum(np.searchsorted(_USUAL_CUMULATIVE, rng.random(n)), N_USUAL - 1)
    usual = np.where(
        online, population.usual_sites[card, category, rank], population.usual_shops[card, category, rank]
    )
    weights = np.cumsum([c.weight for c in CITIES[:N_HOME_CITIES]])
    anywhere = np.minimum(np.searchsorted(weights, rng.random(n) * weights[-1]), N_HOME_CITIES - 1)
    here = np.where(rng.random(n) < 0.85, population.home_city[card], anywhere)
    u = rng.random(n)
    shop = population.market.in_city(np.where(away >= 0, away, here), category, u)
    new = np.where(online, population.market.online(category, u), shop)
    loyal = (rng.random(n) < config.loyalty) & (online | (away < 0))
    return np.where(loyal, usual, new)


def _with_sessions(
    rng: np.random.Generator,
    population: Population,
    config: SimulationConfig,
    purchases: tuple[Ints, Ints, Ints, Ints],
) -> tuple[Ints, Ints, Ints, Ints, Floats]:
    """Return the purchases with repeats some minutes later, and a factor on each amount.

    In-game payments, a second basket, another round: honest bursts, often at the same merchant.
    """
    card, category, merchant, second = purchases
    n = len(card)
    begins = rng.random(n) < np.minimum(config.session * _SESSION[category], 0.5)
    repeats = np.where(begins, np.minimum(rng.geometric(0.5, n), 7), 0)
    origin = np.repeat(np.arange(n), repeats)
    gap = np.ceil(rng.exponential(240.0, len(origin))).astype(np.int64)
    later = second[origin] + running_sum(gap, repeats)
    u = rng.random(len(origin))
    # A repeat by a loyal card stays where it is; the others move on to a merchant of the same kind.
    moved = np.where(
        population.merchant_online[merchant[origin]],
        population.market.online(category[origin], u),
        merchant[origin],
    )
    where = np.where(rng.random(len(origin)) < 0.7, merchant[origin], moved)
    kept = later < DAY_SECONDS
    origin, later, where = origin[kept], later[kept], where[kept]
    small = np.where(category[origin] == INDEX["digital_goods"], 0.6, 0.9)
    return (
        np.concatenate([card, card[origin]]),
        np.concatenate([category, category[origin]]),
        np.concatenate([merchant, where]),
        np.concatenate([second, later]),
        np.concatenate([np.ones(n), small]),
    )


def running_sum(values: Ints, counts: Ints) -> Ints:
    """Return the cumulative sum of `values`, begun anew in each run of `counts` values."""
    total: Ints = np.cumsum(values)
    ends = np.cumsum(counts)
    before = np.concatenate([[0], total])[ends - counts]
    total -= np.repeat(before, counts)
    return total
