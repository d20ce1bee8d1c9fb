"""The evaluation plan over partitions: the same rows as `fraud.models.split` takes, without a list of rows.

A plan in time is four bounds, each a moment and a row, so that every partition knows by itself what its rows
are for. Tables without time are split at random by scikit-learn, which needs all labels in one place.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from fraud.data.profile import DAY_MS, Profile, StratifiedEvaluation, TimeEvaluation
from fraud.data.table import NEVER_MS, Coded, Transactions
from fraud.errors import TableError
from fraud.models.split import MIN_PER_CLASS, stratified
from fraud.scale.counting import HOUR_MS, Counted

I64 = NDArray[np.int64]
NOTHING, TRAIN, CALIBRATION, TEST = range(4)
PARTS = {"train": TRAIN, "calibration": CALIBRATION, "test": TEST}
START = (-(2**62), -1)
END = (NEVER_MS, -1)
Bound = tuple[int, int]
"""A moment and a row: what is before it comes earlier, or at the same moment from an earlier row."""
Look = Callable[[int, int], tuple[I64, I64]]
"""Returns times and rows, in any order, of the labelled transactions of [from, before)."""
Labels = Callable[[], tuple[NDArray[np.float32], I64]]
"""Returns every row's label, NaN where unknown, and its moment, 0 without time."""
MAX_ROWS_AT_RANDOM = 20_000_000
"""Rows of a table without time: scikit-learn's split holds their labels and positions, 100 bytes a row."""
MAX_HELD_OUT = 2_500_000
"""Rows of the calibration slice, and of the test window, that one process calibrates and judges by."""


@dataclass(frozen=True)
class Plan:
    """What each row is for.

    Attributes
    ----------
    train, calibration, test : [from, before) of each part; empty for a random split
    as_of_ms : the moment of training (None without time)
    compromised : entity text -> when its first fraud was known; its column; None where nobody is dropped
    at_random : int8 per row of the table, for tables without time
    note : what the release must say of its plan
    """

    train: tuple[Bound, Bound] = (END, END)
    calibration: tuple[Bound, Bound] = (END, END)
    test: tuple[Bound, Bound] = (END, END)
    as_of_ms: int | None = None
    compromised: tuple[str, Mapping[str, int]] | None = None
    at_random: NDArray[np.int8] | None = None
    note: str = ""

    @property
    def span_ms(self) -> tuple[int, int]:
        """[from, before) of the moments that any part has rows of."""
        if self.at_random is not None:
            return START[0], END[0]
        last = self.test[1]
        return self.train[0][0], last[0] + 1 if last[1] >= 0 else last[0]

    def parts(self, table: Transactions) -> tuple[NDArray[np.int8], int]:
        """Return what each row of a partition is for, and how many test rows were left out as compromised."""
        if self.at_random is not None:
            return self.at_random[table.rows], 0
        time, rows, known = table.times(), table.rows, ~np.isnan(table.labels)
        found = np.zeros(len(table), np.int8)
        for name, code in PARTS.items():
            low, high = getattr(self, name)
            found[known & ~_before(time, rows, low) & _before(time, rows, high)] = code
        if self.compromised is None:
            return found, 0
        column, first_known = self.compromised
        dropped = (found == TEST) & _known_compromised(table.texts[column], time, first_known)
        found[dropped] = NOTHING
        return found, int(dropped.sum())


def _before(time: I64, rows: I64, bound: Bound) -> NDArray[np.bool_]:
    return np.asarray((time < bound[0]) | ((time == bound[0]) & (rows < bound[1])))


