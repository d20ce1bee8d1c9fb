"""Reading one column of a table: what its cells mean, or a sentence that names the first that means nothing.

Every function takes the raw column and its name, and raises TableError with the column, the row (from 1,
header not counted), the rule and what to do. pandas is imported by the first that reads a table: what only
scores single transactions never does.
"""

from datetime import date
from numbers import Number
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fraud.errors import TableError

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Moments = NDArray[np.datetime64]
TIME_YEARS = (1970, 2199)
"""First and last year of a transaction; a unit mistaken for another lies far outside."""
DATE_YEARS = (1, 9999)
"""First and last year of a date field: those of every calendar library."""
MAX_NUMBER = 1e15
"""The largest number of a field: sums of hundredths stay exact in int64, features stay finite in float32."""
MAX_TEXT = 64
"""The longest text of a field, an entity or an id."""


def refuse(column: str, rule: str, bad: NDArray[np.bool_], raw: "pd.Series[Any]") -> None:
    """Raise TableError for the first row where `bad` is true; do nothing where none is."""
    if not bad.any():
        return
    row = int(np.argmax(bad))
    shown = "the value" if bool(raw.isna().iloc[row]) else repr(str(raw.iloc[row])[:60])
    others = (
        f", as in {int(bad.sum()):,} rows; correct or remove them"
        if bad.sum() > 1
        else "; correct or remove it"
    )
    error = TableError(
        f'Column "{column}", row {row + 1}: {shown} {rule}{others}.',
        code="bad_value",
        field=column,
        params={"row": row + 1, "rule": rule},
    )
    error.rows = np.flatnonzero(bad).tolist()
    raise error


def unreadable(raw: "pd.Series[Any]") -> NDArray[np.bool_]:
    """Return which cells are neither text, number, truth value nor date: lists, objects, bytes, durations."""
    import pandas as pd

    if pd.api.types.is_timedelta64_dtype(raw):
        return raw.notna().to_numpy()
    if raw.dtype != object:
        return np.zeros(len(raw), bool)
    odd = np.array([not isinstance(v, str | Number | np.generic | date) for v in raw.tolist()], bool)
    return odd & raw.notna().to_numpy()


def _filled(raw: "pd.Series[Any]") -> NDArray[np.bool_]:
    """Return which cells hold something: a blank text is a missing value, as it is in a form."""
    import pandas as pd

    present: NDArray[np.bool_] = raw.notna().to_numpy()
    if pd.api.types.is_numeric_dtype(raw):
        return present
    return present & (raw.astype(str).str.strip() != "").to_numpy(bool)


def factorized(raw: "pd.Series[Any]", name: str) -> tuple[NDArray[np.int64], list[Any]]:
    """Return codes (-1 where missing) and the distinct values that they stand for."""
    import pandas as pd

    refuse(name, "is neither a text nor a number", unreadable(raw), raw)
    codes, distinct = pd.factorize(raw)
    return codes, list(distinct)


def moments(raw: "pd.Series[Any]", name: str, years: tuple[int, int]) -> Moments:
    """Return datetime64[ms] in UTC, NaT where missing; naive times are taken as UTC."""
    import pandas as pd

    rule = "is not a date and time such as 2026-01-31T08:30:00"
    if pd.api.types.is_datetime64_any_dtype(raw):
        parsed = pd.to_datetime(raw, utc=True)
    else:
        if pd.api.types.is_numeric_dtype(raw) or pd.api.types.is_timedelta64_dtype(raw):
            refuse(name, rule, raw.notna().to_numpy(), raw)
            return np.full(len(raw), np.datetime64("NaT"), "datetime64[ms]")
        if raw.dtype == object:
            texts = np.array([isinstance(v, str | date) for v in raw.tolist()], bool)
            refuse(name, rule, ~texts & raw.notna().to_numpy(), raw)
        parsed = pd.to_datetime(raw, utc=True, errors="coerce", format="ISO8601")
        bad = parsed.isna().to_numpy() & raw.notna().to_numpy()
        if bad.any():
            bad &= _filled(raw)
        # pandas takes the words for the present, so that a table would mean something else every day.
        refuse(name, rule, bad | raw.isin(("now", "today")).to_numpy(), raw)
    stamps = parsed.dt.tz_localize(None).to_numpy().astype("datetime64[ms]")
    first, last = np.datetime64(years[0] - 1970, "Y"), np.datetime64(years[1] - 1969, "Y")
    outside = (stamps < first) | (stamps >= last)
    if outside.any():  # as numpy writes them: pandas cannot write a time of the year -2026
        raw = pd.Series(stamps.astype(str), dtype=object)
        refuse(name, f"lies outside the years {years[0]} to {years[1]}", outside, raw)
    return stamps


def numbers(raw: "pd.Series[Any]", name: str) -> Floats:
    """Return finite numbers, NaN where missing."""
    import pandas as pd

    rule = "is not a number"
    if pd.api.types.is_datetime64_any_dtype(raw) or pd.api.types.is_complex_dtype(raw):
        refuse(name, rule, raw.notna().to_numpy(), raw)
    refuse(name, rule, unreadable(raw), raw)
    if raw.dtype == object:
        refuse(name, rule, np.array([isinstance(v, complex | date) for v in raw.tolist()], bool), raw)
    values: Floats = pd.to_numeric(raw, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    bad = np.isnan(values) & raw.notna().to_numpy()
    if bad.any():
        refuse(name, rule, bad & _filled(raw), raw)
    refuse(
        name, f"is not a number between -{MAX_NUMBER:g} and {MAX_NUMBER:g}", np.abs(values) > MAX_NUMBER, raw
    )
    return values


TRUE_WORDS = frozenset({"1", "1.0", "true", "yes", "y", "t", "sim"})
FALSE_WORDS = frozenset({"0", "0.0", "false", "no", "n", "f", "não", "nao"})


def booleans(raw: "pd.Series[Any]", name: str) -> Floats:
    """Return 1 for true, 0 for false, NaN where missing."""
    codes, distinct = factorized(raw, name)
    words = [plain(value).lower() for value in distinct]
    meaning = [
        1.0 if w in TRUE_WORDS else 0.0 if w in FALSE_WORDS else np.inf if w else np.nan for w in words
    ]
    values: Floats = np.array([*meaning, np.nan])[codes]
    refuse(name, "is neither true nor false", np.isinf(values), raw)
    return values


def plain(value: object) -> str:
    """Return the text of a key or level: 596.0 and "596" are the same customer."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


def coded_texts(raw: "pd.Series[Any]", name: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return codes and distinct texts; " A" and "A" are one text, and a blank one is missing."""
    codes, distinct = factorized(raw, name)
    position: dict[str, int] = {}
    texts = [plain(value) for value in distinct]
    unfit = np.array([not fits(text) for text in texts] + [False])
    refuse(name, f"is not a printable text of at most {MAX_TEXT} characters", unfit[codes], raw)
    lookup = [position.setdefault(t, len(position)) if t else -1 for t in texts]
    return np.array([*lookup, -1])[codes], tuple(position)


def fits(text: str) -> bool:
    """Return whether a text may be a level, an entity or an id: such a one can be shown and sent back."""
    return len(text) <= MAX_TEXT and (text.isprintable() or not text)
