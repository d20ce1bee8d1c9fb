"""The world after the champion's data: the same cards and merchants, day by day, with what is injected.

Nothing here depends on a scorer, on people or on what was drawn before: a world can be replayed for any
number of scorers, and all of them see the same transactions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fraud.data.profile import DAY_MS, Profile
from fraud.data.simulate import TYPOLOGIES, SimulationConfig, one_day, simulate, table_of
from fraud.data.simulate.catalogue import CATEGORIES, INDEX
from fraud.data.simulate.config import DAY_SECONDS, stream
from fraud.data.simulate.emerging import FAKE_SHOP, fake_shops
from fraud.data.simulate.honest import ONLINE, Rows
from fraud.data.simulate.population import draw_population
from fraud.data.simulate.typologies import origin_days
from fraud.data.table import Transactions, concatenate, transactions_from_frame
from fraud.errors import SettingsError
from fraud.features.history import History
from fraud.features.reach import rows_in_reach
from fraud.production.injections import (
    COVARIATE_SHIFT,
    NEW_TYPOLOGY,
    SEASON,
    Injection,
    break_columns,
    check_columns,
    strength,
)

START = date(2026, 1, 1)
"""Day 0 of the simulator's calendar, as in `simulate`."""
PAST_DAYS = 160
"""Longer than any window of the profile and any reporting delay (120 days) together."""
_SHIFTED = ("electronics", "travel")
_SHIFT_VOLUME = 0.6
_SEASON_VOLUME = 0.35
_SEASON_AMOUNT = 0.15
_DECEMBER = np.array([c.december for c in CATEGORIES])


@dataclass(frozen=True, eq=False)
class WorldDay:
    """One day of n transactions, in the order of their time.

    Attributes
    ----------
    index : from 0, the first day of production
    start_ms : its midnight, epoch milliseconds
    seen : the transactions as they arrive, with what is broken upstream; the labels are what is reported in
        the end, known at `known_at_ms` and not before
    fraud : bool [n], the truth, which nobody in production knows
    typology, event : object [n] of str; the truth's typology, and the injections that touch the row
    history : the past as it is known that day, for point-in-time features; None if the profile has none
    """

    index: int
    start_ms: int
    seen: Transactions
    fraud: NDArray[np.bool_]
    typology: NDArray[np.object_]
    event: NDArray[np.object_]
    history: History | None

    def __len__(self) -> int:
        return len(self.seen)


class HistoryOfDay(History):
    """A history reduced to what it says of one day's transactions, whichever scorer asks.

    A day's whole index takes some 20 MB, what it says of the day half of one: months of days are remembered.
    """

    def __init__(self, whole: History, transactions: Transactions) -> None:
        super().__init__(whole.profile, {})
        self._ids = transactions.ids
        self._columns = whole.features(transactions)

    def features(self, transactions: Transactions) -> dict[str, NDArray[np.float64]]:
        """Return every history feature of the day's transactions; ValueError for any others."""
        if transactions.ids is not self._ids:
            raise ValueError("this history knows the transactions of its own day only")
        return dict(self._columns)


class World(Protocol):
    """Days of transactions, the same whenever they are asked for."""

    profile: Profile
    seed: int

    def day(self, index: int) -> WorldDay:
        """Return one day; IndexError after the last of a world that ends."""
        ...


class Memory:
    """The part of the past that features can still see, grown day by day."""

    def __init__(self, profile: Profile, past: Transactions | None) -> None:
        self._profile = profile
        self._rows = past

    def with_day(self, day: Transactions) -> History | None:
        """Add a day; return the history that its transactions are scored with."""
        if not self._profile.features.history:
            return None
        joined = day if self._rows is None else concatenate([self._rows, day])
        self._rows = joined.take(rows_in_reach(joined, self._profile, int(day.times()[0])))
        return HistoryOfDay(History.of(joined, self._profile), day)


