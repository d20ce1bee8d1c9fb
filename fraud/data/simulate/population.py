"""Who pays and who sells: cards with habits, merchants with places. Drawn once per seed, for all time."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fraud.data.simulate.catalogue import CATEGORIES, CITIES, N_HOME_CITIES
from fraud.data.simulate.config import SimulationConfig, stream

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

N_USUAL = 4
"""Usual merchants of a card per category, shops and online apart."""

_K = len(CATEGORIES)
_ONLINE = len(CITIES) * _K


@dataclass(frozen=True, slots=True)
class Market:
    """Merchants grouped by city and category (online ones by category), to pick by popularity.

    `members` lists merchants group by group; `cumulative` runs over it; `low` and `high` bound a group.
    """

    members: Ints
    cumulative: Floats
    low: Floats
    high: Floats

    def in_city(self, city: Ints, category: Ints, uniform: Floats) -> Ints:
        """Return a shop of the category in the city, or in the nearest city that has one."""
        return self._pick(city * _K + category, uniform)

    def online(self, category: Ints, uniform: Floats) -> Ints:
        """Return an online merchant of the category."""
        return self._pick(_ONLINE + category, uniform)

    def _pick(self, group: Ints, uniform: Floats) -> Ints:
        at = self.low[group] + uniform * (self.high[group] - self.low[group])
        return self.members[
            np.minimum(np.searchsorted(self.cumulative, at, side="right"), len(self.members) - 1)
        ]


@dataclass(frozen=True, slots=True)
class Population:
    """Cards and merchants, as parallel arrays; degrees, EUR, years, transactions per day.

    Per card: home_city, home_lat, home_lon, age, issued (day of the first issue, negative), rate, level
    (factor on amounts), online (odds factor), contactless (probability), shift (hours later than others),
    preference (n_cards, n_categories), usual_shops and usual_sites (n_cards, n_categories, N_USUAL).
    Per merchant: merchant_category, merchant_online, merchant_city, merchant_lat, merchant_lon, price.
    """

    home_city: Ints
    home_lat: Floats
    home_lon: Floats
    age: Ints
    issued: Ints
    rate: Floats
    level: Floats
    online: Floats
    contactless: Floats
    shift: Ints
    preference: Floats
    usual_shops: Ints
    usual_sites: Ints
    merchant_category: Ints
    merchant_online: npt.NDArray[np.bool_]
    merchant_city: Ints
    merchant_lat: Floats
    merchant_lon: Floats
    price: Floats
    market: Market

    @property
    def n_cards(self) -> int:
        """Number of cards."""
        return len(self.age)

    @property
    def n_merchants(self) -> int:
        """Number of merchants."""
        return len(self.price)


def draw_population(config: SimulationConfig, seed: int, n_cards: int) -> Population:
    """Return the cards and merchants of a world; no window of time enters."""
    merchants = stream(seed, "population", 0)
    n_merchants = max(12 * _K, round(n_cards * config.merchants_per_card))
    category, online, city = _merchant_kinds(merchants, config, n_merchants)
    latitude, longitude = _scatter(merchants, city, 0.035)
    popularity = np.exp(0.8 * merchants.standard_normal(n_merchants))
    market = _market(category, online, city, popularity)

    cards = stream(seed, "population", 1)
    home = _weighted(cards.random(n_cards), [c.weight for c in CITIES[:N_HOME_CITIES]])
    home_lat, home_lon = _scatter(cards, home, 0.05)
    age = np.clip(np.rint(18 + 62 * cards.beta(1.5, 2.2, n_cards)), 18, 90).astype(np.int64)
    rate = np.minimum(np.exp(config.card_rate_sigma * cards.standard_normal(n_cards)), 8.0)
    young = (45 - age) / 10
    return Population(
        home_city=home,
        home_lat=home_lat,
        home_lon=home_lon,
        age=age,
        issued=-cards.integers(5, _CARD_LIFE_DAYS, n_cards),
        rate=rate * (config.card_rate / _PER_PURCHASE * n_cards / np.cumsum(rate)[-1]),
        level=np.exp(config.spend_sigma * cards.standard_normal(n_cards)) * (1 - 0.05 * young.clip(0)),
        online=np.exp(0.6 * cards.standard_normal(n_cards) + 0.18 * young),
        contactless=cards.beta(4.0, 1.5, n_cards),
        shift=cards.integers(-2, 3, n_cards) + (young > 1),
        preference=_preferences(cards, age),
        usual_shops=_usual(cards, market, home, on_site=False),
        usual_sites=_usual(cards, market, home, on_site=True),
        merchant_category=category,
        merchant_online=online,
        merchant_city=city,
        merchant_lat=latitude,
        merchant_lon=longitude,
        price=np.exp(0.25 * merchants.standard_normal(n_merchants)),
        market=market,
    )


_CARD_LIFE_DAYS = 4 * 365
_PER_PURCHASE = 1.05
"""Measured: transactions per purchase, as sessions repeat some."""


def card_age_days(population: Population, card: Ints, day: Ints) -> Ints:
    """Return days since the card's last issue; a card is renewed, under the same id, every four years."""
    return (day - population.issued[card]) % _CARD_LIFE_DAYS


