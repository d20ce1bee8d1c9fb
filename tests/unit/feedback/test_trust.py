"""Which flags count, how much, and why."""

import math
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud.errors import NotFound, SettingsError
from fraud.feedback.caps import BaseFrauds, cap
from fraud.feedback.events import FlagEvent, PredictionEvent, ReviewEvent, WithdrawalEvent
from fraud.feedback.trust import TrustPolicy, decide, explain_label
from fraud.records import Finding, Label, Review, Withdrawal

FRAUD, LEGITIMATE = Label.FRAUD, Label.LEGITIMATE
POLICY = TrustPolicy(quarantine_days=0)
BASE = BaseFrauds(
    n=1_000,
    by_slice={"small": 20},
    n_rows=100_000,
    rows_by_slice={"small": 1_000, "big": 90_000},
    slices_of=lambda prediction: (prediction.transaction["slice"],),
)


def flags(events):
    return [event for event in events if isinstance(event, FlagEvent)]


def reviewed(event, finding, days=1):
    at = event.recorded_at + timedelta(days=days)
    name = f"v_{event.event_id}_{days}"
    return ReviewEvent(name, "n1", Review(name, at, event.event_id, finding, "", "maintainer"))


def test_a_lone_vote_counts_little_and_says_why(cast, late):
    (label,) = decide(cast(("a", FRAUD)), POLICY, as_of=late).labels
    assert (label.label, label.weight, label.reviewed) == (FRAUD, POLICY.lone_weight, False)
    assert "1 of 1 reporters say fraud" in label.reasons[0]
    assert "1 of the 2 reporters of a quorum, and no review: weight 0.1" in label.reasons[1]


def test_a_quorum_of_reporters_counts_as_a_row_of_the_base_table(cast, late):
    (label,) = decide(cast(("a", FRAUD), ("b", FRAUD)), POLICY, as_of=late).labels
    assert label.weight == 1.0 and "a quorum of 2 is reached" in label.reasons[-1]


def test_one_reporter_is_no_quorum_however_often_it_flags(cast, late):
    (label,) = decide(cast(("a", FRAUD), ("a", FRAUD), ("a", FRAUD)), POLICY, as_of=late).labels
    assert (label.weight, label.n_votes) == (POLICY.lone_weight, 1)


def test_a_young_flag_waits_in_quarantine_and_is_told_until_when(cast, make_prediction):
    events = cast(("a", FRAUD))
    policy = TrustPolicy(quarantine_days=7)
    start = flags(events)[0].recorded_at
    (dropped,) = decide(events, policy, as_of=start + timedelta(days=6, hours=23)).dropped
    assert dropped.reason == "in quarantine" and "until 2026-01-12 12:01 UTC" in dropped.detail
    assert decide(events, policy, as_of=start + timedelta(days=7)).labels


def test_an_accepted_flag_counts_at_once_whatever_others_say(cast):
    events = cast(("a", FRAUD), ("b", LEGITIMATE), ("c", LEGITIMATE))
    review = reviewed(flags(events)[0], Finding.ACCEPT)
    (label,) = decide([*events, review], TrustPolicy(), as_of=review.recorded_at).labels
    assert (label.label, label.weight, label.reviewed) == (FRAUD, POLICY.review_weight, True)
    assert "a maintainer accepted it" in label.reasons[0]


def test_a_rejected_flag_ends_the_votes_of_its_side_only(cast, late):
    events = cast(("a", FRAUD), ("b", FRAUD), ("c", LEGITIMATE), ("d", LEGITIMATE))
    (label,) = decide([*events, reviewed(flags(events)[0], Finding.REJECT)], POLICY, as_of=late).labels
    assert label.label is LEGITIMATE
    lone = cast(("a", FRAUD))
    (dropped,) = decide([*lone, reviewed(flags(lone)[0], Finding.REJECT)], POLICY, as_of=late).dropped
    assert dropped.reason == "rejected by a reviewer"


def test_what_a_reviewer_could_not_tell_is_not_used_until_another_can(cast, late):
    events = cast(("a", FRAUD), ("b", FRAUD))
    unsure = reviewed(flags(events)[0], Finding.UNSURE)
    (dropped,) = decide([*events, unsure], POLICY, as_of=late).dropped
    assert dropped.reason == "a reviewer could not tell"
    later = reviewed(flags(events)[0], Finding.ACCEPT, days=2)
    assert decide([*events, unsure, later], POLICY, as_of=late).labels[0].reviewed


def test_a_review_after_the_time_in_question_has_no_influence(cast):
    events = cast(("a", FRAUD))
    review = reviewed(flags(events)[0], Finding.REJECT, days=5)
    as_of = flags(events)[0].recorded_at + timedelta(days=1)
    assert decide([*events, review], POLICY, as_of=as_of) == decide(events, POLICY, as_of=as_of)


def test_a_withdrawn_flag_is_used_for_nothing_and_says_so(cast, late):
    events = cast(("a", FRAUD))
    flag_id = flags(events)[0].event_id
    stone = WithdrawalEvent("w_1", "n1", Withdrawal("w_1", late, flag_id))
    resolution = decide([*events, stone], POLICY, as_of=late)
    assert resolution.labels == () and resolution.dropped == ()
    assert "withdrawn" in explain_label(resolution, [*events, stone], flag_id)[0]


