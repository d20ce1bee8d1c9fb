"""Figures for Prometheus: what the work tells an observer, what HTTP sees, and the state at each scrape.

Names and units follow Prometheus' conventions. No label takes a value that a client can choose: models,
decisions and stages are few, a route is its template, a method that HTTP does not define is "other".
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from fraud.errors import FraudError
from fraud.records import Decision
from fraud.service import FraudService
from fraud.telemetry import STAGES

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_PER_MODEL = frozenset({"score", "explain"})
_ANSWER_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_STAGE_S = (2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1)
_LONG_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_STAGE_WORDS = {
    "validate": "Checking one transaction against its profile.",
    "features": "Computing the feature row of one transaction, its history included.",
    "score": "One model's calibrated probability and decision for one transaction.",
    "explain": "One model's exact SHAP reasons for one transaction.",
    "batch": "Scoring one whole table with both models.",
    "commit": "Committing one batch of flags to the dataset repository, retries included.",
}


class Metrics:
    """Keeps the figures of one process, in a registry of its own; also the work's `Observer`."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._stages = {
            stage: Histogram(
                f"fraud_{stage}_duration_seconds",
                _STAGE_WORDS[stage],
                ("model",) if stage in _PER_MODEL else (),
                buckets=_LONG_S if stage in ("batch", "commit") else _STAGE_S,
                registry=registry,
            )
            for stage in STAGES
        }
        self._bound: dict[tuple[str, str], Histogram] = {}
        self._decided: dict[tuple[str, Decision], Counter] = {}
        self._predictions = Counter(
            "fraud_predictions",
            "Transactions scored one at a time.",
            ("model", "decision"),
            registry=registry,
        )
        self._disagreements = Counter(
            "fraud_disagreements", "Transactions on which the models decided differently.", registry=registry
        )
        self._rows = Counter("fraud_batch_rows", "Rows of scored tables.", ("outcome",), registry=registry)
        self._flags = Counter("fraud_flags", "Flags acknowledged.", ("verdict",), registry=registry)
        self._withdrawals = Counter("fraud_withdrawals", "Withdrawals acknowledged.", registry=registry)
        self._committed = Counter(
            "fraud_committed_submissions", "Submissions that became part of the dataset.", registry=registry
        )
        self._failures = Counter(
            "fraud_commit_failures", "Drains that ended before the backlog did.", registry=registry
        )
        self._requests = Histogram(
            "fraud_http_request_duration_seconds",
            "From a request's arrival to the first byte of its answer, by route template.",
            ("route", "method", "status"),
            buckets=_ANSWER_S,
            registry=registry,
        )
        self._in_flight = Gauge(
            "fraud_http_requests_in_flight", "Requests being answered.", ("kind",), registry=registry
        )
        self._errors = Counter(
            "fraud_http_errors",
            "Requests refused or failed, by kind of error.",
            ("error",),
            registry=registry,
        )
        self._threads = Gauge(
            "fraud_worker_threads_busy", "Worker threads that are answering requests.", registry=registry
        )
        self._queue = Gauge(
            "fraud_worker_queue_length", "Requests that wait for a worker thread.", registry=registry
        )

    # Of the work: `fraud.telemetry.Observer`

    def took(self, stage: str, seconds: float, model: str = "") -> None:
        """Note how long a stage took."""
        # Bound once: looking labels up costs more than counting.
        bound = self._bound.get((stage, model))
        if bound is None:
            histogram = self._stages[stage]
            bound = histogram.labels(model) if stage in _PER_MODEL else histogram
            self._bound[stage, model] = bound
        bound.observe(seconds)

    def predicted(self, decisions: Sequence[tuple[str, Decision]], *, agree: bool) -> None:
        """Count a transaction's answers."""
        for model, decision in decisions:
            bound = self._decided.get((model, decision))
            if bound is None:
                bound = self._decided[model, decision] = self._predictions.labels(model, decision.value)
            bound.inc()
        if not agree:
            self._disagreements.inc()

    def scored_table(self, n_scored: int, n_rejected: int) -> None:
        """Count a table's rows."""
        self._rows.labels("scored").inc(n_scored)
        self._rows.labels("rejected").inc(n_rejected)

    def flagged(self, verdict: str) -> None:
        """Count a flag."""
        self._flags.labels(verdict).inc()

    def withdrawn(self) -> None:
        """Count a withdrawal."""
        self._withdrawals.inc()

    def drained(self, n_submissions: int, *, failed: bool) -> None:
        """Count what a drain committed, and whether it failed."""
        self._committed.inc(n_submissions)
        if failed:
            self._failures.inc()

    # Of HTTP

    def arrived(self, kind: str) -> None:
        """Count a request in; `kind` is "api" or "page"."""
        self._in_flight.labels(kind).inc()

    def left(self, kind: str) -> None:
        """Count a request out."""
        self._in_flight.labels(kind).dec()

    def answered(self, route: str, method: str, status: str, seconds: float) -> None:
        """Note how a request was answered; `route` must be a template, never a path."""
        known = method if method in _METHODS else "other"
        self._requests.labels(route, known, status).observe(seconds)

    def refused(self, error: str) -> None:
        """Count an error by its class."""
        self._errors.labels(error).inc()

    def workers(self, busy: int, waiting: int) -> None:
        """Note how many worker threads answer requests, and how many requests wait for one."""
        self._threads.set(busy)
        self._queue.set(waiting)

    # Of the state at a scrape

    def watch(self, service: FraudService, is_alive: Callable[[], bool]) -> None:
        """Report the service's state, and the process's, with every scrape from now on."""
        self.watch_with(_State(service, is_alive))

    def watch_with(self, collector: Collector) -> None:
        """Report what a collector finds, and the process's figures, with every scrape from now on."""
        self._registry.register(collector)
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self._registry)


