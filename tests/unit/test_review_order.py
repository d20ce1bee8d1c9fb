"""The order of the review queue: kinds take turns, and nobody's next claim goes before another's first."""

import dataclasses

import pytest

from fraud.records import Decision, Label, Verdict
from fraud.review_order import SECOND_OPINION, Waiting, in_turn, is_missed


def names(cases, limit=50):
    return [case.flag_id for case in in_turn(cases, limit)]


def test_claims_of_missed_frauds_take_turns_with_all_other_cases() -> None:
    alarms = [Waiting(f"a{i}", 3.0 - i / 10) for i in range(4)]
    missed = [Waiting(f"m{i}", 1.0 - i / 10, missed=True) for i in range(2)]
    assert names([*alarms, *missed]) == ["m0", "a0", "m1", "a1", "a2", "a3"]
    assert names(alarms) == ["a0", "a1", "a2", "a3"] and names(missed) == ["m0", "m1"]
    assert names([*alarms, *missed], limit=3) == ["m0", "a0", "m1"]


def test_what_needs_a_second_opinion_comes_before_all_turns() -> None:
    cases = [
        Waiting("a", 4.0),
        Waiting("m", 4.0, missed=True),
        Waiting("s", SECOND_OPINION + 0.1, missed=True),
        Waiting("t", SECOND_OPINION + 0.2),
    ]
    assert names(cases) == ["t", "s", "m", "a"]


def test_a_reporter_who_floods_gets_one_case_a_round() -> None:
    flood = [Waiting(f"f{i}", 3.9, missed=True, round=i) for i in range(100)]
    honest = [Waiting(f"h{i}", 0.5, missed=True) for i in range(3)]
    assert names([*flood, *honest], limit=5) == ["f0", "h0", "h1", "h2", "f1"]


def test_a_flood_takes_every_other_turn_at_most() -> None:
    sybils = [Waiting(f"s{i}", 3.9, missed=True) for i in range(1_000)]
    alarms = [Waiting(f"a{i}", 1.0) for i in range(10)]
    first = names([*sybils, *alarms], limit=20)
    assert sum(name.startswith("a") for name in first) == 10


@pytest.mark.parametrize(
    ("decisions", "label", "missed"),
    [
        ((Decision.APPROVE, Decision.APPROVE), Label.FRAUD, True),
        ((Decision.APPROVE, Decision.REVIEW), Label.FRAUD, False),
        ((Decision.APPROVE, Decision.APPROVE), Label.LEGITIMATE, False),
    ],
)
def test_a_missed_fraud_is_one_on_which_neither_model_alerted(service, decisions, label, missed) -> None:
    prediction = service.score(dict(service.examples()[0]["transaction"]))
    for model, decision in zip(list(prediction.scores), decisions, strict=True):
        prediction.scores[model] = dataclasses.replace(prediction.scores[model], decision=decision)

    class Said:
        verdict = Verdict.WRONG

    Said.label = label
    assert is_missed(prediction, Said()) is missed