def test_reporters_whom_others_contradict_make_no_quorum(cast, late):
    honest = [(name, FRAUD, i) for i in range(20) for name in ("a", "b", "c", "d")]
    hostile = [(name, LEGITIMATE, i) for i in range(20) for name in ("x", "y")]
    target = [("x", LEGITIMATE, 99), ("y", LEGITIMATE, 99)]
    resolution = decide(cast(*honest, *hostile, *target), POLICY, as_of=late)
    weights = {label.prediction.transaction["amount"]: label for label in resolution.labels}
    assert all(weights[i].label is FRAUD and weights[i].weight == 1.0 for i in range(20))
    assert 99 not in weights or weights[99].weight < POLICY.lone_weight


def test_a_rejection_marks_the_voters_of_its_side_elsewhere(cast, late):
    events = cast(*(("x", LEGITIMATE, i) for i in range(5)), ("x", LEGITIMATE, 99))
    reviews = [reviewed(flag, Finding.REJECT) for flag in flags(events)[:5]]
    dropped = decide([*events, *reviews], POLICY, as_of=late).dropped
    (other,) = [drop for drop in dropped if drop.reason != "rejected by a reviewer"]
    assert other.reason == "nobody agrees with its reporters" and "in 0% of cases" in other.detail


def test_equal_sides_are_tied(cast, late):
    (dropped,) = decide(cast(("a", FRAUD), ("b", LEGITIMATE)), POLICY, as_of=late).dropped
    assert dropped.reason == "tied"


def test_the_order_of_events_does_not_matter(cast, late):
    events = cast(*((r, label, i) for i in range(6) for r, label in (("a", FRAUD), ("b", LEGITIMATE))))
    events += cast(("c", FRAUD, 1), ("c", FRAUD, 2))
    assert decide(events, POLICY, as_of=late) == decide(events[::-1], POLICY, as_of=late)


def total(labels, where=lambda label: True):
    return sum(label.weight for label in labels if where(label))


def test_no_slice_and_no_reporter_weighs_more_than_its_cap(cast, late):
    votes = [(f"r{i % 40}", LEGITIMATE, i, "small") for i in range(400)]
    votes += [("flood", LEGITIMATE, 1_000 + i, "big") for i in range(600)]
    events = cast(*votes)
    labels = cap(decide(events, POLICY, as_of=late), POLICY, BASE).labels
    small = total(labels, lambda label: label.prediction.transaction["slice"] == "small")
    assert small <= 0.1 * 20 + POLICY.least_weight
    assert total(labels, lambda label: label.reporters == ("flood",)) <= 20 + POLICY.least_weight
    assert all(label.weight >= POLICY.least_weight - 1e-12 for label in labels)


def test_what_the_caps_leave_out_is_kept_with_its_reason(cast, late):
    events = cast(*((f"r{i}", LEGITIMATE, i, "small") for i in range(100)))
    resolution = cap(decide(events, POLICY, as_of=late), POLICY, BASE)
    assert len(resolution.labels) + len(resolution.dropped) == 100
    assert {drop.reason for drop in resolution.dropped} == {"over the weight caps"}
    assert any("flags on small may weigh 2 rows" in drop.detail for drop in resolution.dropped)


def test_a_reviewed_label_is_under_no_cap(cast, late):
    events = cast(*((f"r{i}", LEGITIMATE, i, "small") for i in range(100)))
    review = reviewed(flags(events)[0], Finding.ACCEPT)
    labels = cap(decide([*events, review], POLICY, as_of=late), POLICY, BASE).labels
    assert [label.weight for label in labels if label.reviewed] == [POLICY.review_weight]


@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.booleans(), st.integers(0, 20), st.sampled_from(["small", "big"])),
        max_size=40,
    )
)
def test_nothing_flagged_is_lost_and_no_weight_grows(cast, late, votes):
    events = cast(*((f"r{r}", FRAUD if y else LEGITIMATE, c, s) for r, y, c, s in votes))
    decided = decide(events, POLICY, as_of=late)
    capped = cap(decided, POLICY, BASE)
    contents = {event.content_digest for event in events if isinstance(event, PredictionEvent)}
    for resolution in (decided, capped):
        seen = [item.content_digest for item in (*resolution.labels, *resolution.dropped)]
        assert sorted(seen) == sorted(contents)
    before = {label.content_digest: label.weight for label in decided.labels}
    assert all(0 < label.weight <= before[label.content_digest] for label in capped.labels)
    assert total(capped.labels) <= max(1.0, POLICY.max_in_all * BASE.n) + POLICY.least_weight


def test_every_flag_can_be_asked_why(cast, late):
    events = cast(("a", FRAUD, 1), ("b", FRAUD, 1), ("c", LEGITIMATE, 2), ("d", FRAUD, 2))
    resolution = decide(events, POLICY, as_of=late)
    first, *_, last = [explain_label(resolution, events, flag.event_id) for flag in flags(events)]
    assert first[0] == "its content counts as fraud with weight 1, with this flag"
    assert last == ("it is not used: tied",)
    with pytest.raises(NotFound, match="No flag with this id"):
        explain_label(resolution, events, "f_unknown")


def test_the_naive_policy_believes_everybody(cast, late):
    votes = [("flood", LEGITIMATE, i, "small") for i in range(300)]
    naive = TrustPolicy.naive()
    labels = cap(decide(cast(*votes), naive, as_of=late), naive, BASE).labels
    assert [label.weight for label in labels] == [1.0] * 300


def test_a_policy_reads_as_json_and_refuses_what_is_no_weight():
    assert TrustPolicy.naive().to_json()["max_per_slice"] is None
    for value in (-1.0, math.nan):
        with pytest.raises(SettingsError):
            replace(POLICY, lone_weight=value)