def _weighted(uniform: Floats, weights: list[float]) -> Ints:
    cumulative = np.cumsum(np.array(weights))
    at = np.searchsorted(cumulative, uniform * cumulative[-1], side="right")
    chosen: Ints = np.minimum(at, len(weights) - 1).astype(np.int64)
    return chosen


def _scatter(rng: np.random.Generator, city: Ints, degrees: float) -> tuple[Floats, Floats]:
    centre = np.array([(c.latitude, c.longitude) for c in CITIES])[city]
    place = np.round(centre + degrees * rng.standard_normal((len(city), 2)), 4)
    return place[:, 0], place[:, 1]


def _merchant_kinds(
    rng: np.random.Generator, config: SimulationConfig, n: int
) -> tuple[Ints, npt.NDArray[np.bool_], Ints]:
    """Return category, whether online, and city of each merchant.

    The first merchants cover each category in the capital and online, so that no pick can fail.
    """
    # Fewer sellers than purchases would suggest in the frequent categories: a supermarket is shared by many.
    category = _weighted(rng.random(n), [c.share**0.6 for c in CATEGORIES])
    category[: 2 * _K] = np.arange(2 * _K) % _K
    only_online = np.array([c.online >= 1 for c in CATEGORIES])[category]
    never_online = np.array([c.online <= 0 for c in CATEGORIES])[category]
    online = ((rng.random(n) < config.online_merchants) | only_online) & ~never_online
    online[: 2 * _K] = np.arange(2 * _K) >= _K
    abroad = rng.random(n) < config.foreign_merchants
    weights = [c.weight for c in CITIES]
    at_home = _weighted(rng.random(n), weights[:N_HOME_CITIES])
    elsewhere = N_HOME_CITIES + _weighted(rng.random(n), weights[N_HOME_CITIES:])
    city = np.where(abroad, elsewhere, at_home)
    city[: 2 * _K] = 0
    return category, online, city


def _market(category: Ints, online: npt.NDArray[np.bool_], city: Ints, popularity: Floats) -> Market:
    group = np.where(online, _ONLINE + category, city * _K + category)
    members = np.argsort(group, kind="stable")
    cumulative = np.cumsum(popularity[members])
    edges = np.concatenate([[0.0], cumulative])
    first = np.searchsorted(group[members], np.arange(_ONLINE + _K), side="left")
    last = np.searchsorted(group[members], np.arange(_ONLINE + _K), side="right")
    source = np.arange(_ONLINE + _K)
    for a, here in enumerate(CITIES):
        nearest = sorted(
            range(len(CITIES)),
            key=lambda b: (
                (CITIES[b].latitude - here.latitude) ** 2 + (CITIES[b].longitude - here.longitude) ** 2
            ),
        )
        for k in range(_K):
            source[a * _K + k] = next(b * _K + k for b in nearest if last[b * _K + k] > first[b * _K + k])
    return Market(members, cumulative, edges[first[source]], edges[last[source]])


def _preferences(rng: np.random.Generator, age: Ints) -> Floats:
    share = np.array([c.share for c in CATEGORIES])
    tilt = np.array([c.age for c in CATEGORIES])
    older = (age - 45)[:, None] / 10
    weight: Floats = share * np.exp(0.45 * rng.standard_normal((len(age), _K)) + older * tilt)
    weight /= np.cumsum(weight, axis=1)[:, -1:]
    return weight


def _usual(rng: np.random.Generator, market: Market, home: Ints, *, on_site: bool) -> Ints:
    shape = (len(home), _K, N_USUAL)
    uniform = rng.random(shape)
    category = np.broadcast_to(np.arange(_K)[None, :, None], shape)
    if on_site:
        return market.online(category, uniform)
    return market.in_city(np.broadcast_to(home[:, None, None], shape), category, uniform)


def country_codes(population: Population) -> npt.NDArray[np.object_]:
    """Return each merchant's country, ISO 3166-1 alpha-2."""
    return np.array([c.country for c in CITIES], dtype=object)[population.merchant_city]
