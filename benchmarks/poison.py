"""Poison drill: hostile "false alarm" flags on one slice, through the real path from flags to models.

`python -m benchmarks.poison` prints the table of results/poison.md.
"""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from fraud.data.profile import Profile, load_profile
from fraud.data.sources import load_transactions
from fraud.data.table import Transactions
from fraud.feedback.caps import cap
from fraud.feedback.events import Event, submission
from fraud.feedback.parsing import parse_row
from fraud.feedback.trust import TrustPolicy, decide
from fraud.models.examples import to_record
from fraud.models.split import Split, split
from fraud.models.train import Training, train
from fraud.records import (
    MODELS,
    Decision,
    Flag,
    Label,
    ModelVersion,
    Prediction,
    Score,
    Thresholds,
    Verdict,
)
from fraud.retraining.evidence import slice_findings
from fraud.retraining.feedback_rows import feedback_rows
from fraud.retraining.gate import Alerts, GatePolicy, compare, judge_comparison
from fraud.retraining.gate_texts import sentence
from fraud.retraining.slice_gate import SliceFinding
from fraud.retraining.slices import base_frauds

CATEGORY, CHANNEL = "digital_goods", "online"
FLAGGED_AT = datetime(2026, 11, 1, 12, tzinfo=UTC)
NOW = FLAGGED_AT + timedelta(days=20)  # no quarantine stops an attacker who can wait
DEFAULT = TrustPolicy()
POLICIES = {"trust": DEFAULT, "naive": TrustPolicy.naive()}


@dataclass(frozen=True)
class Result:
    """What one way of believing flags came to."""

    name: str
    n_labels: int
    weight: float
    recall_slice: float
    recall: float
    f1: float
    n_slice: int
    overall: tuple[str, ...] = ()
    """What the gate's overall margins object to."""
    harmed: tuple[SliceFinding, ...] = ()
    """The slices in which the gate finds harm."""


def small_profile(n_transactions: int, days: int, test_days: int, trees: int, rounds: int) -> Profile:
    text = (files("fraud.data") / "profiles" / "cards.toml").read_text(encoding="utf-8")
    start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=days - test_days)
    changes = {
        r"test_start = \S+": f"test_start = {start:%Y-%m-%d}",
        r"test_days = \d+": f"test_days = {test_days}",
        r"n_transactions = \d+": f"n_transactions = {n_transactions}",
        r"\ndays = \d+": f"\ndays = {days}",
        r"\nrandom_forest = .*": f"\nrandom_forest = {{ n_estimators = {trees}, min_samples_leaf = 3 }}",
        r"\nxgboost = .*": f"\nxgboost = {{ n_estimators = {rounds}, learning_rate = 0.1, max_depth = 5 }}",
    }
    for pattern, replacement in changes.items():
        text, n_changed = re.subn(pattern, replacement, text)
        assert n_changed == 1, pattern
    with TemporaryDirectory() as directory:
        path = Path(directory) / "drill.toml"
        path.write_text(text, encoding="utf-8")
        return load_profile(path)


def in_slice(transactions: Transactions) -> np.ndarray:
    category, channel = (np.array(transactions.texts[name].texts()) for name in ("category", "channel"))
    return (category == CATEGORY) & (channel == CHANNEL)


