from collections import defaultdict
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud.errors import SettingsError
from fraud.feedback.events import submission
from fraud.feedback.labels import cap_weights, resolve_labels
from fraud.feedback.parsing import parse_row
from fraud.records import Label

FRAUD, LEGITIMATE = Label.FRAUD, Label.LEGITIMATE


@pytest.fixture(scope="session")
def cast(make_prediction, make_flag):
    """Return a function from (reporter, label, minute, amount) votes to events."""

    def events(*votes):
        found = []
        for reporter, label, minute, *amount in votes:
            prediction = make_prediction(transaction={"amount": amount[0] if amount else 1})
            flag = make_flag(prediction, reporter=reporter, label=label)
            flag = replace(flag, flagged_at=prediction.predicted_at + timedelta(minutes=minute))
            found += [parse_row(row) for row in submission(prediction, flag, node="n1")]
        return found

    return events


@pytest.fixture(scope="session")
def start(make_prediction):
    return make_prediction().predicted_at


@pytest.fixture(scope="session")
def late(start):
    return start + timedelta(days=1)


def test_one_vote_gives_a_label_of_weight_one(cast, start, late):
    (label,) = resolve_labels(cast(("a", FRAUD, 3)), as_of=late).labels
    assert (label.label, label.weight, label.n_votes, label.reporters) == (FRAUD, 1.0, 1, ("a",))
    assert label.known_at == start + timedelta(minutes=3)
    assert label.prediction_ids == (label.prediction.prediction_id,)


def test_the_latest_vote_of_a_reporter_replaces_the_earlier(cast, start, late):
    events = cast(("a", LEGITIMATE, 9), ("a", FRAUD, 3))
    (label,) = resolve_labels(events, as_of=late).labels
    assert (label.label, label.n_votes, len(label.prediction_ids)) == (LEGITIMATE, 1, 2)
    (before,) = resolve_labels(events, as_of=start + timedelta(minutes=5)).labels
    assert before.label is FRAUD


def test_one_reporter_has_one_vote_however_often_it_is_given(cast, late):
    events = cast(
        ("a", FRAUD, 1), ("a", FRAUD, 2), ("a", FRAUD, 3), ("b", LEGITIMATE, 1), ("c", LEGITIMATE, 1)
    )
    (label,) = resolve_labels(events, as_of=late).labels
    assert (label.label, label.n_votes) == (LEGITIMATE, 3)


def test_a_tie_is_dropped_with_its_reason(cast, late):
    resolution = resolve_labels(cast(("a", FRAUD, 1), ("b", LEGITIMATE, 2)), as_of=late)
    assert resolution.labels == ()
    assert [(dropped.reason, dropped.n_votes) for dropped in resolution.dropped] == [("tied", 2)]


@pytest.mark.parametrize(
    ("for_", "against", "weight"), [(1, 0, 1), (2, 0, 1.5), (3, 0, 2), (9, 0, 2), (2, 1, 1), (4, 2, 1.5)]
)
def test_the_weight_grows_with_the_margin_up_to_the_cap(cast, late, for_, against, weight):
    votes = [(f"f{i}", FRAUD, 1) for i in range(for_)] + [(f"l{i}", LEGITIMATE, 1) for i in range(against)]
    (label,) = resolve_labels(cast(*votes), as_of=late).labels
    assert label.weight == weight


def test_a_label_is_known_from_its_latest_deciding_vote(cast, start, late):
    votes = (("a", FRAUD, 1), ("b", FRAUD, 5), ("c", LEGITIMATE, 7))
    (label,) = resolve_labels(cast(*votes), as_of=late).labels
    assert label.known_at == start + timedelta(minutes=5)


def test_events_after_as_of_change_nothing(cast, start):
    early = cast(("a", FRAUD, 1))
    later = cast(("b", LEGITIMATE, 30), ("c", LEGITIMATE, 31), ("d", FRAUD, 32, 99))
    as_of = start + timedelta(minutes=10)
    assert resolve_labels(early + later, as_of=as_of) == resolve_labels(early, as_of=as_of)


