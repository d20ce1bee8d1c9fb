"""When a delivery is tried again, from the answer to the last attempt. No clock and no chance inside."""

import email.utils
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

_MINUTE, _HOUR = 60, 3_600
DELAYS_S = (0, 5, 5 * _MINUTE, 30 * _MINUTE, *(hours * _HOUR for hours in (2, 5, 10, 14, 20, 24)))
"""Delays before each attempt, in seconds: the schedule of Standard Webhooks 1.0.0."""

JITTER = 0.2
"""Each delay is up to a fifth longer, never shorter."""

LONGEST_WAIT_S = 24 * _HOUR
"""No Retry-After is followed for longer."""

_GONE = 410
_BUSY = frozenset({429, 502, 503, 504})
_SECONDS = re.compile(r"[0-9]{1,9}")


class Outcome(StrEnum):
    """What an attempt came to."""

    DELIVERED = "delivered"
    RETRY = "retry"
    GIVEN_UP = "given up"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back from one attempt; no status means that no answer came, for the reason in `problem`."""

    status: int | None
    problem: str = ""
    retry_after: str | None = None

    @property
    def delivered(self) -> bool:
        """Whether the endpoint took the message."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def overloaded(self) -> bool:
        """Whether anything else sent there now would fare no better."""
        return self.status is None or self.status in _BUSY


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from an answer. `hold_until`: nothing is sent to this endpoint before it."""

    outcome: Outcome
    due_at: datetime | None = None
    hold_until: datetime | None = None


def judge(answer: Answer, attempts: int, now: datetime, chance: Callable[[], float]) -> Verdict:
    """Return what follows from the answer to attempt number `attempts` (from 1).

    `chance` returns a uniform number in [0, 1): the jitter.
    """
    if answer.delivered:
        return Verdict(Outcome.DELIVERED)
    if answer.status == _GONE:
        return Verdict(Outcome.GONE)
    asked = _asked_wait_s(answer.retry_after, now)
    hold = now + timedelta(seconds=asked) if asked and answer.overloaded else None
    if attempts >= len(DELAYS_S):
        return Verdict(Outcome.GIVEN_UP, hold_until=hold)
    wait = max(DELAYS_S[attempts], asked) * (1 + JITTER * chance())
    return Verdict(Outcome.RETRY, now + timedelta(seconds=wait), hold)


def _asked_wait_s(header: str | None, now: datetime) -> float:
    """Return how long Retry-After asks to wait (RFC 9110, 10.2.3: seconds or a date); 0 if not at all."""
    text = (header or "").strip()
    if _SECONDS.fullmatch(text):
        return float(min(int(text), LONGEST_WAIT_S))
    try:
        moment = email.utils.parsedate_to_datetime(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        return min(max((moment - now).total_seconds(), 0.0), float(LONGEST_WAIT_S))
    except (ValueError, OverflowError):
        return 0.0