class _State(Collector):
    """Reads the service at each scrape: a version that serves no more leaves no series behind."""

    def __init__(self, service: FraudService, is_alive: Callable[[], bool]) -> None:
        self._service = service
        self._is_alive = is_alive

    def describe(self) -> list[GaugeMetricFamily]:
        """Return nothing: registering must not read the outbox."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        """Yield the state as it is now; of an outbox that cannot be read, only that."""
        yield from self._outbox()
        service = self._service
        yield _gauge("fraud_commit_failing", "1 while flags cannot be committed.", service.commit_problem)
        yield _gauge("fraud_model_failing", "1 while a promotion cannot be served.", service.model_problem)
        yield _gauge("fraud_background_alive", "1 while every background task is running.", self._is_alive())
        served = service.model_version
        info = GaugeMetricFamily("fraud_model_info", "What serves.", labels=("version", "revision"))
        info.add_metric((served.version, served.revision or "shipped"), 1)
        yield info
        yield from self._shadow()

    def _shadow(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        report = self._service.shadow_report()
        if report is None:
            return
        versions = (report.champion, report.challenger)
        labels = ("champion", "challenger")
        compared = CounterMetricFamily(
            "fraud_shadow_transactions", "What a challenger was asked beside.", labels=(*labels, "outcome")
        )
        for outcome, n in (
            ("compared", report.n),
            ("dropped", report.n_dropped),
            ("failed", report.n_failed),
        ):
            compared.add_metric((*versions, outcome), n)
        yield compared
        decided = CounterMetricFamily(
            "fraud_shadow_decisions", "How its decisions compare.", labels=(*labels, "model", "outcome")
        )
        difference = GaugeMetricFamily(
            "fraud_shadow_probability_difference",
            "Mean absolute difference of the probabilities.",
            labels=(*labels, "model"),
        )
        for name, model in report.models.items():
            for outcome, n in (("equal", model.n_equal), ("gained", model.n_gained), ("lost", model.n_lost)):
                decided.add_metric((*versions, name, outcome), n)
            difference.add_metric((*versions, name), model.mean_difference)
        yield decided
        yield difference

    def _outbox(self) -> Iterator[GaugeMetricFamily]:
        try:
            state = self._service.backlog_state()
        except FraudError:
            yield _gauge("fraud_outbox_readable", "1 while the outbox can be read.", False)
            return
        age = 0.0 if state.oldest_at is None else (datetime.now(UTC) - state.oldest_at).total_seconds()
        yield _gauge("fraud_outbox_readable", "1 while the outbox can be read.", True)
        yield GaugeMetricFamily(
            "fraud_outbox_backlog_submissions", "Submissions that wait to be committed.", state.waiting
        )
        yield GaugeMetricFamily(
            "fraud_outbox_limit_submissions", "The backlog at which no more are taken.", state.limit
        )
        yield GaugeMetricFamily(
            "fraud_outbox_oldest_age_seconds", "Age of the oldest submission that waits.", max(age, 0.0)
        )


def _gauge(name: str, words: str, value: object) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, words, 1.0 if value else 0.0)
