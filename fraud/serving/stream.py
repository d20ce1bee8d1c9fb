"""Scoring rows as they come in, without end: each as if it had come alone, many at a time.

A row of a stream sees what the bundle knows of the past and no other row of the stream, as with /v1/score:
what a row is answered must not depend on where the stream was cut into pieces.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fraud.data.arrow_rows import join, plain_rows, unparsed
from fraud.data.table import Transactions
from fraud.data.validate import CLOCK_TOLERANCE, transactions_from_records, validator
from fraud.errors import TransactionError
from fraud.serving.batch import Rejection, decisions, sift
from fraud.serving.scorer import Scorer

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Answers:
    """Both models' answers for rows of one piece.

    Attributes
    ----------
    rows : int64 [n], positions in the piece, ascending
    probabilities : model -> float64 [n], calibrated
    decisions : model -> object array [n] of "approve", "review" or "decline"
    """

    rows: NDArray[np.int64]
    probabilities: Mapping[str, F64]
    decisions: Mapping[str, NDArray[np.object_]]


class StreamScorer:
    """Scores the pieces of one stream, all by one version."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self.version = scorer.version
        self.models = tuple(scorer.bundle.models)

    def score_records(
        self, records: Sequence[Mapping[str, Any]], now: datetime
    ) -> tuple[Answers | None, dict[int, TransactionError]]:
        """Return the answers of the records that obey the rules, and each other's error by its position."""
        validate = validator(self._scorer.bundle.profile, now)
        good, positions, errors = [], [], {}
        for position, record in enumerate(records):
            try:
                good.append(validate(record))
                positions.append(position)
            except TransactionError as error:
                errors[position] = error
        if not good:
            return None, errors
        table = transactions_from_records(self._scorer.bundle.profile, good)
        return self._answers(table.with_rows(np.array(positions, np.int64)[table.rows])), errors

    def score_table(self, table: pa.Table, now: datetime) -> tuple[Answers | None, Sequence[Rejection]]:
        """Return the answers of the rows that fit the profile, and the others; `Rejection.row` is from 1.

        Raises
        ------
        TableError
            A column is missing.
        """
        profile = self._scorer.bundle.profile
        plain, doubtful = plain_rows(table, profile, now + CLOCK_TOLERANCE)
        pieces = [plain] if len(plain) else []
        rows = np.flatnonzero(doubtful)
        rejected: list[Rejection] = []
        if len(rows):
            judged, refused = sift(unparsed(table, rows), profile, now)
            rejected = [Rejection(int(rows[r.row - 1]) + 1, r.column, r.reason) for r in refused]
            if judged is not None:
                pieces.append(judged.with_rows(rows[judged.rows]))
        return self._answers(join(pieces)) if pieces else None, rejected

    def _answers(self, table: Transactions) -> Answers:
        back = np.argsort(table.rows)
        features = self._scorer.features_of(table)[back]
        probabilities, decided = {}, {}
        for name, model in self._scorer.bundle.models.items():
            probabilities[name] = model.calibration(model.forest.probability(features))
            decided[name] = decisions(probabilities[name], model.thresholds)
        return Answers(table.rows[back], probabilities, decided)
