"""What the product would have told of a simulated production, day by day, without a repository between."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from fraud.data.profile import DAY_MS
from fraud.data.table import Coded, concatenate
from fraud.feedback.events import Event
from fraud.feedback.parsing import parse_row
from fraud.feedback.trust import TrustPolicy, decide
from fraud.monitoring.alerts import Alert, AlertState, advance
from fraud.monitoring.checks import findings_of
from fraud.monitoring.examining import Expectation, MonitoringPolicy, examine
from fraud.monitoring.observations import ModelAnswers, Observations
from fraud.monitoring.observing import NOTHING, Known, known_labels
from fraud.monitoring.opinions import Standing
from fraud.production.run import ScoredDay
from fraud.records import MODELS

WINDOW, BASELINE = 7, 14
TRUST = TrustPolicy(quarantine_days=0)
"""As `python -m fraud monitor` has it: a label that is only looked at need not ripen."""
LABELLED = ("concept_drift:", "f1:", "segment:")
"""Alerts that rest on labels."""


@dataclass
class Log:
    """What a bank's log holds: days with their answers, and everything that was said of them."""

    days: list[ScoredDay] = field(default_factory=list)
    digests: list[list[str]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    answered_ms: dict[str, int] = field(default_factory=dict)

    def add(self, scored: ScoredDay) -> None:
        """Add a day; everybody consents, so every prediction of it is among its rows."""
        digest_of = {r["event_id"]: r["content_digest"] for r in scored.rows if r["event"] == "prediction"}
        flagged = {r["prediction_id"] for r in scored.rows if r["event"] == "flag"}
        self.days.append(scored)
        self.digests.append([digest_of[name] for name in scored.ids])
        for row in scored.rows:
            if row["event"] != "prediction" or row["event_id"] in flagged:
                self.events.append(parse_row(row))
            if row["answers_audit"]:
                self.answered_ms.setdefault(str(row["prediction_id"]), int(str(row["recorded_ms"])))

    def until_ms(self, day: int) -> int:
        """Return the midnight after so many days."""
        return self.days[0].day.start_ms + day * DAY_MS

    def labels(self, as_of_ms: int) -> dict[str, Known]:
        """Return content digest -> what is known of it at a moment."""
        resolution = decide(self.events, TRUST, as_of=datetime.fromtimestamp(as_of_ms / 1000, UTC))
        return known_labels(resolution, TRUST)

    def between(
        self, first: int, last: int, labels: Mapping[str, Known], *, corrected: bool = False
    ) -> Observations:
        """Return the predictions of the days [first, last) as they are seen when the last one ends.

        `corrected`: with no error in what was said.
        """
        days = self.days[first:last]
        found = [labels.get(d, NOTHING) for digests in self.digests[first:last] for d in digests]
        known = np.array([item.label for item in found])
        standing = np.array([item.standing for item in found], np.int8)
        if corrected:
            known = np.where(np.isnan(known), np.nan, np.concatenate([day.day.fraud for day in days]))
            standing = np.where(np.isnan(known), Standing.UNKNOWN, Standing.CONFIRMED).astype(np.int8)
        asked = np.concatenate([day.asked for day in days])
        now_ms = self.until_ms(last)
        answered = np.array([self.answered_ms.get(p, now_ms) < now_ms for day in days for p in day.ids], bool)
        seen = concatenate([day.day.seen for day in days])
        return Observations(
            predicted_ms=seen.times(),
            version=Coded(np.zeros(len(seen), np.int32), (days[0].version.version,)),
            answers={
                m: ModelAnswers(
                    np.concatenate([day.probability[m] for day in days]),
                    np.concatenate([day.alerted[m] for day in days]),
                )
                for m in MODELS
            },
            labels=known,
            standing=standing,
            volunteered=np.isfinite(known) & ~answered,
            audit_asked=asked,
            audit_probability=np.concatenate([day.audit_probability for day in days]),
            latency_ms=np.full(len(seen), 5.0),
            transactions=seen,
        )


@dataclass
class Watch:
    """The product's looks at one thing: which alerts stood after each day, and what could not be judged.

    Alerts of different keys have nothing to do with each other, so looks may be parted.

    Attributes
    ----------
    at : "inputs" (columns and scores), "labels" (what rests on people's answers as they are), or "corrected"
        (the same with no error in the answers)
    """

    at: str
    alerts: dict[str, Alert] = field(default_factory=dict)
    firing: dict[int, set[str]] = field(default_factory=dict)
    unjudged: dict[int, set[str]] = field(default_factory=dict)

    def look(self, log: Log, day: int, labels: Mapping[str, Known], expected: Expectation) -> None:
        """Look at the window that ends with the midnight after `day` days."""
        policy = MonitoringPolicy(window_days=WINDOW, baseline_days=BASELINE)
        delay = round(expected.profile.features.label_delay_days)
        first = day - WINDOW if self.at == "inputs" else max(0, day - WINDOW - delay)
        seen = log.between(first, day, labels, corrected=self.at == "corrected")
        none = seen.take(np.arange(0))
        inputs = self.at == "inputs"
        examination = examine(
            expected,
            window=seen if inputs else none,
            matured=none if inputs else seen,
            baseline=log.between(0, min(BASELINE, day - WINDOW), {}) if inputs else none,
            until_ms=log.until_ms(day),
            policy=policy,
        )
        every = findings_of(examination)
        findings = {k: f for k, f in every.items() if k.startswith(LABELLED) != inputs}
        self.alerts, _ = advance(self.alerts, findings, log.until_ms(day), policy.alerts)
        self.firing[day] = {k for k, a in self.alerts.items() if a.state is AlertState.FIRING}
        self.unjudged[day] = {k for k, f in findings.items() if f.holds is None}

    def first_days(self, prefix: str, after: int) -> dict[str, int]:
        """Return alert -> the first day after a change on which it stood, for alerts of a kind."""
        first: dict[str, int] = {}
        for day in sorted(d for d in self.firing if d > after):
            for key in self.firing[day]:
                if key.startswith(prefix):
                    first.setdefault(key, day)
        return first
