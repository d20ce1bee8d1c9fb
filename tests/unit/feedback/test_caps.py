"""What answers to the audit lot weigh in training, and what holds them."""

from dataclasses import replace
from datetime import timedelta

import pytest

from fraud.feedback.caps import BaseFrauds, cap
from fraud.feedback.events import FlagEvent, PredictionEvent, ReviewEvent
from fraud.feedback.trust import TrustPolicy, decide
from fraud.records import Decision, Finding, Label, Review

FRAUD, LEGITIMATE = Label.FRAUD, Label.LEGITIMATE
POLICY = TrustPolicy(quarantine_days=0)
BASE = BaseFrauds(
    n=1_000,
    by_slice={"small": 20},
    n_rows=100_000,
    rows_by_slice={"small": 1_000, "big": 90_000},
    slices_of=lambda prediction: (prediction.transaction["slice"],),
)


def answers(events, decision=Decision.APPROVE, chance=0.05):
    """Return the events as if the lot had asked about the predictions, which both models answered alike."""
    return [
        replace(
            event,
            audit_asked=True,
            audit_probability=chance,
            prediction=replace(
                event.prediction,
                scores={m: replace(s, decision=decision) for m, s in event.prediction.scores.items()},
            ),
        )
        if isinstance(event, PredictionEvent)
        else event
        for event in events
    ]


def total(labels, where=lambda label: True):
    return sum(label.weight for label in labels if where(label))


def capped(events, late, base=BASE, policy=POLICY):
    return cap(decide(events, policy, as_of=late), policy, base).labels


def test_an_answer_to_the_lot_weighs_a_row_in_training_and_is_not_confirmed_by_it(cast, late):
    events = answers(cast(*((f"r{i}", LEGITIMATE, i, "big") for i in range(6))))
    decided = decide(events, POLICY, as_of=late)
    assert {label.weight for label in decided.labels} == {POLICY.lone_weight}
    assert {label.weight for label in cap(decided, POLICY, BASE).labels} == {POLICY.asked_weight}
    volunteered = cast(*((f"r{i}", LEGITIMATE, i, "big") for i in range(6)))
    base = replace(BASE, by_slice={"big": 100})
    assert {label.weight for label in capped(volunteered, late, base)} == {POLICY.lone_weight}


def test_a_missed_fraud_that_wants_a_second_opinion_weighs_a_volunteers_until_it_has_one(cast, late):
    base = replace(BASE, by_slice={"big": 100})
    votes = [(f"r{i}", FRAUD, i, "big") for i in range(3)]
    assert {label.weight for label in capped(answers(cast(*votes)), late, base)} == {POLICY.lone_weight}
    few = answers(cast(*votes), chance=0.5)
    assert {label.weight for label in capped(few, late, base)} == {1.0}, "it stands for two"
    no_chance = answers(cast(*votes), decision=Decision.REVIEW, chance=None)
    assert {label.weight for label in capped(no_chance, late, base)} == {POLICY.lone_weight}
    alerts = answers(cast(*votes), decision=Decision.REVIEW)
    assert {label.weight for label in capped(alerts, late, base)} == {1.0}, "the models say so as well"
    events = answers(cast(*votes))
    flag = next(event for event in events if isinstance(event, FlagEvent))
    review = Review("v1", flag.recorded_at + timedelta(days=1), flag.event_id, Finding.ACCEPT, "", "m")
    labels = capped([*events, ReviewEvent("v1", "n1", review)], late, base)
    assert sorted(label.weight for label in labels) == [0.1, 0.1, 1.0]


def test_answers_weigh_no_more_on_a_slice_than_the_lot_would_have_asked_about_it(cast, late):
    votes = [(f"r{i % 40}", LEGITIMATE, i, "small") for i in range(400)]
    votes += [("flood", LEGITIMATE, 1_000 + i, "big") for i in range(600)]
    labels = capped(answers(cast(*votes)), late)
    small = total(labels, lambda label: label.prediction.transaction["slice"] == "small")
    assert 40 < small <= 0.05 * 1_000 + POLICY.least_weight
    assert total(labels, lambda label: label.reporters == ("flood",)) <= 20 + POLICY.least_weight
    assert all("lot" in " ".join(label.reasons) for label in labels)


def test_answers_that_call_alerts_false_weigh_no_more_than_the_frauds_of_the_slice(cast, late):
    votes = [(f"r{i}", LEGITIMATE, i, "small") for i in range(400)]
    base = replace(BASE, rows_by_slice={"small": 50_000})
    assert total(capped(answers(cast(*votes)), late, base)) == pytest.approx(400)
    lies = answers(cast(*votes), decision=Decision.DECLINE)
    limit = POLICY.max_asked_alarms * 20
    assert limit - 1 < total(capped(lies, late, base)) <= limit + POLICY.least_weight


def test_answers_that_say_fraud_weigh_no_more_than_all_frauds_of_the_table(cast, late):
    votes = [(f"r{i}", FRAUD, i, "big") for i in range(300)]
    base = replace(BASE, n=100)
    labels = capped(answers(cast(*votes), decision=Decision.REVIEW), late, base)
    assert 90 < total(labels) <= 100 + POLICY.least_weight


def test_answers_to_the_lot_do_not_crowd_out_what_is_volunteered(cast, late):
    volunteered = cast(*((f"v{i}", FRAUD, i, "small") for i in range(10)))
    asked = answers(cast(*((f"r{i}", LEGITIMATE, 100 + i, "small") for i in range(200))))
    labels = capped([*volunteered, *asked], late)
    alone = capped(volunteered, late)
    assert total(labels, lambda label: not label.asked) == pytest.approx(total(alone))


def test_the_naive_policy_believes_everybody_even_where_the_table_has_no_fraud(cast, late):
    events = cast(*((f"r{i}", LEGITIMATE, i, "big") for i in range(30)))
    events += answers(cast(*((f"s{i}", LEGITIMATE, 100 + i, "none") for i in range(30))))
    naive = TrustPolicy.naive()
    assert [label.weight for label in capped(events, late, policy=naive)] == [1.0] * 60
