"""A labelled table replayed day by day: production for profiles that have no simulator."""

from collections.abc import Sequence

import numpy as np

from fraud.data.profile import DAY_MS, Profile
from fraud.data.simulate.config import stream
from fraud.data.table import Transactions
from fraud.errors import SettingsError
from fraud.production.injections import BROKEN_COLUMN, Injection, break_columns, check_columns
from fraud.production.world import Memory, WorldDay


class ReplayedWorld:
    """The days of a table from a moment on, the rows before as their past; unlabelled rows are left out.

    Parameters
    ----------
    table : labelled transactions, with the past that features need
    from_ms : epoch milliseconds; the first day is the first midnight at or after it
    injections : only broken columns, for nobody knows how else the table's world would have changed

    Raises
    ------
    SettingsError
        The profile has no time column, no labelled row is left to replay, or an injection is of another kind.
    """

    def __init__(
        self,
        profile: Profile,
        table: Transactions,
        from_ms: int,
        *,
        seed: int = 7,
        injections: Sequence[Injection] = (),
    ) -> None:
        if table.time_ms is None:
            raise SettingsError(
                f'The profile "{profile.name}" has no time column, so its table cannot be replayed.',
                code="no_time",
                field="data",
            )
        if any(injection.kind != BROKEN_COLUMN for injection in injections):
            raise SettingsError(
                "A replayed table can only have broken columns; other events need the simulator.",
                code="injection",
                field="event",
            )
        check_columns(injections, profile)
        self.profile = profile
        self.seed = seed
        self.injections = tuple(injections)
        self._start_ms = -(-from_ms // DAY_MS) * DAY_MS
        self._table = table.take(np.flatnonzero(~np.isnan(table.labels)))
        first = int(np.searchsorted(self._table.times(), self._start_ms))
        if first == len(self._table):
            raise SettingsError(
                "The table holds no labelled transaction after the champion's test window; bring later ones.",
                code="nothing_to_replay",
                field="data",
            )
        past = self._table.take(np.arange(first)) if first else None
        self._memory = Memory(profile, past)
        self._days: list[WorldDay] = []

    def day(self, index: int) -> WorldDay:
        """Return one day; IndexError after the table's last."""
        while len(self._days) <= index:
            self._days.append(self._next())
        return self._days[index]

    def _next(self) -> WorldDay:
        index = len(self._days)
        start_ms = self._start_ms + index * DAY_MS
        times = self._table.times()
        if start_ms > times[-1]:
            raise IndexError(index)
        first, last = np.searchsorted(times, [start_ms, start_ms + DAY_MS])
        clean = self._table.take(np.arange(first, last))
        uniform = stream(self.seed, "thinning", 100_000 + index).random(len(clean))
        seen = break_columns(clean, self.injections, self.profile, index, uniform)
        fraud = clean.labels == 1
        typology = np.where(fraud, "fraud", "none").astype(object)
        if clean.typology is not None:
            typology = clean.typology
        touched = [uniform < i.magnitude if index >= i.day else uniform < 0 for i in self.injections]
        event = [
            "+".join(i.name for i, hit in zip(self.injections, touched, strict=True) if hit[row])
            for row in range(len(clean))
        ]
        history = self._memory.with_day(seen) if len(seen) else None
        return WorldDay(index, start_ms, seen, fraud, typology, np.array(event, object), history)
