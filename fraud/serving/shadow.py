"""Shadow mode: a waiting challenger scores what the champion scores, unseen, and the answers are compared.

A request leaves its prediction in a bounded queue and goes on; a thread of its own asks the challenger. A
full queue drops, and what is dropped is counted. Nothing that the challenger does, raises or takes can reach
an answer; it costs memory for a second model, and processor time that requests share.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from fraud.errors import FraudError, RepositoryError
from fraud.models.bundle import load_bundle
from fraud.records import MODELS, Decision, Prediction
from fraud.registry import ModelRegistry
from fraud.serving.scorer import Scorer
from fraud.serving.shadow_report import ModelAgreement, ShadowReport, write_report

_log = logging.getLogger(__name__)
MAX_QUEUE = 500
_NEWEST = 500
_FAILURES = (
    FraudError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
_GIVE_UP_AFTER = 50
"""Failures in a row after which a challenger is asked no more."""


@dataclass(slots=True)
class _Tally:
    n: int = 0
    n_equal: int = 0
    n_gained: int = 0
    n_lost: int = 0
    difference: float = 0.0

    def result(self) -> ModelAgreement:
        mean = self.difference / self.n if self.n else 0.0
        return ModelAgreement(self.n, self.n_equal, self.n_gained, self.n_lost, mean)


@dataclass(slots=True)
class _Run:
    """One challenger beside one champion."""

    champion: str
    scorer: Scorer
    since: datetime
    tallies: dict[str, _Tally] = field(default_factory=lambda: {name: _Tally() for name in MODELS})
    champion_ms: deque[float] = field(default_factory=lambda: deque(maxlen=_NEWEST))
    challenger_ms: deque[float] = field(default_factory=lambda: deque(maxlen=_NEWEST))
    n: int = 0
    n_dropped: int = 0
    n_failed: int = 0
    in_a_row: int = 0
    problem: str | None = None


class Shadow:
    """Compares a challenger with what was answered; thread-safe. Its thread starts with the first offer.

    Parameters
    ----------
    node : names this process in its report
    directory : where its report is kept for `python -m fraud versions --shadow`; None keeps none
    max_queue : predictions that wait; more are dropped and counted
    clock : returns the present, aware, in UTC
    """

    def __init__(
        self,
        registry: ModelRegistry,
        *,
        node: str,
        directory: Path | None = None,
        max_queue: int = MAX_QUEUE,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._registry = registry
        self._node = node
        self._directory = directory
        self._max_queue = max_queue
        self._clock = clock
        self._queue: deque[Prediction] = deque()
        self._changed = threading.Condition()
        self._comparing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._run: _Run | None = None
        self._seen: tuple[str | None, str] | None = None
        self._kept: tuple[object, ...] = ()
        self._noted = ""
        self.problem: str | None = None

    def refresh(self, champion: str) -> bool:
        """Look for another challenger or champion and load it; return whether one is being compared.

        Parameters
        ----------
        champion : the version that answers in this process now
        """
        seen = None
        try:
            seen = (self._registry.head(), champion)
            if seen != self._seen:
                self._change(champion)
                self._seen = seen
        except (*_FAILURES, OSError) as error:
            # Of a challenger nobody knows yet what it is; whoever asked for a refresh must not pay for it.
            self._set(None)
            self._note(f"the challenger cannot be compared, what serves goes on: {error}")
            self.problem = error.message if isinstance(error, FraudError) else repr(error)
            # A registry out of reach is asked again, any other failure is for good until something changes.
            self._seen = None if isinstance(error, RepositoryError) else seen
        report = self.report()
        if report is not None:
            self._keep(report)
        return report is not None

    def _keep(self, report: ShadowReport) -> None:
        """Write the report where something was compared since the last time."""
        state = (report.champion, report.challenger, report.n, report.n_dropped, report.n_failed)
        if self._directory is None or state == self._kept:
            return
        try:
            write_report(report, self._directory)
            self._kept = state
        except OSError as error:
            self._note(f"the shadow report cannot be written: {error}")

    def _note(self, problem: str) -> None:
        if problem != self._noted:
            _log.warning("%s", problem)
        self._noted = problem

    def _change(self, champion: str) -> None:
        challenger = self._registry.aliases().challenger
        run = self._run
        self.problem = None
        if challenger is None or challenger == champion:
            self._set(None)
        elif run is None or (run.champion, run.scorer.version.version) != (champion, challenger):
            self._set(None)  # a second model is enough memory, a third is not needed
            revision, directory = self._registry.fetch(challenger)
            scorer = Scorer.from_bundle(load_bundle(directory, self._registry.trusted), revision)
            self._set(_Run(champion, scorer, self._clock()))

    def _set(self, run: _Run | None) -> None:
        with self._changed:
            self._queue.clear()
            self._run = run

    def offer(self, prediction: Prediction) -> bool:
        """Queue what the champion answered, in microseconds; False if there is no challenger or no room."""
        with self._changed:
            run = self._run
            if run is None or self._closed or run.problem is not None:
                return False
            if prediction.model_version.version != run.champion:
                return False  # the champion has just changed, `refresh` has not yet
            if len(self._queue) >= self._max_queue:
                run.n_dropped += 1
                return False
            self._queue.append(prediction)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="shadow", daemon=True)
                self._thread.start()
            self._changed.notify()
            return True

    def report(self) -> ShadowReport | None:
        """Return the comparison so far; None while no challenger is loaded."""
        with self._changed:
            run = self._run
            if run is None:
                return None
            return ShadowReport(
                node=self._node,
                at=self._clock().isoformat(timespec="seconds"),
                since=run.since.isoformat(timespec="seconds"),
                champion=run.champion,
                challenger=run.scorer.version.version,
                n=run.n,
                n_dropped=run.n_dropped,
                n_failed=run.n_failed,
                problem=run.problem,
                models={name: tally.result() for name, tally in run.tallies.items()},
                champion_ms=_median(run.champion_ms),
                challenger_ms=_median(run.challenger_ms),
            )

    def flush(self) -> None:
        """Compare what is queued; on return nothing waits."""
        with self._comparing:
            while (task := self._take()) is not None:
                self._compare(*task)

    def close(self) -> None:
        """Take nothing any more, and let the thread end; what is queued is dropped."""
        with self._changed:
            self._closed = True
            self._queue.clear()
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closed)
                if self._closed:
                    return
            self.flush()

    def _take(self) -> tuple[_Run, Prediction] | None:
        with self._changed:
            if self._run is None or not self._queue:
                return None
            return self._run, self._queue.popleft()

    def _compare(self, run: _Run, prediction: Prediction) -> None:
        past: Any = prediction.history
        start = perf_counter()
        try:
            scores = run.scorer.score(prediction.transaction, past)
        except _FAILURES as error:
            self._failed(run, error)
            return
        took_ms = (perf_counter() - start) * 1000
        with self._changed:
            run.n += 1
            run.in_a_row = 0
            run.champion_ms.append(prediction.latency_ms)
            run.challenger_ms.append(took_ms)
            for name, tally in run.tallies.items():
                old, new = prediction.scores[name], scores[name]
                alerted = [score.decision is not Decision.APPROVE for score in (old, new)]
                tally.n += 1
                tally.n_equal += old.decision is new.decision
                tally.n_gained += alerted == [False, True]
                tally.n_lost += alerted == [True, False]
                tally.difference += abs(old.fraud_probability - new.fraud_probability)

    def _failed(self, run: _Run, error: Exception) -> None:
        with self._changed:
            run.n_failed += 1
            run.in_a_row += 1
            if run.in_a_row < _GIVE_UP_AFTER:
                return
            version = run.scorer.version.version
            run.problem = f"{version} failed {run.in_a_row} times in a row ({error!r}) and is asked no more"
            self._queue.clear()
        _log.error("shadow: %s", run.problem)


def _median(values: deque[float]) -> float | None:
    return round(median(values), 4) if values else None