def hostile_events(
    base: Transactions,
    plan: Split,
    profile: Profile,
    n: int,
    n_sources: int = 3,
    agree: bool = False,
    asked: bool = False,
) -> list[Event]:
    """Return n flags that call the slice's training frauds, and near copies of them, false alarms.

    With `agree` the sources flag the same contents, so that each has their quorum; else each flags its own.
    With `asked` every flag answers the audit lot: more than an attacker can have, whom the lot asks about a
    share of what he sends.
    """
    rows = plan.train[(base.labels[plan.train] == 1) & in_slice(base.take(plan.train))]
    rng = np.random.default_rng(3)
    events: list[Event] = []
    for i in range(n // n_sources if agree else n):
        record = dict(to_record(base, int(rows[i % len(rows)]), profile))
        if i >= len(rows):
            record |= {"amount": round(record["amount"] * rng.uniform(0.9, 1.1), 2), "transaction_id": None}
        sources = range(n_sources) if agree else [i % n_sources]
        for source in sources:
            events += _flag(f"{i}-{source}", record, f"hostile-{source}", profile, asked)
    return events


def _flag(name: str, record: dict, reporter: str, profile: Profile, asked: bool) -> list[Event]:
    prediction = Prediction(
        prediction_id=f"p_{name}",
        predicted_at=FLAGGED_AT,
        profile=profile.name,
        transaction=record,
        history=None,
        scores={m: Score(m, 0.9, Thresholds(0.2, 0.8), Decision.DECLINE) for m in MODELS},
        model_version=ModelVersion("1.0.0", None, "0" * 64),
        latency_ms=1.0,
    )
    flag = Flag(
        flag_id=f"f_{name}",
        flagged_at=FLAGGED_AT,
        prediction_id=prediction.prediction_id,
        verdict=Verdict.WRONG,
        label=Label.LEGITIMATE,
        comment="",
        consent_version="drill",
        reporter=reporter,
    )
    lot = {"audit_asked": True, "audit_probability": 0.5} if asked else {}
    return [parse_row(row) for row in submission(prediction, flag, node="drill", **lot)]


def believe(
    name: str,
    events: Sequence[Event],
    policy: TrustPolicy,
    base: Transactions,
    plan: Split,
    profile: Profile,
    seed: int = 7,
) -> tuple[Training, Result]:
    resolution = cap(decide(events, policy, as_of=NOW), policy, base_frauds(base, plan, profile))
    rows = feedback_rows(resolution.labels, base, plan, profile, NOW)
    training = train(rows.base, profile, seed=seed, additions=rows.additions, plan=plan)
    weight = 0.0 if rows.additions is None else float(rows.additions.weights.sum())
    return training, measured(name, training, rows.n_used, weight)


def gated(result: Result, champion: Training, challenger: Training, policy: GatePolicy) -> Result:
    """Return the result with what the gate says of overall figures and slices."""
    test = champion.transactions.take(champion.split.test)
    old, new = (
        {name: Alerts(m.test_probability, m.thresholds.review) for name, m in t.models.items()}
        for t in (champion, challenger)
    )
    checks = [
        check
        for name in MODELS
        for check in judge_comparison(name, compare(test.labels, old[name], new[name], policy), policy)
    ]
    findings = slice_findings(test, champion.profile, old, new, policy)
    refusals = tuple(sentence(check) for check in checks if not check.passed)
    return replace(result, overall=refusals, harmed=findings.harmed)


def measured(name: str, training: Training, n_labels: int, weight: float) -> Result:
    """Return the recalls at the review cut-off and F1, as means of both models."""
    test = training.transactions.take(training.split.test)
    fraud = test.labels == 1
    attacked = fraud & in_slice(test)
    alerts = [m.test_probability >= m.thresholds.review for m in training.models.values()]
    return Result(
        name,
        n_labels,
        weight,
        recall_slice=float(np.mean([a[attacked].mean() for a in alerts])),
        recall=float(np.mean([a[fraud].mean() for a in alerts])),
        f1=float(np.mean([m.metrics["f1"].value for m in training.models.values()])),
        n_slice=int(attacked.sum()),
    )


class Ground:
    """The table of a profile and what was trained on it without any flag, once for every drill on it."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self._clean: dict[int, tuple[Training, Result]] = {}

    @cached_property
    def base(self) -> Transactions:
        """The whole table."""
        return load_transactions(self.profile, None)[0]

    @cached_property
    def plan(self) -> Split:
        """How it is divided, for every seed alike."""
        return split(self.base, self.profile, 7)

    def clean(self, seed: int) -> tuple[Training, Result]:
        """Return what is trained without any flag."""
        if seed not in self._clean:
            self._clean[seed] = self.believe("clean", [], DEFAULT, seed)
        return self._clean[seed]

    def believe(
        self, name: str, events: Sequence[Event], policy: TrustPolicy, seed: int
    ) -> tuple[Training, Result]:
        """Return what is trained with what a policy makes of flags."""
        return believe(name, events, policy, self.base, self.plan, self.profile, seed)

    def hostile(self, n: int, **how: Any) -> list[Event]:
        """Return flags against the attacked slice: see `hostile_events`."""
        return hostile_events(self.base, self.plan, self.profile, n, **how)


def drill(ground: Ground, n_flags: int, policy: GatePolicy, seed: int = 7) -> list[Result]:
    """Return the clean champion, an honest challenger of another seed, and the two that were attacked."""
    champion, clean = ground.clean(seed)
    own = ground.hostile(n_flags)
    honest, equal = ground.clean(seed + 1)
    ways = [(honest, replace(equal, name="clean, another seed"))]
    ways += [ground.believe(name, own, trust, seed) for name, trust in POLICIES.items()]
    return [clean, *(gated(result, champion, training, policy) for training, result in ways)]


def _objections(result: Result) -> list[str]:
    """Return what the gate objects to, overall and by slice."""
    slices = [f"{h.model} {h.metric} {h.slice} {h.champion:.3f} -> {h.challenger:.3f}" for h in result.harmed]
    return [*result.overall, *slices]


def answers_drill(
    ground: Ground, n_flags: int, policy: GatePolicy, ways: Sequence[str] = tuple(POLICIES), seed: int = 7
) -> list[Result]:
    """Return the clean champion, and the ways where every hostile flag answers the audit lot.

    Each comes from a pseudonym of its own, so that only what holds answers to the lot together is against it.
    """
    champion, clean = ground.clean(seed)
    hostile = ground.hostile(n_flags, n_sources=n_flags, asked=True)
    attacked = [ground.believe(f"{way}, answers to the lot", hostile, POLICIES[way], seed) for way in ways]
    return [clean, *(gated(result, champion, t, policy) for t, result in attacked)]


def main() -> None:
    started = time.perf_counter()
    ground = Ground(small_profile(200_000, 180, 45, 60, 200))
    n_train, labels = len(ground.plan.train), ground.base.labels
    print(f"{n_train:,} training rows, {int((labels[ground.plan.train] == 1).sum())} frauds", flush=True)
    results = drill(ground, 3_000, GatePolicy())
    print("\nThe gate, with the clean models as champion:\n")
    for r in results[1:4]:
        print(f"- {r.name}: {'; '.join(_objections(r)) or 'passes'}", flush=True)
    answers = answers_drill(ground, 3_000, GatePolicy())[1:]
    for r in answers:
        print(f"- {r.name}: {'; '.join(_objections(r)) or 'passes'}", flush=True)
    results += answers
    agreeing = ground.hostile(3_000, agree=True)
    results.append(ground.believe("trust, the sources agree", agreeing, DEFAULT, 7)[1])
    no_caps = replace(DEFAULT, max_per_reporter=np.inf, max_per_slice=np.inf, max_in_all=np.inf)
    results.append(ground.believe("no caps, they agree", agreeing, no_caps, 7)[1])
    print("| way | labels used | total weight | slice recall | recall | F1 |")
    print("|---|---|---|---|---|---|")
    for r in results:
        figures = f"{r.recall_slice:.3f} | {r.recall:.3f} | {r.f1:.3f}"
        print(f"| {r.name} | {r.n_labels:,} | {r.weight:,.1f} | {figures} |")
    print(f"{results[0].n_slice} slice frauds in the test window; {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
