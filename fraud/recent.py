"""The predictions that can still be flagged: the newest, within a bound that their histories count in."""

import threading
from collections import OrderedDict

from fraud.errors import NotFound
from fraud.records import Prediction

MAX_TRANSACTIONS = 20_000
"""Kept in all, a prediction's own transaction and those of its history: some tens of megabytes."""


class RecentPredictions:
    """A bounded, thread-safe memory of predictions by id; the oldest go first."""

    def __init__(self, max_transactions: int = MAX_TRANSACTIONS) -> None:
        self._max = max_transactions
        self._held = 0
        self._predictions: OrderedDict[str, Prediction] = OrderedDict()
        self._lock = threading.Lock()

    def remember(self, prediction: Prediction) -> None:
        """Keep a prediction, forgetting the oldest as far as needed."""
        with self._lock:
            self._predictions[prediction.prediction_id] = prediction
            self._held += _size(prediction)
            while self._held > self._max and len(self._predictions) > 1:
                self._held -= _size(self._predictions.popitem(last=False)[1])

    def find(self, prediction_id: str) -> Prediction:
        """Return a prediction; NotFound when it was never made here or is forgotten."""
        with self._lock:
            found = self._predictions.get(prediction_id)
        if found is None:
            raise NotFound(
                "This prediction is no longer known here; score the transaction again, then flag it.",
                code="prediction_gone",
                field="prediction_id",
            )
        return found


def _size(prediction: Prediction) -> int:
    return 1 + len(prediction.history or ())
