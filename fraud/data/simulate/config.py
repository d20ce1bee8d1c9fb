"""Every number that someone may want to change about the simulated world, with its unit."""

from dataclasses import dataclass, field

import numpy as np

DAY_SECONDS = 86_400
"""Seconds in a day; the simulated country has neither daylight saving nor leap seconds."""


@dataclass(frozen=True, slots=True)
class TypologyConfig:
    """How often one kind of fraud begins, and how it becomes known.

    Parameters
    ----------
    incidents
        Expected new incidents per 1,000 card-days (for merchant compromise: per 1,000 merchant-days).
        An incident is one to about ten fraudulent transactions.
    never_reported
        Share of the fraudulent transactions, in [0, 1], that nobody ever reports.
    delay_median_days, delay_sigma
        Median in days, and standard deviation of the logarithm, of the lognormal reporting delay.
    """

    incidents: float
    never_reported: float
    delay_median_days: float
    delay_sigma: float

    def __post_init__(self) -> None:
        if not 0 <= self.never_reported <= 1:
            raise ValueError(f"never_reported must be in [0, 1], not {self.never_reported}")
        if self.incidents < 0 or self.delay_median_days <= 0 or self.delay_sigma < 0:
            raise ValueError("incidents and delay_sigma must be >= 0, delay_median_days > 0")


@dataclass(frozen=True, slots=True)
class SimulationConfig:
    """The simulated world; amounts are in EUR.

    The population depends on the seed and on the first group of fields alone, so that fraud rates,
    delays and noise can change from one window to the next while the cards and merchants stay the same.

    Parameters
    ----------
    n_cards
        Number of cards; None sizes the population by `n_transactions / (days * card_rate)`.
    card_rate
        Mean transactions per card and day; the cards' own rates are lognormal around it.
    card_rate_sigma
        Standard deviation of the logarithm of a card's own rate.
    merchants_per_card
        Merchants per card of the population.
    online_merchants, foreign_merchants
        Share of merchants that sell online only; share of all merchants that are abroad.
    spend_sigma
        Standard deviation of the logarithm of a card's spending level.
    loyalty
        Probability that an honest purchase goes to one of the card's usual merchants.
    trips
        Mean trips per card and 21 days; doubled in July, August and December.
    session
        Probability that an honest purchase is followed by more within minutes, before the factor that
        each category has; sessions are what keeps a burst from being a proof of fraud.
    contactless_limit
        Largest contactless amount without a wallet, in EUR.
    wallet
        Probability that a contactless-minded card pays above the limit with a phone.
    friendly
        Probability that an honest online transaction is reported as fraud by its own cardholder; a third
        of it for the other channels.
    friendly_delay_median_days
        Median reporting delay of such a false report, in days (its sigma is 0.6).
    card_testing, lost_stolen, account_takeover, skimmed_merchant
        The four typologies.
    skim_days
        Shortest and longest time that a merchant stays compromised, in days.
    skim_at_merchant, skim_elsewhere
        Probability that a visit to a compromised merchant leads to fraudulent charges there within two
        days, and to fraud elsewhere within `skim_wait_days`.
    skim_wait_days
        Shortest and longest wait of a copied card before it is used, in days.
    skim_visits
        Visits per day at which a compromised merchant's skimmer is at work; a busy shop does not make a
        fraudster busier, and one popular merchant must not make half of the fraud.
    mimicry
        Share of account takeovers, in [0, 1], whose fraudster orders where the victim does, for as much.
    """

    n_cards: int | None = None
    card_rate: float = 1.1
    card_rate_sigma: float = 0.7
    merchants_per_card: float = 0.4
    online_merchants: float = 0.3
    foreign_merchants: float = 0.15
    spend_sigma: float = 0.4

    loyalty: float = 0.72
    trips: float = 0.10
    session: float = 0.03
    contactless_limit: float = 50.0
    wallet: float = 0.3

    friendly: float = 0.0003
    friendly_delay_median_days: float = 16.0
    card_testing: TypologyConfig = field(default_factory=lambda: TypologyConfig(0.22, 0.10, 3.0, 0.8))
    lost_stolen: TypologyConfig = field(default_factory=lambda: TypologyConfig(0.50, 0.04, 0.8, 0.7))
    account_takeover: TypologyConfig = field(default_factory=lambda: TypologyConfig(0.43, 0.05, 4.0, 0.8))
    skimmed_merchant: TypologyConfig = field(default_factory=lambda: TypologyConfig(0.10, 0.07, 6.0, 0.7))
    skim_days: tuple[int, int] = (14, 35)
    skim_at_merchant: float = 0.35
    skim_elsewhere: float = 0.015
    skim_wait_days: tuple[int, int] = (2, 20)
    skim_visits: int = 5
    mimicry: float = 0.18

    def __post_init__(self) -> None:
        for name in (
            "loyalty",
            "session",
            "wallet",
            "friendly",
            "mimicry",
            "skim_at_merchant",
            "skim_elsewhere",
        ):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a probability, not {getattr(self, name)}")
        if self.card_rate <= 0 or self.merchants_per_card <= 0:
            raise ValueError("card_rate and merchants_per_card must be positive")
        if self.n_cards is not None and self.n_cards < 1:
            raise ValueError("n_cards must be at least 1")

    def cards_for(self, n_transactions: int, days: int) -> int:
        """Return how many cards make about `n_transactions` in `days` days."""
        return self.n_cards or max(20, round(n_transactions / (days * self.card_rate)))


_STREAMS = (
    "population",
    "trips",
    "honest",
    "compromise",
    "soft_targets",
    "incidents",
    "labels",
    "emerging",
    "thinning",
    "people",
)


def stream(seed: int, name: str, key: int = 0) -> np.random.Generator:
    """Return the random stream `name` of world `seed` for one day, or block of days, `key`.

    Streams are keyed and never shared, so any window can be drawn without drawing what precedes it.
    `key` may be negative: incidents under way on day 0 began before it.
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(_STREAMS.index(name), key + 1_000_000))
    return np.random.Generator(np.random.PCG64(sequence))
