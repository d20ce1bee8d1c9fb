"""When a retraining is due: counts in, a decision with its reasons out."""

from dataclasses import replace

import pytest

from fraud.errors import SettingsError
from fraud.retraining.policy import RetrainPolicy, Situation, decide_retraining

POLICY = RetrainPolicy(min_labels=20, min_frauds=5, max_age_days=30)
FEW = Situation(n_labels=3, n_new=3, n_new_frauds=1, age_days=2)


def said(situation: Situation, policy: RetrainPolicy = POLICY) -> tuple[bool, str]:
    decision = decide_retraining(situation, policy)
    assert decision.reasons, "every decision has a reason"
    return decision.due, "; ".join(decision.reasons)


def test_enough_new_labels_with_enough_frauds_are_a_reason() -> None:
    due, why = said(Situation(n_labels=25, n_new=20, n_new_frauds=5))
    assert due and "20 labels are new, 5 of them frauds" in why


@pytest.mark.parametrize(("n_new", "n_frauds"), [(19, 19), (40, 4)])
def test_too_few_labels_or_frauds_wait_and_say_what_is_needed(n_new: int, n_frauds: int) -> None:
    due, why = said(Situation(n_labels=n_new, n_new=n_new, n_new_frauds=n_frauds))
    assert not due and "20 with 5 frauds are needed" in why and "--force" in why


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"firing": ("f1:xgboost",)}, "alerts are firing (f1:xgboost)"),
        ({"age_days": 30.0}, "30 days old"),
        ({"base_changed": True}, "the base table is another"),
        ({"n_gone": 1}, "1 label that the champion was taught count no more"),
    ],
)
def test_an_alert_an_old_champion_a_new_table_or_a_withdrawal_needs_no_batch(change: dict, why: str) -> None:
    assert not said(FEW)[0]
    due, reasons = said(replace(FEW, **change))
    assert due and why in reasons


@pytest.mark.parametrize("change", [{"firing": ("drift:amount",)}, {"age_days": 400.0}])
def test_nothing_new_is_never_a_reason_because_the_same_model_would_come_out(change: dict) -> None:
    assert not said(replace(Situation(n_labels=7), **change))[0]


def test_a_firing_alert_that_no_label_can_answer_says_what_could() -> None:
    due, why = said(Situation(n_labels=7, firing=("drift:amount",)))
    assert not due and "newer base table (--data)" in why


def test_labels_in_quarantine_are_said_to_wait() -> None:
    due, why = said(Situation(n_waiting=4))
    assert not due and "4 wait in quarantine, which --quarantine-days 0 ends" in why


@pytest.mark.parametrize("known", [{"built": "1.0.1"}, {"refused": "20260101T000000000000Z-abcd"}])
def test_inputs_that_were_answered_once_are_not_trained_on_again(known: dict) -> None:
    due, why = said(replace(FEW, n_new=99, n_new_frauds=50, **known))
    assert not due and next(iter(known.values())) in why and "--force" in why


def test_force_trains_whatever_there_is() -> None:
    assert said(Situation(built="1.0.1", refused="x", forced=True)) == (True, "it was asked for")


def test_without_an_age_limit_no_champion_is_too_old() -> None:
    assert not said(replace(FEW, age_days=9_999), replace(POLICY, max_age_days=None))[0]


def test_a_policy_below_nought_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match="min_labels"):
        RetrainPolicy(min_labels=-1)
