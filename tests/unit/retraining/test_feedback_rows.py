"""Which flags become training rows, and why the others do not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from fraud.data.infer import infer_profile
from fraud.data.profile import Profile, parse_profile
from fraud.data.table import NEVER_MS, Transactions, transactions_from_frame
from fraud.feedback.labels import ResolvedLabel
from fraud.models.examples import to_record
from fraud.models.split import Split, split
from fraud.records import Label, ModelVersion, Prediction
from fraud.retraining.feedback_rows import feedback_rows

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture(scope="module")
def base(small_frame: pd.DataFrame, small_profile: Profile) -> Transactions:
    return transactions_from_frame(small_frame, small_profile)


@pytest.fixture(scope="module")
def plan(base: Transactions, small_profile: Profile) -> Split:
    return split(base, small_profile, 7)


def flagged(record: dict, label: Label = Label.FRAUD, **changes: object) -> ResolvedLabel:
    prediction = Prediction(
        prediction_id="p_1",
        predicted_at=NOW,
        profile="cards",
        transaction=record,
        history=None,
        scores={},
        model_version=ModelVersion("1.0.0", None, "0" * 64),
        latency_ms=1.0,
    )
    return ResolvedLabel(
        content_digest="d",
        prediction=replace(prediction, **changes),  # type: ignore[arg-type]
        label=label,
        weight=1.5,
        n_votes=1,
        known_at=NOW,
        prediction_ids=("p_1",),
        reporters=("r",),
    )


def test_a_flag_on_a_base_row_takes_its_place(
    base: Transactions, plan: Split, small_profile: Profile
) -> None:
    row = int(plan.train[5])
    label = Label.FRAUD if base.labels[row] == 0 else Label.LEGITIMATE
    rows = feedback_rows(
        [flagged(to_record(base, row, small_profile), label)], base, plan, small_profile, NOW
    )
    assert rows.n_used == 1 and rows.additions is not None
    assert np.isnan(rows.base.labels[row]), "the old label is not trained on beside the new one"
    assert rows.base.known_at_ms[row] == NEVER_MS
    assert rows.additions.transactions.labels.tolist() == [1.0 if label is Label.FRAUD else 0.0]
    assert rows.additions.weights.tolist() == [1.5]
    assert np.isfinite(base.labels[row]), "the table that came in is untouched"


def test_a_flag_inside_the_held_out_window_is_not_used(
    base: Transactions, plan: Split, small_profile: Profile
) -> None:
    record = to_record(base, int(plan.test[0]), small_profile)
    rows = feedback_rows([flagged(record)], base, plan, small_profile, NOW)
    assert rows.n_used == 0 and rows.additions is None
    assert rows.unused == {"inside the sealed held-out window": 1}
    assert rows.base is base


def test_leaving_out_the_id_does_not_open_the_seal(
    base: Transactions, plan: Split, small_profile: Profile
) -> None:
    record = to_record(base, int(plan.test[3]), small_profile) | {"transaction_id": None}
    rows = feedback_rows([flagged(record)], base, plan, small_profile, NOW)
    assert rows.unused == {"inside the sealed held-out window": 1}


def test_nothing_that_happened_in_the_held_out_window_is_used_not_even_changed(
    base: Transactions, plan: Split, small_profile: Profile
) -> None:
    record = to_record(base, int(plan.test[3]), small_profile) | {"transaction_id": None, "amount": 7.77}
    rows = feedback_rows([flagged(record)], base, plan, small_profile, NOW)
    assert rows.unused == {"inside the sealed held-out window": 1}


def test_a_borrowed_id_cannot_delete_a_base_label(
    base: Transactions, plan: Split, small_profile: Profile
) -> None:
    victim = int(plan.train[np.argmax(base.labels[plan.train] == 1)])
    forged = to_record(base, len(base) - 1, small_profile) | {"transaction_id": str(base.ids[victim])}
    rows = feedback_rows([flagged(forged, Label.LEGITIMATE)], base, plan, small_profile, NOW)
    assert rows.unused == {"names a transaction whose content is another": 1}
    assert rows.base.labels[victim] == 1


def test_a_base_row_is_found_by_its_content_without_an_id(
    base: Transactions, plan: Split, small_profile: Profile
) -> None:
    row = int(plan.train[5])
    record = to_record(base, row, small_profile) | {"transaction_id": None}
    rows = feedback_rows([flagged(record)], base, plan, small_profile, NOW)
    assert np.isnan(rows.base.labels[row]) and rows.n_used == 1


def test_a_flag_does_not_move_the_held_out_window_of_a_random_split() -> None:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"x": rng.normal(size=600), "paid": rng.uniform(1, 9, 600)})
    frame["bad"] = (rng.random(600) < 0.2).astype(int)
    document, _ = infer_profile(frame, "own", "bad", None, [])
    profile = parse_profile(document, "test")
    table = transactions_from_frame(frame, profile)
    plan = split(table, profile, 7)
    record = to_record(table, int(plan.train[0]), profile)
    rows = feedback_rows([flagged(record, profile="own")], table, plan, profile, NOW)
    assert rows.n_used == 1
    kept = plan.labelled(rows.base)
    assert np.array_equal(kept.test, plan.test) and np.array_equal(kept.train, plan.train[1:])


def test_a_typed_transaction_is_added_with_the_past_its_sender_gave(
    base: Transactions, plan: Split, small_profile: Profile
) -> None:
    record = to_record(base, len(base) - 1, small_profile) | {"transaction_id": None}
    past = ({**record, "amount": 3.0},)
    rows = feedback_rows([flagged(record, history=past)], base, plan, small_profile, NOW)
    assert rows.additions is not None and rows.additions.pasts[0] is not None
    assert rows.additions.pasts[0].numbers["amount"].tolist() == [3.0]


def test_weights_and_pasts_follow_their_transaction_when_time_orders_them(
    base: Transactions, plan: Split, small_profile: Profile
) -> None:
    record = to_record(base, len(base) - 1, small_profile) | {"transaction_id": None}
    later = datetime.fromisoformat(record["occurred_at"]) + timedelta(hours=1)
    second = replace(flagged(record | {"occurred_at": later.isoformat(), "amount": 2.0}), weight=0.25)
    rows = feedback_rows([second, flagged(record)], base, plan, small_profile, NOW)
    assert rows.additions is not None
    assert rows.additions.transactions.numbers["amount"][1] == 2.0
    assert rows.additions.weights.tolist() == [1.5, 0.25]


def test_other_profiles_and_misfits_are_counted_with_their_reason(
    base: Transactions, plan: Split, small_profile: Profile
) -> None:
    record = to_record(base, len(base) - 1, small_profile)
    misfit = replace(flagged(record | {"amount": -1}), content_digest="e")
    labels = [flagged(record, profile="ulb"), misfit]
    rows = feedback_rows(labels, base, plan, small_profile, NOW)
    assert rows.unused == {"scored under another profile": 1, "does not fit the profile any more": 1}


def test_a_small_weight_stands_beside_the_base_label_and_erases_nothing(
    base: Transactions, plan: Split, small_profile: Profile
) -> None:
    row = int(plan.train[5])
    lone = replace(flagged(to_record(base, row, small_profile)), weight=0.1)
    rows = feedback_rows([lone], base, plan, small_profile, NOW)
    assert rows.base.labels[row] == base.labels[row]
    assert rows.additions is not None and rows.additions.weights.tolist() == [0.1]
    accepted = feedback_rows([replace(lone, reviewed=True)], base, plan, small_profile, NOW)
    assert np.isnan(accepted.base.labels[row])


def test_one_answer_to_the_lot_stands_beside_the_base_label(
    base: Transactions, plan: Split, small_profile: Profile
) -> None:
    row = int(plan.train[5])
    one = replace(flagged(to_record(base, row, small_profile)), weight=1.0, asked=True)
    assert feedback_rows([one], base, plan, small_profile, NOW).base.labels[row] == base.labels[row]
    two = replace(one, reporters=("r", "s"))
    assert np.isnan(feedback_rows([two], base, plan, small_profile, NOW).base.labels[row])
