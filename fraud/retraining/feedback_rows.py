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

OTHER_PROFILE = "scored under another profile"
UNFIT = "does not fit the profile any more"
SEALED = "inside the sealed held-out window"
OTHER_CONTENT = "names a transaction whose content is another"
LEFT_OUT = (OTHER_PROFILE, UNFIT, SEALED, OTHER_CONTENT)
"""Why a label cannot be trained on, now or later."""


@dataclass(frozen=True)
class FeedbackRows:
    """The base table without the rows that people corrected, and the flagged rows beside it."""

    base: Transactions
    additions: Additions | None
    n_used: int
    left_out: Mapping[str, str]
    """Content digest -> why a label cannot be trained on."""

    @property
    def unused(self) -> Mapping[str, int]:
        """How many labels were left out for each reason."""
        return dict(Counter(self.left_out.values()))


def feedback_rows(
    labels: Sequence[ResolvedLabel], base: Transactions, plan: Split, profile: Profile, now: datetime
) -> FeedbackRows:
    """Return the rows to train on.

    A flag on a transaction of the base table replaces its label if it counts as much as a row of it, or is
    settled, and else stands beside it: neither a small weight nor one answer to the lot may erase a whole
    label. One on any other transaction is added, as the models saw it when it was flagged. What a model is
    judged by must not be taught to it, so the held-out window is sealed: by its time where transactions have
    one, and by content where they have none. An id is a claim of the sender: it counts only together with
    the content of the row that it names.
    """
    roles = profile.columns
    base_rows = BaseRows(base, plan, profile)
    left_out: dict[str, str] = {}
    records, weights, pasts, replaced = [], [], [], []
    for label in labels:
        prediction = label.prediction
        if prediction.profile != profile.name:
            left_out[label.content_digest] = OTHER_PROFILE
            continue
        try:
            record = validate_transaction(profile, prediction.transaction, now)
        except TransactionError:
            left_out[label.content_digest] = UNFIT
            continue
        same, reason = base_rows.place(record)
        if reason is not None:
            left_out[label.content_digest] = reason
            continue
        one_answer = label.asked and len(label.reporters) == 1
        if label.settled or (label.weight >= 1 and not one_answer):
            replaced += same
        value = roles.fraud_values[0] if label.label == Label.FRAUD else roles.legitimate_values[0]
        records.append(record | {roles.label: value})
        weights.append(label.weight)
        pasts.append(prediction.history)
    return FeedbackRows(
        base=_without_labels(base, replaced),
        additions=_additions(records, weights, pasts, profile),
        n_used=len(records),
        left_out=left_out,
    )


class BaseRows:
    """Finds a flagged transaction among the rows of the base table."""

    def __init__(self, base: Transactions, plan: Split, profile: Profile) -> None:
        self._base = base
        self._profile = profile
        self._sealed = set(plan.test.tolist())
        self._ids = set() if profile.columns.id is None else set(base.ids.tolist())
        self._window: tuple[int, int] | None = None
        if base.time_ms is not None:
            held_out = base.time_ms[plan.test]
            self._window = int(held_out.min()), int(held_out.max())

    def place(self, record: Mapping[str, object]) -> tuple[list[int], str | None]:
        """Return the base rows of the same content, and why the flag cannot be used (None: it can)."""
        one = transactions_from_records(self._profile, [record])
        if self._window is not None and self._window[0] <= one.times()[0] <= self._window[1]:
            return [], SEALED
        same = self._same_content(one)
        if self._sealed & set(same):
            return [], SEALED
        name = self._profile.columns.id
        claimed = None if name is None or record[name] is None else str(record[name])
        if claimed in self._ids and claimed not in {str(self._base.ids[row]) for row in same}:
            return [], OTHER_CONTENT
        return same, None

    def _same_content(self, one: Transactions) -> list[int]:
        base = self._base
        rows = np.arange(len(base))
        if base.time_ms is not None:
            first, last = np.searchsorted(base.time_ms, [one.times()[0], one.times()[0] + 1])
            rows = rows[first:last]
        for name, column in base.numbers.items():
            # Examples are shown with six decimals.
            rows = rows[np.isclose(column[rows], one.numbers[name][0], rtol=1e-9, atol=1e-6, equal_nan=True)]
        for name, texts in base.texts.items():
            wanted = one.texts[name].texts()[0]
            code = texts.values.index(wanted) if wanted in texts.values else -1
            missing = wanted is not None and code < 0
            rows = rows[:0] if missing else rows[texts.codes[rows] == code]
        return [int(row) for row in rows]


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
