"""When to ask a remote repository again, and for how long: backoff with full jitter, within bounds."""

import email.utils
import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from fraud.errors import RepositoryError

T = TypeVar("T")
_LONGEST_QUIET_S = 3600.0
_SPENT = re.compile(r"\br=0\b.*\bt=(\d+)")


class Transient(Exception):
    """One request failed in a way that may pass.

    Parameters
    ----------
    reason
        A few words for a person, without addresses and secrets.
    retry_after_s
        How long the server asked to be left alone, if it did.
    maybe_done
        Whether the request may have taken effect although no answer says so.
    """

    def __init__(self, reason: str, retry_after_s: float | None = None, maybe_done: bool = True) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.maybe_done = maybe_done


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Bounds of patience. Before retry n: a random wait of up to first_wait_s * 2**n, at most max_wait_s."""

    attempts: int = 6
    first_wait_s: float = 0.5
    max_wait_s: float = 8.0
    max_retry_after_s: float = 20.0
    budget_s: float = 60.0


class Retries:
    """Runs an action until it succeeds, fails for good or patience ends.

    Waiting is jittered over its whole range, so that nodes that collided once do not collide for ever. A
    server that asks for a longer pause than `max_retry_after_s` is not asked again before it has passed: the
    caller is told at once and comes back with its own timer.
    """

    def __init__(
        self,
        policy: RetryPolicy,
        subject: str,
        sleep: Callable[[float], None] = time.sleep,
        uniform: Callable[[float, float], float] = random.uniform,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._policy = policy
        self._subject = subject
        self._sleep = sleep
        self._uniform = uniform
        self._clock = clock
        self._quiet_until = float("-inf")

    def run(self, action: Callable[[], T]) -> T:
        """Return what `action` returns; it says by `Transient` that it may be tried again.

        Raises
        ------
        RepositoryError
            It failed until patience ended; one sentence with the last reason.
        """
        deadline = self._clock() + self._policy.budget_s
        for attempt in range(self._policy.attempts):
            self._respect_quiet()
            try:
                return action()
            except Transient as trouble:
                wait = self._wait(attempt, trouble)
                if attempt == self._policy.attempts - 1 or self._clock() + wait > deadline:
                    times = "once" if attempt == 0 else f"{attempt + 1} times"
                    raise RepositoryError(
                        f"{self._subject} could not be reached, tried {times}: {trouble.reason}.",
                        code="unreachable",
                    ) from None
            self._sleep(wait)
        raise AssertionError("unreachable")

    def _wait(self, attempt: int, trouble: Transient) -> float:
        policy = self._policy
        jitter = self._uniform(0.0, min(policy.max_wait_s, policy.first_wait_s * 2**attempt))
        asked = trouble.retry_after_s
        if asked is None:
            return jitter
        if asked <= policy.max_retry_after_s:
            return asked + jitter
        self._quiet_until = self._clock() + min(asked, _LONGEST_QUIET_S)
        raise self._left_alone() from None

    def _respect_quiet(self) -> None:
        if self._quiet_until > self._clock():
            raise self._left_alone()

    def _left_alone(self) -> RepositoryError:
        seconds = self._quiet_until - self._clock()
        return RepositoryError(
            f"{self._subject} asks to be left alone for {seconds:.0f} s.", code="rate_limited"
        )


def retry_after_s(headers: Mapping[str, str], now: Callable[[], float] = time.time) -> float | None:
    """Return the pause that an answer asks for: Retry-After in seconds or as a date, or a spent RateLimit."""
    raw = headers.get("Retry-After", "").strip()
    if raw.isascii() and raw.isdigit() and len(raw) < 10:
        return float(raw)
    if raw:
        try:
            return max(0.0, email.utils.parsedate_to_datetime(raw).timestamp() - now())
        except ValueError:
            return None
    spent = _SPENT.search(headers.get("RateLimit", ""))
    return float(spent[1]) if spent else None