class SimulatedWorld:
    """Goes on where the table of a profile's simulator ends. Days are made once, in order, and remembered.

    Without injections nothing drifts: the parameters are those of the training data, and the calendar's own
    seasons (December, the summer's trips) are left out: to a model that has not seen them they are drift.

    Parameters
    ----------
    seed : of the days; the cards and merchants are those of the profile's own seed. The profile's seed (None)
        gives exactly the days that its table would have had next
    injections : what changes, and when

    Raises
    ------
    SettingsError
        The profile has no simulator, or an injection does not fit it.
    """

    def __init__(
        self, profile: Profile, *, seed: int | None = None, injections: Sequence[Injection] = ()
    ) -> None:
        source = profile.source
        if source.simulator is None:
            raise SettingsError(
                f'The profile "{profile.name}" has no simulator; name a labelled table with --data FILE to '
                "replay it day by day.",
                code="no_simulator",
                field="data",
            )
        check_columns(injections, profile)
        self.profile = profile
        self.seed = source.seed if seed is None else seed
        self.injections = tuple(injections)
        n_cards = SimulationConfig().cards_for(source.n_transactions, source.days)
        self._config = SimulationConfig(n_cards=n_cards)
        self._first = source.days
        self._population = draw_population(self._config, source.seed, n_cards)
        self._memory: Memory | None = None
        self._carried: list[Rows] = []
        self._days: list[WorldDay] = []

    def day(self, index: int) -> WorldDay:
        """Return one day."""
        while len(self._days) <= index:
            self._days.append(self._next())
        return self._days[index]

    def _next(self) -> WorldDay:
        index = len(self._days)
        if self._memory is None:
            self._memory = Memory(self.profile, self._past())
            for earlier in range(self._first - origin_days(self._config), self._first):
                self._carried += self._fraud_of(earlier, earlier - self._first)[1]
        rows = self._rows(index)
        start = START + timedelta(days=self._first + index)
        frame = table_of(rows, self._population, START, (*TYPOLOGIES, FAKE_SHOP))
        clean = transactions_from_frame(frame, self.profile)
        uniform = stream(self.seed, "thinning", 100_000 + self._first + index).random(len(clean))
        seen = break_columns(clean, self.injections, self.profile, index, uniform)
        typology = frame["typology"].to_numpy(object)
        return WorldDay(
            index=index,
            start_ms=int(datetime(start.year, start.month, start.day, tzinfo=UTC).timestamp() * 1000),
            seen=seen,
            fraud=typology != "none",
            typology=typology,
            event=self._causes(index, typology, uniform),
            history=self._memory.with_day(seen),
        )

    def _past(self) -> Transactions:
        source = self.profile.source
        days = min(source.days, PAST_DAYS)
        frame = simulate(
            seed=source.seed, days=days, start_day=source.days - days, start=START, config=self._config
        )
        return transactions_from_frame(frame, self.profile)

    def _rows(self, index: int) -> Rows:
        day = self._first + index
        honest, fraudulent = self._fraud_of(day, index)
        rows = Rows.concat([honest, *fraudulent, *self._carried])
        end = (day + 1) * DAY_SECONDS
        self._carried = [rows.take(rows.second >= end)]
        today = rows.take((rows.second >= day * DAY_SECONDS) & (rows.second < end))
        return self._thinned(today, index)

    def _fraud_of(self, day: int, index: int) -> tuple[Rows, list[Rows]]:
        """Return the day's honest transactions and those of the incidents that begin on it."""
        season = strength(self.injections, SEASON, index)
        volume = (1 + _SEASON_VOLUME * season) * self._surplus(index)
        population, config = self._population, self._config
        if volume != 1 or season:
            population = replace(
                population,
                rate=population.rate * volume,
                level=population.level * (1 + _SEASON_AMOUNT * season),
                preference=population.preference * _DECEMBER**season,
            )
            config = scaled(config, volume)
        today = ordinary_day(START + timedelta(days=day))
        honest, fraudulent = one_day(population, config, self.seed, day, today)
        intensity = strength(self.injections, NEW_TYPOLOGY, index) * volume
        if intensity:
            new = fake_shops(population, config, self.seed, day, len(TYPOLOGIES), intensity)
            fraudulent = [*fraudulent, new]
        return honest, fraudulent

    def _surplus(self, index: int) -> float:
        return 1 + _SHIFT_VOLUME * strength(self.injections, COVARIATE_SHIFT, index)

    def _thinned(self, rows: Rows, index: int) -> Rows:
        """Return the rows without some that are neither online nor in the categories that grow.

        More of everything was drawn, fraud and not, and what goes is chosen by the transaction alone: what
        a transaction looks like changes, and what it is, given how it looks, does not.
        """
        surplus = self._surplus(index)
        if surplus == 1:
            return rows
        category = self._population.merchant_category[rows.merchant]
        grows = (rows.channel == ONLINE) | np.isin(category, [INDEX[name] for name in _SHIFTED])
        wanted = len(rows) / surplus - grows.sum()
        keep = np.clip(wanted / max(1, (~grows).sum()), 0.02, 1.0)
        uniform = stream(self.seed, "thinning", self._first + index).random(len(rows))
        return rows.take(grows | (uniform < keep))

    def _causes(
        self, index: int, typology: NDArray[np.object_], uniform: NDArray[np.float64]
    ) -> NDArray[np.object_]:
        causes = np.full(len(typology), "", object)
        for injection in self.injections:
            if strength([injection], injection.kind, index) <= 0:
                continue
            touched = np.ones(len(typology), bool)
            if injection.kind == NEW_TYPOLOGY:
                touched = typology == FAKE_SHOP
            elif injection.column is not None:
                touched = uniform < injection.magnitude
            before = causes[touched]
            causes[touched] = [f"{c}+{injection.name}" if c else injection.name for c in before.tolist()]
        return causes


def known_labels(transactions: Transactions, profile: Profile, moment_ms: int) -> NDArray[np.float64]:
    """Return what a bank's table says at a moment, float64 [n]: 1 reported, 0 silent so far, NaN too early.

    Silence means legitimate once the profile's label delay has passed; a later report overrules it.
    """
    matured = transactions.times() + int(profile.features.label_delay_days * DAY_MS) <= moment_ms
    reported = (transactions.labels == 1) & (transactions.known_at_ms <= moment_ms)
    return np.where(reported, 1.0, np.where(matured & ~np.isnan(transactions.labels), 0.0, np.nan))


def scaled(config: SimulationConfig, volume: float) -> SimulationConfig:
    """Return a world with `volume` times the incidents; those that follow visits grow with the visits."""
    return replace(
        config,
        **{
            name: replace(getattr(config, name), incidents=getattr(config, name).incidents * volume)
            for name in ("card_testing", "lost_stolen", "account_takeover")
        },
        skim_visits=round(config.skim_visits * volume),
    )


def ordinary_day(today: date) -> date:
    """Return a day of the same weekday and day of the month in spring, when the calendar has no season."""
    if today.month not in (1, 7, 8, 12):
        return today
    for year in range(today.year, today.year + 40):
        for month in (3, 4, 5):
            try:
                candidate = date(year, month, today.day)
            except ValueError:
                continue
            if candidate.weekday() == today.weekday():
                return candidate
    return today