def test_a_flag_without_its_prediction_is_dropped(cast, late):
    (dropped,) = resolve_labels(cast(("a", FRAUD, 1))[1:], as_of=late).dropped
    assert dropped.reason == "no prediction"


def test_a_flag_cannot_vote_on_content_that_its_prediction_is_not_about(cast, late):
    honest, forged = cast(("a", FRAUD, 1)), cast(("b", LEGITIMATE, 2, 50), ("c", LEGITIMATE, 2, 51))
    forged = [
        replace(e, content_digest=honest[0].content_digest) if hasattr(e, "flag") else e for e in forged
    ]
    (label,) = resolve_labels(honest + forged, as_of=late).labels
    assert (label.label, label.n_votes) == (FRAUD, 1)


def test_the_order_of_events_does_not_matter(cast, late):
    events = cast(("a", FRAUD, 1), ("b", FRAUD, 2), ("a", LEGITIMATE, 3), ("c", FRAUD, 4, 2), ("d", FRAUD, 5))
    assert resolve_labels(events, as_of=late) == resolve_labels(events[::-1], as_of=late)


def shares(labels):
    owed = defaultdict(float)
    for label in labels:
        for reporter in label.reporters:
            owed[reporter] += label.weight / len(label.reporters)
    total = sum(owed.values())
    return {reporter: amount / total for reporter, amount in owed.items()}


def test_a_flood_from_one_reporter_is_held_to_its_share(cast, late):
    votes = [("flood", LEGITIMATE, 1, i) for i in range(200)] + [
        (f"r{i}", FRAUD, 1, 1_000 + i) for i in range(16)
    ]
    labels = resolve_labels(cast(*votes), as_of=late).labels
    capped = cap_weights(labels, max_share_per_reporter=0.2)
    assert shares(labels)["flood"] > 0.9
    assert shares(capped)["flood"] == pytest.approx(0.2)
    assert {label.weight for label in capped if label.reporters != ("flood",)} == {1.0}


def test_few_reporters_share_equally_when_the_cap_cannot_be_met(cast, late):
    labels = resolve_labels(
        cast(("a", FRAUD, 1, 1), ("a", FRAUD, 1, 2), ("b", FRAUD, 1, 3)), as_of=late
    ).labels
    assert shares(cap_weights(labels)) == pytest.approx({"a": 0.5, "b": 0.5})
    assert cap_weights(labels[:1]) == labels[:1]
    assert cap_weights(()) == ()


@pytest.mark.parametrize("share", [0.0, -1.0, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(SettingsError):
        cap_weights((), max_share_per_reporter=share)


def test_a_label_that_others_back_keeps_their_part(cast, late):
    votes = [("flood", FRAUD, 1, i) for i in range(90)] + [(f"r{i}", FRAUD, 1, 1_000 + i) for i in range(9)]
    labels = resolve_labels(cast(*votes, ("r0", FRAUD, 1, 0)), as_of=late).labels
    capped = cap_weights(labels, max_share_per_reporter=0.2)
    (old, new) = next((o, n) for o, n in zip(labels, capped, strict=True) if len(o.reporters) == 2)
    assert old.weight / 2 < new.weight < old.weight


@settings(deadline=None)
@given(votes=st.lists(st.integers(0, 7), min_size=1, max_size=40), share=st.floats(0.05, 1.0))
def test_no_reporter_has_more_than_the_share_and_no_weight_grows(cast, late, votes, share):
    labels = resolve_labels(cast(*((f"r{r}", FRAUD, 1, i) for i, r in enumerate(votes))), as_of=late).labels
    capped = cap_weights(labels, max_share_per_reporter=share)
    assert max(shares(capped).values()) <= max(share, 1 / len(set(votes))) + 1e-9
    assert all(0 < new.weight <= old.weight for new, old in zip(capped, labels, strict=True))
