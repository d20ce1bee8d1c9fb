"""From resolved flags to rows that training can use, with a reason for each that it cannot."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from fraud.data.profile import Profile
from fraud.data.table import Transactions
from fraud.data.validate import transactions_from_records, validate_transaction
from fraud.errors import TransactionError
from fraud.feedback.labels import ResolvedLabel
from fraud.models.split import Split
from fraud.models.train import Additions
from fraud.records import Label


@dataclass(frozen=True)
class FeedbackRows:
    """The base table without the rows that people corrected, and the flagged rows beside it."""

    base: Transactions
    additions: Additions | None
    n_used: int
    unused: Mapping[str, int]


def feedback_rows(
    labels: Sequence[ResolvedLabel], base: Transactions, plan: Split, profile: Profile, now: datetime
) -> FeedbackRows:
    """Return the rows to train on.

    A flag on a transaction of the base table replaces its label; one on any other transaction is added, as
    the models saw it when it was flagged. The held-out window is sealed: a flag on one of its transactions
    is not used, because what a model is judged by must not be taught to it.
    """
    roles = profile.columns
    position = {} if roles.id is None else {str(i): row for row, i in enumerate(base.ids.tolist())}
    sealed = set(plan.test.tolist())
    unused: Counter[str] = Counter()
    records, weights, pasts, replaced = [], [], [], []
    for label in labels:
        prediction = label.prediction
        row = position.get(str(prediction.transaction.get(roles.id))) if roles.id else None
        if prediction.profile != profile.name:
            unused["scored under another profile"] += 1
            continue
        if row is not None and row in sealed:
            unused["inside the sealed held-out window"] += 1
            continue
        try:
            record = validate_transaction(profile, prediction.transaction, now)
        except TransactionError:
            unused["does not fit the profile any more"] += 1
            continue
        if row is not None:
            replaced.append(row)
        value = roles.fraud_values[0] if label.label == Label.FRAUD else roles.legitimate_values[0]
        records.append(record | {roles.label: value})
        weights.append(label.weight)
        pasts.append(prediction.history)
    return FeedbackRows(
        base=_without_labels(base, replaced),
        additions=_additions(records, weights, pasts, profile),
        n_used=len(records),
        unused=dict(unused),
    )


def _without_labels(base: Transactions, rows: Sequence[int]) -> Transactions:
    if not rows:
        return base
    labels = base.labels.copy()
    labels[list(rows)] = np.nan
    return base.with_labels(labels, base.known_at_ms)


def _additions(
    records: Sequence[Mapping[str, object]],
    weights: Sequence[float],
    pasts: Sequence[Sequence[Mapping[str, object]] | None],
    profile: Profile,
) -> Additions | None:
    if not records:
        return None
    table = transactions_from_records(profile, records)
    order = table.rows.tolist()
    past_tables = [None if p is None else transactions_from_records(profile, p) for p in pasts]
    return Additions(
        transactions=table,
        weights=np.array([weights[i] for i in order]),
        pasts=[past_tables[i] for i in order],
    )
