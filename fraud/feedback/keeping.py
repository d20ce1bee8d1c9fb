"""The prediction log: predictions that are kept, with consent, though nobody flagged them.

Scoring must not wait for a disk. A prediction is put into a bounded queue, and a thread saves whatever has
come together in one transaction (group commit). What is promised: a receipt only for what is on disk. A full
queue, a full outbox or a crash within `WAIT_S` loses predictions, never flags, and losses are counted.
"""

import logging
import threading
import time
from collections import deque

from fraud.errors import FlagError, FraudError
from fraud.feedback.events import KEPT, Row, prediction_row
from fraud.feedback.store import FeedbackStore
from fraud.records import Prediction

_log = logging.getLogger(__name__)

KEEP_CONSENT_VERSION = KEPT + "2026-11-1"
"""Names the wording of the consent to be kept; changes whenever `ui/texts_keep.py`'s text does."""
MAX_QUEUE = 10_000
WAIT_S = 0.05
_PER_COMMIT = 500


def kept_row(prediction: Prediction, node: str) -> Row:
    """Return the row of a prediction that is kept for itself, with the draw of its audit lot."""
    return prediction_row(
        prediction,
        node=node,
        consent_version=KEEP_CONSENT_VERSION,
        audit_asked=prediction.audit_asked,
        audit_probability=prediction.audit_probability,
    )


class PredictionLog:
    """Saves consented predictions behind the request; thread-safe. Its thread starts with the first one.

    Attributes
    ----------
    n_kept, n_dropped : how many this process has saved, and lost to a full queue or a failing outbox
    """

    def __init__(self, store: FeedbackStore, node: str, max_queue: int = MAX_QUEUE) -> None:
        self._store = store
        self._node = node
        self._max_queue = max_queue
        self._queue: deque[Prediction] = deque()
        self._changed = threading.Condition()
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._problem = ""
        self.n_kept = 0
        self.n_dropped = 0

    def offer(self, prediction: Prediction) -> bool:
        """Queue one prediction, in microseconds; return False if it was dropped, for the queue is full."""
        with self._changed:
            if self._closed or len(self._queue) >= self._max_queue:
                self.n_dropped += 1
                return False
            self._queue.append(prediction)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="keep-predictions", daemon=True)
                self._thread.start()
            self._changed.notify()
            return True

    def flush(self) -> None:
        """Save what is queued; on return each prediction is on disk or counted as dropped."""
        with self._writing:
            while batch := self._take():
                self._save(batch)

    def close(self) -> None:
        """Save what is queued and stop; nothing is taken any more."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout=30)
        self.flush()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._closed)
                if self._closed:
                    return
            time.sleep(WAIT_S)
            self.flush()

    def _take(self) -> list[Prediction]:
        with self._changed:
            return [self._queue.popleft() for _ in range(min(_PER_COMMIT, len(self._queue)))]

    def _save(self, batch: list[Prediction]) -> None:
        try:
            self._store.append_all([[kept_row(prediction, self._node)] for prediction in batch])
            self.n_kept += len(batch)
        except FlagError as error:
            if len(batch) == 1:
                self._lost(1, error)
            else:  # one of them breaks the schema, too large perhaps; the others are sound
                for prediction in batch:
                    self._save([prediction])
        except FraudError as error:
            self._lost(len(batch), error)

    def _lost(self, n: int, error: FraudError) -> None:
        with self._changed:
            self.n_dropped += n
        if error.message != self._problem:
            _log.warning("predictions with consent could not be kept: %s", error)
        self._problem = error.message
