"""What the base table knows of a flagged transaction settles the flag, and what it does not know, nothing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from fraud.data.profile import Profile
from fraud.data.table import NEVER_MS, Transactions, transactions_from_frame
from fraud.feedback.caps import cap
from fraud.feedback.events import Event, submission
from fraud.feedback.labels import Resolution, ResolvedLabel
from fraud.feedback.parsing import parse_row
from fraud.feedback.trust import IN_QUARANTINE, TrustPolicy, decide
from fraud.models.examples import to_record
from fraud.models.split import Split, split
from fraud.records import Label
from fraud.retraining.base_labels import CONTRADICTED, heed_base
from fraud.retraining.slices import base_frauds
from tests.unit.feedback.conftest import _flag, _prediction
from tests.unit.retraining.test_feedback_rows import flagged

NOW = datetime(2026, 11, 22, tzinfo=UTC)
POLICY = TrustPolicy()


@pytest.fixture(scope="module")
def base(small_frame: pd.DataFrame, small_profile: Profile) -> Transactions:
    return transactions_from_frame(small_frame, small_profile)


@pytest.fixture(scope="module")
def plan(base: Transactions, small_profile: Profile) -> Split:
    return split(base, small_profile, 7)


def lone(base: Transactions, row: int, profile: Profile, label: Label, **changes: object) -> ResolvedLabel:
    said = flagged(to_record(base, row, profile), label)
    return replace(said, **({"weight": POLICY.lone_weight} | changes))  # type: ignore[arg-type]


def fraud_row(base: Transactions, plan: Split) -> int:
    return int(plan.train[base.labels[plan.train] == 1][0])


@pytest.fixture
def heed(base: Transactions, plan: Split, small_profile: Profile):
    def run(label: ResolvedLabel, table: Transactions = base, policy: TrustPolicy = POLICY) -> Resolution:
        return heed_base((), Resolution((label,), ()), table, plan, small_profile, policy, NOW)

    return run


def test_a_reported_fraud_counts_as_a_row_and_no_cap_holds_it(heed, base, plan, small_profile) -> None:
    said = lone(base, fraud_row(base, plan), small_profile, Label.FRAUD)
    found = heed(said)
    (label,) = found.labels
    assert label.weight == 1.0 and label.in_base and not label.reviewed
    assert label.reasons[-1] == "the base table has it as fraud too: weight 1"
    narrow = replace(POLICY, max_per_reporter=0.0, max_in_all=0.0, max_per_slice=0.0)
    frauds = base_frauds(base, plan, small_profile)
    assert cap(found, narrow, frauds).labels == found.labels
    # One row's weight is what a cap of nothing still leaves: without the report the lone weight stays.
    assert cap(Resolution((said,), ()), narrow, frauds).labels[0].weight == POLICY.lone_weight


def test_a_reported_fraud_that_is_called_legitimate_is_not_used(heed, base, plan, small_profile) -> None:
    found = heed(lone(base, fraud_row(base, plan), small_profile, Label.LEGITIMATE))
    assert found.labels == () and [drop.reason for drop in found.dropped] == [CONTRADICTED]


def test_what_the_delay_passed_over_confirms_a_false_alarm_and_denies_no_claim(
    heed, base, plan, small_profile
) -> None:
    row = int(plan.train[base.labels[plan.train] == 0][0])
    (alarm,) = heed(lone(base, row, small_profile, Label.LEGITIMATE)).labels
    assert alarm.in_base and alarm.weight == 1.0
    claim = lone(base, row, small_profile, Label.FRAUD)
    assert heed(claim).labels == (claim,), "nobody may have reported it yet"


def test_a_report_that_is_still_to_come_is_not_known(heed, base, plan, small_profile) -> None:
    row = fraud_row(base, plan)
    later = base.known_at_ms.copy()
    later[row] = NEVER_MS
    said = lone(base, row, small_profile, Label.LEGITIMATE)
    assert heed(said, base.with_labels(base.labels, later)).labels == (said,)
    assert heed(replace(said, label=Label.FRAUD), base.with_labels(base.labels, later)).labels[0].weight < 1


def test_a_finding_of_a_maintainer_stands_above_the_table(heed, base, plan, small_profile) -> None:
    said = lone(base, fraud_row(base, plan), small_profile, Label.LEGITIMATE, reviewed=True)
    assert heed(said).labels == (said,)


def test_an_id_with_another_content_borrows_no_label(heed, base, plan, small_profile) -> None:
    row = fraud_row(base, plan)
    said = lone(base, row, small_profile, Label.FRAUD)
    forged = dict(said.prediction.transaction) | {"amount": 1.0 + float(base.numbers["amount"][row])}
    claim = replace(said, prediction=replace(said.prediction, transaction=forged))
    assert heed(claim).labels == (claim,)


def test_the_held_out_window_is_asked_nothing(heed, base, plan, small_profile) -> None:
    row = int(plan.test[base.labels[plan.test] == 1][0])
    said = lone(base, row, small_profile, Label.LEGITIMATE)
    assert heed(said).labels == (said,)


def test_it_can_be_switched_off(heed, base, plan, small_profile) -> None:
    said = lone(base, fraud_row(base, plan), small_profile, Label.LEGITIMATE)
    assert heed(said, policy=replace(POLICY, heed_base=False)).labels == (said,)
    assert np.isfinite(base.labels[fraud_row(base, plan)])


def young_flag(base: Transactions, row: int, profile: Profile, said: Label) -> list[Event]:
    """Return a flag of an hour ago on a row of the table, with what was shown."""
    prediction = _prediction(
        predicted_at=NOW - timedelta(hours=2), transaction=to_record(base, row, profile), history=None
    )
    flag = _flag(prediction, label=said, flagged_at=NOW - timedelta(hours=1))
    return [parse_row(line) for line in submission(prediction, flag, node="n")]


@pytest.mark.parametrize(("is_fraud", "said"), [(1.0, Label.FRAUD), (0.0, Label.LEGITIMATE)])
def test_agreement_ends_a_quarantine(is_fraud, said, base, plan, small_profile) -> None:
    row = int(plan.train[base.labels[plan.train] == is_fraud][0])
    events = young_flag(base, row, small_profile, said)
    believed = decide(events, POLICY, as_of=NOW)
    assert believed.labels == () and believed.dropped[0].reason == IN_QUARANTINE
    found = heed_base(events, believed, base, plan, small_profile, POLICY, NOW)
    assert [(label.label, label.weight) for label in found.labels] == [(said, 1.0)] and found.dropped == ()


@pytest.mark.parametrize(
    ("is_fraud", "said", "reason"),
    [(1.0, Label.LEGITIMATE, CONTRADICTED), (0.0, Label.FRAUD, IN_QUARANTINE)],
)
def test_what_the_table_does_not_confirm_stays_out(is_fraud, said, reason, base, plan, small_profile) -> None:
    row = int(plan.train[base.labels[plan.train] == is_fraud][0])
    events = young_flag(base, row, small_profile, said)
    found = heed_base(events, decide(events, POLICY, as_of=NOW), base, plan, small_profile, POLICY, NOW)
    assert found.labels == () and [drop.reason for drop in found.dropped] == [reason]


def test_legitimate_transactions_of_the_table_cannot_flood_a_slice(heed, base, plan, small_profile) -> None:
    channel = base.texts["channel"]
    level = int(channel.codes[plan.train[0]])
    rows = plan.train[(channel.codes[plan.train] == level) & (base.labels[plan.train] == 0)][:600]
    labels = tuple(
        replace(
            next(iter(heed(lone(base, int(row), small_profile, Label.LEGITIMATE)).labels)),
            content_digest=f"{number:04}",
            reporters=(f"r{number}",),
        )
        for number, row in enumerate(rows.tolist())
    )
    assert sum(label.weight for label in labels) == len(rows)
    frauds = base_frauds(base, plan, small_profile)
    name = f"channel={channel.values[level]}"
    capped = cap(Resolution(labels, ()), POLICY, frauds).labels
    weight = sum(label.weight for label in capped)
    assert weight <= POLICY.max_asked * frauds.rows_by_slice[name] * (1 + 1e-9)
