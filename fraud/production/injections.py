"""What changes in production, and on which day: the causes that monitoring should tell apart."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fraud.data.profile import Profile
from fraud.data.table import Coded, Transactions
from fraud.errors import SettingsError

NEW_TYPOLOGY = "new_typology"
COVARIATE_SHIFT = "covariate_shift"
SEASON = "season"
BROKEN_COLUMN = "broken_column"
KINDS = (NEW_TYPOLOGY, COVARIATE_SHIFT, BROKEN_COLUMN, SEASON)
SEASON_DAYS = 42
UNIT_FACTOR = 100.0

_FORM = re.compile(
    r"([a-z_]+)(?::([A-Za-z0-9_]+)=(null|unit|stuck))?@([0-9]{1,5})(?:x([0-9]{1,4}(?:\.[0-9]{1,6})?))?"
)


@dataclass(frozen=True, slots=True)
class Injection:
    """One cause, from its day on.

    Attributes
    ----------
    kind : one of `KINDS`
    day : first day with it, counted from the first day of production
    magnitude : 1 is the usual size. Of a new typology the factor on its rate; of a covariate shift and of a
        season the strength; of a broken column the share of the transactions that are hit, at most 1
    column, how : of a broken column: which, and "null" (empty), "unit" (times 100) or "stuck" (always the
        profile's default, which every rule accepts)
    """

    kind: str
    day: int
    magnitude: float = 1.0
    column: str | None = None
    how: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS or (self.kind == BROKEN_COLUMN) != (self.column is not None):
            raise _refused(self.kind)
        most = {BROKEN_COLUMN: 1.0, COVARIATE_SHIFT: 1.5, SEASON: 3.0}.get(self.kind, 20.0)
        if self.day < 0 or not 0 < self.magnitude <= most:
            raise SettingsError(
                f"The magnitude of {self.kind} must be above 0 and at most {most:g}.",
                code="injection",
                field="event",
            )

    @property
    def name(self) -> str:
        """The cause for people and for the truth, without day and magnitude."""
        return self.kind if self.column is None else f"{self.kind}:{self.column}={self.how}"


def parse_injection(text: str) -> Injection:
    """Return the injection that `KIND@DAY` or `broken_column:COLUMN=HOW@DAY` names, with xMAGNITUDE at will.

    Raises
    ------
    SettingsError
        The text has another form, or the magnitude is out of range.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise _refused(text)
    kind, column, how, day, magnitude = found.groups()
    return Injection(kind, int(day), float(magnitude or 1), column, how)


def strength(injections: Sequence[Injection], kind: str, day: int) -> float:
    """Return the summed magnitude of a kind on a day; a season's rises and falls within `SEASON_DAYS`."""
    total = 0.0
    for injection in injections:
        if injection.kind == kind and day >= injection.day:
            shape = season_shape(day - injection.day) if kind == SEASON else 1.0
            total += injection.magnitude * shape
    return total


def season_shape(days_since: int) -> float:
    """Return the known shape of the season, from 0 to 1: a raised cosine over `SEASON_DAYS`."""
    if not 0 <= days_since < SEASON_DAYS:
        return 0.0
    return float(0.5 - 0.5 * np.cos(2 * np.pi * (days_since + 1) / (SEASON_DAYS + 1)))


def check_columns(injections: Sequence[Injection], profile: Profile) -> None:
    """Raise SettingsError for a broken column that the profile does not have, or that has no unit."""
    for injection in injections:
        if injection.column is None:
            continue
        field = profile.by_column.get(injection.column)
        numeric = field is not None and field.kind == "number"
        known = field is not None and field.kind in ("number", "category") and field.default is not None
        fits = field is not None and (
            injection.how == "null" or {"unit": numeric, "stuck": known}.get(injection.how or "", False)
        )
        if not fits:
            raise SettingsError(
                f'The profile "{profile.name}" has no field "{injection.column}" that could break so '
                f"({injection.how}).",
                code="injection",
                field="event",
            )


def break_columns(
    transactions: Transactions,
    injections: Sequence[Injection],
    profile: Profile,
    day: int,
    uniform: NDArray[np.float64],
) -> Transactions:
    """Return the transactions as they arrive: with what is broken upstream on that day.

    Parameters
    ----------
    uniform : float64 [n] in [0, 1): a row is hit where it is below the magnitude
    """
    numbers, texts = dict(transactions.numbers), dict(transactions.texts)
    for injection in injections:
        if injection.column is None or day < injection.day:
            continue
        hit = uniform < injection.magnitude
        name = injection.column
        stuck_at = profile.by_column[name].default
        if name in texts:
            values = texts[name].values
            if injection.how == "stuck" and str(stuck_at) not in values:
                values = (*values, str(stuck_at))
            code = values.index(str(stuck_at)) if injection.how == "stuck" else -1
            texts[name] = Coded(np.where(hit, np.int32(code), texts[name].codes), values)
        elif injection.how == "stuck":
            numbers[name] = np.where(hit, float(stuck_at or 0), numbers[name])
        elif injection.how == "null":
            numbers[name] = np.where(hit, np.nan, numbers[name])
        else:
            numbers[name] = np.where(hit, numbers[name] * UNIT_FACTOR, numbers[name])
    return Transactions(
        transactions.rows,
        transactions.ids,
        transactions.time_ms,
        numbers,
        texts,
        transactions.labels,
        transactions.known_at_ms,
        transactions.typology,
    )


def _refused(text: str) -> SettingsError:
    return SettingsError(
        f"{text[:60]!r} is no event; write new_typology@DAY, covariate_shift@DAY, season@DAY, or "
        "broken_column:COLUMN=HOW@DAY (null, unit or stuck), with xMAGNITUDE after the day at will.",
        code="injection",
        field="event",
    )