def _known_compromised(column: Coded, time: I64, first_known: Mapping[str, int]) -> NDArray[np.bool_]:
    moments = np.array([first_known.get(text, NEVER_MS) for text in column.values] + [NEVER_MS], np.int64)
    return np.asarray(moments[column.codes] < time // DAY_MS * DAY_MS)


def plan_of(
    profile: Profile,
    counted: Sequence[Counted],
    look: Look,
    labels: Labels,
    seed: int,
    max_held_out: int = MAX_HELD_OUT,
) -> Plan:
    """Return the profile's evaluation plan.

    Parameters
    ----------
    look : reads rows again, where a bound falls between two rows of one hour
    labels : reads every row's label and moment, for a split at random
    max_held_out : rows of calibration and of test above which they are cut to whole days

    Raises
    ------
    TableError
        The table is too small, or, without time, too large.
    """
    _check_enough(counted, profile)
    evaluation = profile.evaluation
    if isinstance(evaluation, StratifiedEvaluation):
        return _at_random(sum(c.n_rows for c in counted), evaluation, labels, seed)
    calendar = Calendar.of(counted, look)
    if evaluation.test_start is None:
        return _held_to(_by_fractions(evaluation, calendar), None, calendar, max_held_out)
    plan = _by_dates(evaluation, min(c.first_ms for c in counted))
    compromised = _compromised(profile, evaluation, counted, plan.train[0][0])
    return _held_to(plan, compromised, calendar, max_held_out)


def _check_enough(counted: Sequence[Counted], profile: Profile) -> None:
    for n, word in (
        (sum(c.n_frauds for c in counted), "frauds"),
        (sum(c.n_legitimate for c in counted), "legitimate transactions"),
    ):
        if n < MIN_PER_CLASS:
            raise TableError(
                f'The table holds {n} {word} by the labels of the profile "{profile.name}", and training '
                f"and testing needs {MIN_PER_CLASS} at least; bring more data.",
                code="too_few",
            )


@dataclass(frozen=True)
class Calendar:
    """Labelled rows by the hour, and a way to look into one."""

    hours: I64
    counts: I64
    look: Look

    @classmethod
    def of(cls, counted: Sequence[Counted], look: Look) -> "Calendar":
        """Add up the partitions' counts."""
        hours, inverse = np.unique(np.concatenate([c.hours for c in counted]), return_inverse=True)
        counts = np.zeros(len(hours), np.int64)
        np.add.at(counts, inverse, np.concatenate([c.per_hour for c in counted]))
        return cls(hours, counts, look)

    @property
    def n_rows(self) -> int:
        """Labelled rows in all."""
        return int(self.counts.sum())

    def nth(self, position: int) -> Bound:
        """Return moment and row of the labelled transaction at a position in time; END past the last."""
        if position >= self.n_rows:
            return END
        ends = np.cumsum(self.counts)
        hour = int(np.searchsorted(ends, position, side="right"))
        time, rows = self.look(*self._span(hour))
        one = np.lexsort((rows, time))[position - int(ends[hour] - self.counts[hour])]
        return int(time[one]), int(rows[one])

    def n_before(self, moment_ms: int) -> int:
        """Return how many labelled rows happened before a moment."""
        hour = int(np.searchsorted(self.hours, moment_ms // HOUR_MS))
        n = int(self.counts[:hour].sum())
        if hour < len(self.hours) and self.hours[hour] == moment_ms // HOUR_MS and moment_ms % HOUR_MS:
            n += int((self.look(*self._span(hour))[0] < moment_ms).sum())
        return n

    def _span(self, hour: int) -> tuple[int, int]:
        return int(self.hours[hour]) * HOUR_MS, (int(self.hours[hour]) + 1) * HOUR_MS


def _by_dates(plan: TimeEvaluation, first_ms: int) -> Plan:
    start = plan.test_start
    assert start is not None  # noqa: S101 (the caller chose this branch by it)
    test_start = int(datetime(start.year, start.month, start.day, tzinfo=UTC).timestamp() * 1000)
    train_end = test_start - int(plan.delay_days * DAY_MS)
    calibration_start = train_end - int(plan.calibration_days * DAY_MS)
    train_start = first_ms if plan.train_days is None else train_end - int(plan.train_days * DAY_MS)
    test_end = NEVER_MS if plan.test_days is None else test_start + int(plan.test_days * DAY_MS)
    return Plan(
        train=((train_start, -1), (calibration_start, -1)),
        calibration=((calibration_start, -1), (train_end, -1)),
        test=((test_start, -1), (test_end, -1)),
        as_of_ms=test_start,
    )


def _by_fractions(plan: TimeEvaluation, calendar: Calendar) -> Plan:
    n = calendar.n_rows
    n_before = int(n * (1 - plan.test_fraction))
    if not 0 < n_before < n:
        raise TableError("The table has too few labelled rows to split.", code="empty_part")
    test = calendar.nth(n_before)
    end = test
    if plan.delay_days:
        end = (test[0] - int(plan.delay_days * DAY_MS), -1)
        n_before = min(n_before, calendar.n_before(end[0]))
    n_train = int(n_before * (1 - plan.calibration_fraction))
    middle = calendar.nth(n_train) if n_train < n_before else end
    return Plan(train=(START, middle), calibration=(middle, end), test=(test, END), as_of_ms=test[0])


def _at_random(n_rows: int, plan: StratifiedEvaluation, labels: Labels, seed: int) -> Plan:
    if n_rows > MAX_ROWS_AT_RANDOM:
        raise TableError(
            f"A table without time is split at random in one process, at most {MAX_ROWS_AT_RANDOM:,} rows, "
            f"and this one has {n_rows:,}; give the profile a time column, or train on a part of the rows.",
            code="too_large",
        )
    known, time = labels()
    in_time = np.argsort(time, kind="stable")  # what one process splits is ordered by time where there is one
    split = stratified(known[in_time].astype(np.float64), plan, seed)
    parts = np.zeros(n_rows, np.int8)
    for name, code in PARTS.items():
        parts[in_time[getattr(split, name)]] = code
    return Plan(at_random=parts, note=split.note)


def _compromised(
    profile: Profile, plan: TimeEvaluation, counted: Sequence[Counted], train_start_ms: int
) -> tuple[str, Mapping[str, int]] | None:
    if plan.drop_compromised is None:
        return None
    column = next(e.column for e in profile.entities if e.name == plan.drop_compromised)
    first_known: dict[str, int] = {}
    for one in counted:
        frauds = one.frauds
        for entity, time, known in zip(
            frauds.entities.tolist(), frauds.time_ms.tolist(), frauds.known_at_ms.tolist(), strict=True
        ):
            if entity is not None and time >= train_start_ms:
                first_known[entity] = min(known, first_known.get(entity, NEVER_MS))
    return column, first_known


def _held_to(
    plan: Plan, compromised: tuple[str, Mapping[str, int]] | None, calendar: Calendar, limit: int
) -> Plan:
    """Return the plan with calibration and test cut to whole days that one process can hold.

    What calibration gives up its older days to is training. A test window that ends sooner is as honest as a
    longer one, and its figures are still those of whole days.
    """
    calibration, test, notes = plan.calibration, plan.test, []
    days, per_day = _by_day(calendar)
    inside = (days * DAY_MS >= calibration[0][0]) & (days * DAY_MS < calibration[1][0])
    newest = np.cumsum(per_day[inside][::-1])
    if len(newest) and newest[-1] > limit:
        n_days = max(1, int(np.searchsorted(newest, limit, side="right")))
        calibration = ((int(days[inside][-n_days]) * DAY_MS, -1), calibration[1])
        notes.append(f"Calibrated on the newest {n_days} days of the slice that the profile plans for it.")
    inside = (days >= test[0][0] // DAY_MS) & (days * DAY_MS < test[1][0])
    oldest = np.cumsum(per_day[inside])
    if len(oldest) and oldest[-1] > limit:
        n_days = max(1, int(np.searchsorted(oldest, limit, side="right")))
        test = (test[0], ((int(days[inside][n_days - 1]) + 1) * DAY_MS, -1))
        notes.append(f"Judged on the first {n_days} days of the planned test window.")
    return Plan(
        train=(plan.train[0], calibration[0]),
        calibration=calibration,
        test=test,
        as_of_ms=plan.as_of_ms,
        compromised=compromised,
        note=" ".join(notes),
    )


def _by_day(calendar: Calendar) -> tuple[I64, I64]:
    days, inverse = np.unique(calendar.hours // 24, return_inverse=True)
    counts = np.zeros(len(days), np.int64)
    np.add.at(counts, inverse, calendar.counts)
    return days, counts
