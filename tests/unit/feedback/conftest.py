from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from fraud.feedback.events import submission
from fraud.feedback.parsing import parse_row
from fraud.ids import new_id
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

NOON = datetime(2026, 1, 5, 12, 0, 0, 123_000, tzinfo=UTC)


def _prediction(**changes):
    thresholds = Thresholds(0.2, 0.8)
    prediction = Prediction(
        prediction_id=new_id("p"),
        predicted_at=NOON,
        profile="cards",
        transaction={"amount": 12.5, "merchant": "m1", "note": None},
        history=({"amount": 3, "merchant": "m1"},),
        scores={model: Score(model, 0.25, thresholds, Decision.REVIEW) for model in MODELS},
        model_version=ModelVersion("1.0.0", None, "d" * 64),
        latency_ms=3.5,
    )
    return replace(prediction, **changes)


def _flag(prediction, **changes):
    flag = Flag(
        flag_id=new_id("f"),
        flagged_at=NOON + timedelta(minutes=1),
        prediction_id=prediction.prediction_id,
        verdict=Verdict.WRONG,
        label=Label.FRAUD,
        comment="not me",
        consent_version="2026-01",
        reporter="r1",
    )
    return replace(flag, **changes)


@pytest.fixture(scope="session")
def make_prediction():
    return _prediction


@pytest.fixture(scope="session")
def make_flag():
    return _flag


@pytest.fixture
def prediction():
    return _prediction()


@pytest.fixture
def flag(prediction):
    return _flag(prediction)


@pytest.fixture(scope="session")
def cast(make_prediction, make_flag):
    """Return a function from (reporter, label, content, slice) votes to events."""

    def events(*votes):
        found = []
        for reporter, label, *where in votes:
            content, part = [*where, 0, "big"][:2] if len(where) < 2 else where
            prediction = make_prediction(transaction={"amount": content, "slice": part})
            flag = make_flag(prediction, reporter=reporter, label=label)
            found += [parse_row(row) for row in submission(prediction, flag, node="n1")]
        return found

    return events


@pytest.fixture(scope="session")
def late(make_prediction):
    return make_prediction().predicted_at + timedelta(days=30)
