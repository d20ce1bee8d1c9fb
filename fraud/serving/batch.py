"""Scoring a whole table: every row gets both answers, or its place in the list of rejected rows."""

from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fraud.data.profile import Profile
from fraud.data.table import Transactions, concatenate, read_table, transactions_from_frame
from fraud.data.validate import CLOCK_TOLERANCE
from fraud.errors import TableError
from fraud.features.history import History
from fraud.records import Decision, ModelVersion, Thresholds
from fraud.serving.scorer import Scorer

if TYPE_CHECKING:
    import pandas as pd

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rejection:
    """One row that could not be scored: its number (from 1, header not counted), the column and the rule."""

    row: int
    column: str
    reason: str


@dataclass(frozen=True)
class BatchResult:
    """The scored rows in the file's order, with both models' answers beside the columns they came with.

    Added columns: `<model>_probability` (calibrated) and `<model>_decision` for each model.
    """

    scored: "pd.DataFrame"
    rejected: tuple[Rejection, ...]
    model_version: ModelVersion


def score_file(scorer: Scorer, path: Path, now: datetime) -> BatchResult:
    """Score every row of a CSV or Parquet file that fits the profile.

    A row sees what the bundle knows of the past, and the earlier rows of its own file.

    Raises
    ------
    TableError
        The file is no table, lacks a column, or holds not one row that fits.
    """
    frame = read_table(path)
    transactions, rejected = accept_rows(frame, scorer.bundle.profile, now)
    own = set(transactions.ids.tolist()) if scorer.bundle.profile.columns.id is not None else set()
    features = scorer.pipeline.transform(transactions, history_of(scorer, transactions, own))
    back = np.argsort(transactions.rows)
    scored = frame.iloc[transactions.rows[back]].reset_index(drop=True)
    for name, model in scorer.bundle.models.items():
        probability = model.calibration(model.forest.probability(features))[back]
        scored[f"{name}_probability"] = probability
        scored[f"{name}_decision"] = decisions(probability, model.thresholds)
    return BatchResult(scored, rejected, scorer.version)


def accept_rows(
    frame: "pd.DataFrame", profile: Profile, now: datetime
) -> tuple[Transactions, tuple[Rejection, ...]]:
    """Return the rows that fit the profile, and the others with the first rule that each breaks.

    Raises
    ------
    TableError
        A column is missing, or not one row fits.
    """
    table, rejected = sift(frame, profile, now)
    if table is None:
        raise no_row_fits(rejected)
    return table, rejected


def no_row_fits(rejected: Sequence[Rejection]) -> TableError:
    """Return the error of a table without one row that fits, about the first row that does not."""
    first = rejected[0]
    return TableError(
        f'Not one row fits the profile; column "{first.column}", row {first.row}: {first.reason}.',
        code="no_row_fits",
        field=first.column,
    )


def sift(
    frame: "pd.DataFrame", profile: Profile, now: datetime
) -> tuple[Transactions | None, tuple[Rejection, ...]]:
    """Return as `accept_rows`; None where not one row fits."""
    positions = np.arange(len(frame))
    rejected: list[Rejection] = []
    while len(positions) or not rejected:
        try:
            table = transactions_from_frame(frame.iloc[positions], profile)
            refuse_future(table, profile, now)
            rejected.sort(key=lambda rejection: rejection.row)
            return table.with_rows(positions[table.rows]), tuple(rejected)
        except TableError as error:
            bad = np.asarray(error.rows, np.intp)
            if not len(bad):
                raise
            reason = str(error.params["rule"])
            rejected += [Rejection(int(row) + 1, error.field or "", reason) for row in positions[bad]]
            positions = np.delete(positions, bad)
    rejected.sort(key=lambda rejection: rejection.row)
    return None, tuple(rejected)


DECISIONS = tuple(decision.value for decision in (Decision.APPROVE, Decision.REVIEW, Decision.DECLINE))
"""By severity, the mildest first."""


def severities(probability: F64, thresholds: Thresholds) -> NDArray[np.int8]:
    """Return each decision's position in `DECISIONS`."""
    return (probability >= thresholds.review).astype(np.int8) + (probability >= thresholds.decline)


def decisions(probability: F64, thresholds: Thresholds) -> NDArray[np.object_]:
    """Return one decision per probability, as text."""
    return np.asarray(np.array(DECISIONS, dtype=object)[severities(probability, thresholds)])


def refuse_future(table: Transactions, profile: Profile, now: datetime) -> None:
    """Raise TableError for rows whose time has not come yet."""
    if table.time_ms is None:
        return
    late = np.flatnonzero(table.time_ms > (now + CLOCK_TOLERANCE).timestamp() * 1000)
    if len(late):
        rows = np.sort(table.rows[late])
        error = TableError(
            f'Column "{profile.columns.time}", row {rows[0] + 1}: lies in the future; give moments that have '
            "passed.",
            code="bad_value",
            field=profile.columns.time,
            params={"row": int(rows[0]) + 1, "rule": "lies in the future"},
        )
        error.rows = rows.tolist()
        raise error


def history_of(scorer: Scorer, batch: Transactions, known: Container[str]) -> History | None:
    """Return the past of a file's rows: the bundle's, the file's own rows in the place of their copies.

    `known` are ids of the bundle's past that are also the file's.
    """
    profile = scorer.bundle.profile
    if not profile.features.history:
        return None
    if scorer.past is None:
        return History.of(batch, profile)
    others = np.array([i not in known for i in scorer.past.ids.tolist()], bool)
    return History.of(concatenate([scorer.past.take(np.flatnonzero(others)), batch]), profile)
