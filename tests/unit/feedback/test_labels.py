from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraud.errors import SettingsError
from fraud.feedback.labels import ResolvedLabel, cap_weights
from fraud.records import Label


@pytest.fixture(scope="session")
def label_of(make_prediction):
    """Return a function from reporters and a weight to a label."""

    def label_of(reporters, weight=1.0):
        prediction = make_prediction()
        return ResolvedLabel(
            "d" * 64, prediction, Label.FRAUD, weight, len(reporters), prediction.predicted_at,
            (prediction.prediction_id,), tuple(reporters),
        )  # fmt: skip

    return label_of


def shares(labels):
    owed = defaultdict(float)
    for label in labels:
        for reporter in label.reporters:
            owed[reporter] += label.weight / len(label.reporters)
    total = sum(owed.values())
    return {reporter: amount / total for reporter, amount in owed.items()}


def test_a_flood_from_one_reporter_is_held_to_its_share(label_of):
    labels = [label_of(["flood"])] * 200 + [label_of([f"r{i}"]) for i in range(16)]
    capped = cap_weights(labels, max_share_per_reporter=0.2)
    assert shares(labels)["flood"] > 0.9
    assert shares(capped)["flood"] == pytest.approx(0.2)
    assert {label.weight for label in capped if label.reporters != ("flood",)} == {1.0}


def test_few_reporters_share_equally_when_the_cap_cannot_be_met(label_of):
    labels = (label_of("a"), label_of("a"), label_of("b"))
    assert shares(cap_weights(labels)) == pytest.approx({"a": 0.5, "b": 0.5})
    assert cap_weights(labels[:1]) == labels[:1]
    assert cap_weights(()) == ()


@pytest.mark.parametrize("share", [0.0, -1.0, 1.1, float("nan")])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(SettingsError):
        cap_weights((), max_share_per_reporter=share)


def test_a_label_that_others_back_keeps_their_part(label_of):
    labels = [label_of(["flood"])] * 89 + [label_of(["flood", "r0"], 1.5)]
    labels += [label_of([f"r{i}"]) for i in range(9)]
    capped = cap_weights(labels, max_share_per_reporter=0.2)
    (old, new) = next((o, n) for o, n in zip(labels, capped, strict=True) if len(o.reporters) == 2)
    assert old.weight / 2 < new.weight < old.weight


votes = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.floats(0.1, 2.0)),
    min_size=1,
    max_size=40,
)


@settings(deadline=None)
@given(votes=votes, share=st.floats(0.05, 1.0))
def test_no_reporter_has_more_than_the_share_and_no_weight_grows(label_of, votes, share):
    labels = [label_of([reporter], weight) for reporter, weight in votes]
    capped = cap_weights(labels, max_share_per_reporter=share)
    n_reporters = len({reporter for reporter, _ in votes})
    assert max(shares(capped).values()) <= max(share, 1 / n_reporters) + 1e-9
    assert all(0 < new.weight <= old.weight for new, old in zip(capped, labels, strict=True))
