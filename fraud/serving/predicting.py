"""Scoring one transaction as it came in: checked, answered by one version, and written down as a record."""

from collections.abc import Mapping
from datetime import datetime
from time import perf_counter
from typing import Any, Protocol

from fraud.data.validate import validate_history, validate_transaction
from fraud.errors import NotFound
from fraud.ids import new_id
from fraud.records import Prediction
from fraud.serving.champion import Champion
from fraud.serving.scorer import Explanation, Scorer
from fraud.telemetry import UNOBSERVED, Observer, Stopwatch


class Predictor(Protocol):
    """What answers for transactions: this process, or nodes."""

    def predict(
        self, transaction: Mapping[str, Any], history: object, now: datetime, observer: Observer = UNOBSERVED
    ) -> Prediction:
        """Return both models' answers, of one version; TransactionError names a field that breaks a rule."""

    def explain(self, prediction: Prediction, observer: Observer = UNOBSERVED) -> dict[str, Explanation]:
        """Return both models' reasons by the version that answered; NotFound if it serves no more."""


class InProcess:
    """Answers with what this process has loaded."""

    def __init__(self, champion: Champion) -> None:
        self._champion = champion

    def predict(
        self, transaction: Mapping[str, Any], history: object, now: datetime, observer: Observer = UNOBSERVED
    ) -> Prediction:
        """Return both models' answers for one raw transaction."""
        return predict(self._champion.scorer, transaction, history, now, observer)

    def explain(self, prediction: Prediction, observer: Observer = UNOBSERVED) -> dict[str, Explanation]:
        """Return both models' reasons, from the version that answered."""
        scorer = self._champion.scorer_of(prediction.model_version)
        if scorer is None:
            raise version_changed()
        return scorer.explain(prediction.transaction, prediction.history, Stopwatch(observer))


def predict(
    scorer: Scorer,
    transaction: Mapping[str, Any],
    history: object,
    now: datetime,
    observer: Observer = UNOBSERVED,
) -> Prediction:
    """Return both models' answers for one raw transaction, all of them by `scorer`.

    Parameters
    ----------
    transaction : profile column -> value, as typed or sent
    history : the main entity's own past as a list of transactions; None takes what the bundle knows

    Raises
    ------
    TransactionError
        Naming the first field that breaks a rule.
    """
    start = perf_counter()
    watch = Stopwatch(observer)
    profile = scorer.bundle.profile
    valid = validate_transaction(profile, transaction, now)
    past = None if history is None else validate_history(profile, history, now)
    watch.lap("validate")
    scores = scorer.score(valid, past, watch)
    return Prediction(
        prediction_id=new_id("p"),
        predicted_at=now,
        profile=profile.name,
        transaction=valid,
        history=past,
        scores=scores,
        model_version=scorer.version,
        latency_ms=(perf_counter() - start) * 1000,
    )


def version_changed() -> NotFound:
    """Return the error for reasons asked of a version that serves no more."""
    return NotFound(
        "A new model version has been released since this score; score the transaction again.",
        code="version_changed",
    )
