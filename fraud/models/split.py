"""Which rows train, which calibrate, which test: in time, with the label delay between."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from fraud.data.profile import DAY_MS, Profile, StratifiedEvaluation, TimeEvaluation
from fraud.data.table import NEVER_MS, Transactions
from fraud.errors import TableError

Rows = NDArray[np.intp]
MIN_PER_CLASS = 10
"""Fewer frauds, or fewer legitimate rows, say nothing: neither to a model nor in a test."""


@dataclass(frozen=True)
class Split:
    """Row positions of each part; `as_of_ms` is the moment of training (None without time)."""

    train: Rows
    calibration: Rows
    test: Rows
    as_of_ms: int | None
    n_dropped_compromised: int = 0
    note: str = ""

    def labelled(self, transactions: Transactions) -> "Split":
        """Return the same plan without the rows of its fitting parts that have no label (any more)."""
        known = ~np.isnan(transactions.labels)
        train, calibration = (rows[known[rows]] for rows in (self.train, self.calibration))
        return replace(self, train=train, calibration=calibration)

    def windows(self, transactions: Transactions) -> dict[str, dict[str, object]]:
        """Return first and last time, rows and frauds of each part, for the manifest."""
        parts = {"train": self.train, "calibration": self.calibration, "test": self.test}
        return {name: _window(transactions, rows) for name, rows in parts.items()}


def split(transactions: Transactions, profile: Profile, seed: int) -> Split:
    """Return the profile's evaluation plan applied to a table ordered by time.

    Raises
    ------
    TableError
        A part has no frauds or no legitimate rows; the message says which, and what to change.
    """
    _check_enough(transactions.labels, profile)
    plan = profile.evaluation
    if isinstance(plan, StratifiedEvaluation):
        result = stratified(transactions.labels, plan, seed)
    elif plan.test_start is not None:
        result = _by_dates(transactions, profile, plan)
    else:
        result = _by_fractions(transactions, plan)
    for name in ("train", "calibration", "test"):
        # What models learn from is what was known when the test began; what they are judged by, the truth.
        as_of = None if name == "test" else result.as_of_ms
        labels = labels_as_of(transactions, as_of)[getattr(result, name)]
        for value, word in ((1.0, "frauds"), (0.0, "legitimate transactions")):
            if not (labels == value).any():
                raise empty_part(name, word, len(labels), profile)
    return result


def empty_part(name: str, word: str, n_rows: int, profile: Profile) -> TableError:
    """Return what is said of a part of the plan without frauds, or without legitimate transactions."""
    return TableError(
        f"The {name} part of the evaluation plan holds no {word} ({n_rows:,} rows); "
        f'change [evaluation] in the profile "{profile.name}" or bring more data.',
        code="empty_part",
    )


def _check_enough(labels: NDArray[np.float64], profile: Profile) -> None:
    for value, word in ((1.0, "frauds"), (0.0, "legitimate transactions")):
        n = int((labels == value).sum())
        if n < MIN_PER_CLASS:
            raise TableError(
                f'The table holds {n} {word} by the labels of the profile "{profile.name}", and training '
                f"and testing needs {MIN_PER_CLASS} at least; bring more data.",
                code="too_few",
            )


def newest_traffic(transactions: Transactions, plan: Split, profile: Profile) -> Rows:
    """Return the newest rows after the held-out window, labelled or not: as many days as calibrate.

    None where the table does not reach that many days beyond the window, or the plan has no dates.
    """
    none = np.zeros(0, np.intp)
    dates = profile.evaluation
    if not isinstance(dates, TimeEvaluation) or dates.test_start is None or not len(plan.test):
        return none
    time = transactions.times()
    first = time[-1] - int(dates.calibration_days * DAY_MS)
    return np.flatnonzero(time > first) if first >= time[plan.test].max() else none


def labels_as_of(transactions: Transactions, as_of_ms: int | None) -> NDArray[np.float64]:
    """Return the labels as they stood at a moment (None: as they stand in the end).

    A fraud nobody had reported yet still counts as legitimate once its label delay has passed: that is what
    a bank's table says on that day. Unknown labels stay NaN.
    """
    if as_of_ms is None:
        return transactions.labels
    unreported = (transactions.labels == 1) & (transactions.known_at_ms > as_of_ms)
    return np.where(unreported, 0.0, transactions.labels)


def _by_dates(transactions: Transactions, profile: Profile, plan: TimeEvaluation) -> Split:
    assert plan.test_start is not None  # noqa: S101 (the caller chose this branch by it)
    start = plan.test_start
    test_start = int(datetime(start.year, start.month, start.day, tzinfo=UTC).timestamp() * 1000)
    time = transactions.times()
    train_end = test_start - int(plan.delay_days * DAY_MS)
    calibration_start = train_end - int(plan.calibration_days * DAY_MS)
    train_start = int(time[0]) if plan.train_days is None else train_end - int(plan.train_days * DAY_MS)
    test_end = NEVER_MS if plan.test_days is None else test_start + int(plan.test_days * DAY_MS)
    known = ~np.isnan(transactions.labels)
    test = np.flatnonzero(known & (time >= test_start) & (time < test_end))
    kept = drop_compromised(transactions, profile, plan.drop_compromised, test, train_start)
    return Split(
        train=np.flatnonzero(known & (time >= train_start) & (time < calibration_start)),
        calibration=np.flatnonzero(known & (time >= calibration_start) & (time < train_end)),
        test=kept,
        as_of_ms=test_start,
        n_dropped_compromised=len(test) - len(kept),
    )


def _by_fractions(transactions: Transactions, plan: TimeEvaluation) -> Split:
    time = transactions.times()
    rows = np.flatnonzero(~np.isnan(transactions.labels))
    n_before = int(len(rows) * (1 - plan.test_fraction))
    before, test = rows[:n_before], rows[n_before:]
    if not len(before) or not len(test):
        raise TableError("The table has too few labelled rows to split.", code="empty_part")
    test_start = int(time[test[0]])
    before = before[time[before] < test_start - int(plan.delay_days * DAY_MS)] if plan.delay_days else before
    n_train = int(len(before) * (1 - plan.calibration_fraction))
    return Split(before[:n_train], before[n_train:], test, as_of_ms=test_start)


def stratified(labels: NDArray[np.float64], plan: StratifiedEvaluation, seed: int) -> Split:
    """Return a random split of the rows with a label, with equal fraud rates; labels float64 [n].

    Raises
    ------
    TableError
        Too few rows have a label.
    """
    from sklearn.model_selection import train_test_split

    rows = np.flatnonzero(~np.isnan(labels))
    try:
        before, test = train_test_split(
            rows, test_size=plan.test_fraction, stratify=labels[rows], random_state=seed
        )
        train, calibration = train_test_split(
            before,
            test_size=plan.calibration_fraction,
            stratify=labels[before],
            random_state=seed,
        )
    except ValueError as error:  # a part would have fewer rows than there are classes
        raise TableError(
            f"The table has too few labelled rows ({len(rows):,}) for the fractions in [evaluation]; "
            "raise them or bring more data.",
            code="empty_part",
        ) from error
    note = "Random split: the table has no time column, so these figures are optimistic about the future."
    return Split(np.sort(train), np.sort(calibration), np.sort(test), as_of_ms=None, note=note)


def drop_compromised(
    transactions: Transactions, profile: Profile, entity_name: str | None, test: Rows, train_start_ms: int
) -> Rows:
    """Drop, on each test day, the cards whose fraud was known when the day began (Handbook, ch. 5)."""
    if entity_name is None:
        return test
    column = next(e.column for e in profile.entities if e.name == entity_name)
    codes = transactions.texts[column].codes
    time = transactions.times()
    frauds = np.flatnonzero((transactions.labels == 1) & (time >= train_start_ms) & (codes >= 0))
    first_known = np.full(len(transactions.texts[column].values), NEVER_MS)
    np.minimum.at(first_known, codes[frauds], transactions.known_at_ms[frauds])
    day_start = time[test] // DAY_MS * DAY_MS
    known = (codes[test] >= 0) & (first_known[codes[test]] < day_start)
    return test[~known]


def _window(transactions: Transactions, rows: Rows) -> dict[str, object]:
    result: dict[str, object] = {
        "n_rows": len(rows),
        "n_frauds": int((transactions.labels[rows] == 1).sum()),
    }
    if transactions.time_ms is not None:
        first, last = transactions.time_ms[rows].min(), transactions.time_ms[rows].max()
        result["first_at"] = datetime.fromtimestamp(int(first) / 1000, UTC).isoformat()
        result["last_at"] = datetime.fromtimestamp(int(last) / 1000, UTC).isoformat()
    return result
