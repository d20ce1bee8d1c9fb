"""What the work tells whoever watches it: how long each stage took and what came of it. Knows no library.

The work calls an `Observer` where things happen; nobody watching costs an empty call. `fraud/metrics.py` is
the one that keeps figures for Prometheus.
"""

from collections.abc import Sequence
from time import perf_counter
from typing import Protocol

from fraud.records import Decision

STAGES = ("validate", "features", "score", "explain", "batch", "commit")
"""What is timed: of one transaction its rules, its feature row, each model's answer and each model's reasons;
scoring a whole table; and committing one batch of flags, whether or not it came off."""


class Observer(Protocol):
    """Called by many threads at once; must return within microseconds and raise nothing."""

    def took(self, stage: str, seconds: float, model: str = "") -> None:
        """Note that a stage of work is done; `model` where it was one model's."""

    def predicted(self, decisions: Sequence[tuple[str, Decision]], *, agree: bool) -> None:
        """Note the answers for one transaction: (model, decision) pairs."""

    def scored_table(self, n_scored: int, n_rejected: int) -> None:
        """Note the answers for a table."""

    def flagged(self, verdict: str) -> None:
        """Note that a flag was acknowledged."""

    def withdrawn(self) -> None:
        """Note that a withdrawal was acknowledged."""

    def drained(self, n_submissions: int, *, failed: bool) -> None:
        """Note what a drain committed, and whether something stood in its way."""


class Unobserved:
    """Nobody watches."""

    def took(self, stage: str, seconds: float, model: str = "") -> None:
        """Do nothing."""

    def predicted(self, decisions: Sequence[tuple[str, Decision]], *, agree: bool) -> None:
        """Do nothing."""

    def scored_table(self, n_scored: int, n_rejected: int) -> None:
        """Do nothing."""

    def flagged(self, verdict: str) -> None:
        """Do nothing."""

    def withdrawn(self) -> None:
        """Do nothing."""

    def drained(self, n_submissions: int, *, failed: bool) -> None:
        """Do nothing."""


UNOBSERVED = Unobserved()


class Stopwatch:
    """Tells an observer how long each stage of one piece of work took; starts when it is made."""

    __slots__ = ("_observer", "_since")

    def __init__(self, observer: Observer = UNOBSERVED) -> None:
        self._observer = observer
        self._since = perf_counter()

    def lap(self, stage: str, model: str = "") -> None:
        """End a stage; the next one begins."""
        now = perf_counter()
        self._observer.took(stage, now - self._since, model)
        self._since = now
