"""Numbers, money, percentages, dates and durations as people write them in each language."""

import re
from collections.abc import Mapping
from datetime import datetime

DATE_AXES: Mapping[str, str] = {"en": "%-d %b", "pt-BR": "%d/%m"}
"""How a figure's axis writes a date; the marks on it say the year."""
FULL_DATES: Mapping[str, str] = {"en": "%Y-%m-%d", "pt-BR": "%d/%m/%Y"}
"""How tables, reports and what a pointer shows of a figure write a date."""
_ISO_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LIGHT_DECIMALS = ((100, 0), (10, 1), (0.1, 2))


def number(value: float, language: str, decimals: int | None = None) -> str:
    """Return a number with the language's separators; without `decimals`, as many as its size deserves."""
    shown = next((d for limit, d in _LIGHT_DECIMALS if abs(value) >= limit), 3)
    text = f"{value:,.{shown if decimals is None else decimals}f}".replace("-", "\u2212")
    if decimals is None and "." in text:
        text = text.rstrip("0").rstrip(".")
    if set(text) <= set("\u22120.,"):
        text = text.removeprefix("\u2212")  # no minus before a zero
    return text.translate(str.maketrans(",.", ".,")) if language.startswith("pt") else text


def exact(value: float, language: str) -> str:
    """Return a number with every decimal it was typed with, up to six."""
    text = number(value, language, 6)
    return text.rstrip("0").rstrip(".,") if abs(value) < 1e15 else f"{value:g}"


def signed(value: float, language: str, decimals: int) -> str:
    """Return a number that always shows its sign."""
    text = number(value, language, decimals)
    return text if text.startswith("\u2212") or not value else f"+{text}"


def probability(value: float, language: str) -> str:
    """Return a probability as a percentage that never claims certainty: <0.01%, 0.4%, 37%, >99.9%."""
    percent = value * 100
    if percent < 0.01:
        return f"<{number(0.01, language, 2)}%"
    if percent > 99.9:
        return f">{number(99.9, language, 1)}%"
    if percent < 0.1:
        return f"{number(percent, language, 2)}%"
    return f"{number(percent, language, 1 if percent < 9.95 or percent > 99 else 0)}%"


def percentage(value: float, language: str) -> str:
    """Return a share such as a threshold as a percentage without needless zeros."""
    percent = round(value * 100, 1)
    return f"{number(percent, language, 0 if percent.is_integer() else 1)}%"


def money(value: float, currency: str, language: str) -> str:
    """Return an amount with two decimals and its currency's code, never parted at a line's end."""
    return f"{number(value, language, 2)}\u00a0{currency}".strip()


def moment(value: datetime, language: str) -> str:
    """Return a moment to the minute: 23 Sep 2026, 14:37 or 23/09/2026 14:37; its zone is not said."""
    if language.startswith("pt"):
        return value.strftime("%d/%m/%Y %H:%M")
    return f"{value.day} {_MONTHS[value.month - 1]} {value.strftime('%Y, %H:%M')}"


def calendar(iso: str, language: str, *, time: bool = True) -> str:
    """Return an ISO moment to the minute, or its date, as `FULL_DATES` writes it; other text is only cut."""
    shown = iso[:16].replace("T", " ") if time else iso[:10]
    return _ISO_DATE.sub(r"\3/\2/\1", shown, count=1) if language.startswith("pt") else shown


def duration(hours: float, language: str) -> str:
    """Return a length of time in the largest unit that leaves a number above one; no line ends in it."""
    for limit, factor, unit in ((1 / 60, 3600, "s"), (1, 60, "min"), (48, 1, "h")):
        if hours < limit:
            return f"{number(hours * factor, language, 0 if factor > 1 else None)}\u00a0{unit}"
    days = "dias" if language.startswith("pt") else "days"
    return f"{number(hours / 24, language, 0)}\u00a0{days}"


def pretty(name: str) -> str:
    """Return a machine's name as words: "cash_out" -> "Cash out"; a name without separators is kept."""
    words = re.sub(r"[_\s]+", " ", name).strip()
    return words[:1].upper() + words[1:] if words else name
