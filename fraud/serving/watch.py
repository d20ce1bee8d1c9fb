"""Whether a version that has just begun to serve does worse than the one before: errors and slow answers.

Both are shares: of answers that failed, and of answers slower than a multiple of the 99th percentile before
the swap. A version is given up once a share is above what is tolerated beyond chance (the lower end of
Wilson's 95% interval, J. Am. Stat. Assoc. 22, 1927), so a handful of answers decides only where nearly all
of them are bad. Pure but for `TrafficWatch`, which counts.
"""

import math
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_Z = 1.96
_FEWEST = 100
"""Answers before the swap below which they are no measure."""


@dataclass(frozen=True, slots=True)
class WatchPolicy:
    """What is tolerated of a new version, and for how long it is watched.

    Attributes
    ----------
    window_s : seconds that it is watched, and that count before the swap
    max_answers : answers that are kept on either side; the oldest are forgotten first
    tolerated_errors : share of failed answers that is always accepted
    slower : how many times the 99th percentile before is still accepted
    floor_s : seconds; an answer quicker than this is never slow
    tolerated_slow : share of slow answers that is accepted: 1%, so that the rule is one about the p99
    min_failures : fewer failed answers than this decide nothing
    min_slow : fewer slow answers than this decide nothing
    """

    window_s: float = 300.0
    max_answers: int = 5_000
    tolerated_errors: float = 0.01
    slower: float = 3.0
    floor_s: float = 0.25
    tolerated_slow: float = 0.01
    min_failures: int = 3
    min_slow: int = 10


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer: when (monotonic seconds), how long it took, whether it failed by no fault of its sender."""

    at_s: float
    took_s: float
    failed: bool


def judge(before: Sequence[Answered], after: Sequence[Answered], policy: WatchPolicy) -> str | None:
    """Return why the new version is to be given up, in words for an operator; None while it is not."""
    if not after:
        return None
    failed, n = sum(a.failed for a in after), len(after)
    # A handful of answers before the swap would excuse anything.
    usual = _upper(sum(a.failed for a in before), len(before)) if len(before) >= _FEWEST else 0.0
    if failed >= policy.min_failures and _lower(failed, n) > max(usual, policy.tolerated_errors):
        was = f"{sum(a.failed for a in before)} of {len(before)}" if before else "none known"
        return f"{failed} of {n} answers failed (before the swap {was})"
    limit_s = slow_limit_s(before, policy)
    slow = sum(a.took_s > limit_s for a in after if not a.failed)
    if slow >= policy.min_slow and _lower(slow, n) > policy.tolerated_slow:
        return f"{slow} of {n} answers took more than {limit_s * 1000:.0f} ms"
    return None


def slow_limit_s(before: Sequence[Answered], policy: WatchPolicy) -> float:
    """Return from when on an answer is slow, in seconds; infinite where too little is known of before."""
    took = sorted(a.took_s for a in before if not a.failed)
    if len(took) < _FEWEST:
        return math.inf
    return max(policy.slower * took[math.ceil(0.99 * len(took)) - 1], policy.floor_s)


def _lower(count: int, n: int) -> float:
    return _wilson(count, n, -_Z)


def _upper(count: int, n: int) -> float:
    return _wilson(count, n, _Z)


def _wilson(count: int, n: int, z: float) -> float:
    share = count / n
    spread = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (share + z * z / (2 * n) + spread) / (1 + z * z / n)


class TrafficWatch:
    """Counts the answers of the version that serves, and judges a new one while it is on trial.

    Parameters
    ----------
    monotonic : returns seconds
    """

    def __init__(self, policy: WatchPolicy, monotonic: Callable[[], float]) -> None:
        self._policy = policy
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._serving: object = None
        self._now: deque[Answered] = deque(maxlen=policy.max_answers)
        self._before: tuple[Answered, ...] = ()
        self._until_s: float | None = None

    def note(self, version: object, took_s: float, *, failed: bool) -> None:
        """Count an answer of `version`; one of a version that serves no more is passed over."""
        with self._lock:
            if self._serving is None:
                self._serving = version
            if version == self._serving:
                self._now.append(Answered(self._monotonic(), took_s, failed))

    def begin(self, version: object) -> None:
        """Put a version that serves from now on on trial."""
        with self._lock:
            now_s = self._monotonic()
            self._before = tuple(a for a in self._now if a.at_s >= now_s - self._policy.window_s)
            self._now.clear()
            self._serving, self._until_s = version, now_s + self._policy.window_s

    def resume(self, version: object) -> None:
        """Go on with the version before: its own answers are the measure again, and it is not on trial."""
        with self._lock:
            self._now.clear()
            self._now.extend(self._before)
            self._serving, self._until_s, self._before = version, None, ()

    def verdict(self) -> str | None:
        """Return why the version on trial is to be given up; None if it is not, or none is."""
        with self._lock:
            if self._until_s is None:
                return None
            before, after = self._before, tuple(self._now)
            if self._monotonic() >= self._until_s or len(after) >= self._policy.max_answers:
                self._until_s = None  # this is the last judgement
        return judge(before, after, self._policy)

    @property
    def on_trial(self) -> bool:
        """Whether the version that serves is still watched."""
        return self._until_s is not None
