"""Choosing what the demo shows first: one telling transaction of each kind, and cards with a past."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fraud.data.profile import DAY_MS, Profile
from fraud.data.table import NEVER_MS, Transactions
from fraud.features.history import History

if TYPE_CHECKING:
    from fraud.models.train import Training  # serving trains nothing

Rows = NDArray[np.intp]
N_ENTITIES = 60
REACH_DAYS = 15
"""Examples lie within this many days of the table's end, and the shipped history covers their windows."""
_PER_KIND = 200
UNKNOWN = "unknown"


def choose_examples(training: "Training") -> dict[str, Any]:
    """Return {"examples": [...], "entities": [...]} for the demo's first page.

    Examples come from after the test window where the table goes on (so that flags on them never touch the
    sealed evaluation), otherwise from the test window, and lie within the reach of the shipped history. For
    each typology the transaction on which the models' mean score is the median of its kind is taken: neither
    the easiest nor the hardest.
    """
    transactions, profile = training.transactions, training.profile
    part = transactions.take(_pool(training))
    kinds = _kinds(part)
    part, kinds = part.take(np.flatnonzero(kinds != UNKNOWN)), kinds[kinds != UNKNOWN]
    scores = _mean_scores(training, part)
    examples = []
    for kind in sorted(set(kinds.tolist()), key=lambda k: (k != "legitimate", k)):
        rows = np.flatnonzero(kinds == kind)
        typical = rows[np.argsort(scores[rows])[len(rows) // 2]]
        examples.append({"kind": kind, "transaction": to_record(part, int(typical), profile)})
    entities = _entities(part, profile, kinds)
    return {"schema_version": 1, "examples": examples, "entities": entities}


def to_record(transactions: Transactions, row: int, profile: Profile) -> dict[str, Any]:
    """Return one transaction as the mapping that a client would send: profile column -> JSON value."""
    record: dict[str, Any] = {}
    if profile.columns.id is not None:
        record[profile.columns.id] = str(transactions.ids[row])
    if profile.columns.time is not None:
        moment = int(transactions.times()[row])
        step = profile.columns.time_step_ms
        record[profile.columns.time] = (
            datetime.fromtimestamp(moment / 1000, UTC).isoformat()
            if step is None
            else (moment - profile.time_origin_ms) / step
        )
    for name, column in transactions.texts.items():
        code = int(column.codes[row])
        record[name] = column.values[code] if code >= 0 else None
    for field in profile.fields:
        if field.kind == "category":
            continue
        value = float(transactions.numbers[field.column][row])
        if np.isnan(value):
            record[field.column] = None
        elif field.kind == "date":
            record[field.column] = datetime.fromtimestamp(value * 86_400, UTC).date().isoformat()
        elif field.kind == "boolean":
            record[field.column] = bool(value)
        else:
            record[field.column] = int(value) if field.integer else round(value, 6)
    return record


def known_label(transactions: Transactions, row: int, profile: Profile) -> dict[str, Any]:
    """Return one transaction's label as a client would send it, and when a fraud was known; {} if unknown."""
    known_at_ms, roles = int(transactions.known_at_ms[row]), profile.columns
    if known_at_ms == NEVER_MS:
        return {}
    if transactions.labels[row] != 1:
        return {roles.label: roles.legitimate_values[0]}
    moment = datetime.fromtimestamp(known_at_ms / 1000, UTC).isoformat()
    return {roles.label: roles.fraud_values[0]} | ({} if roles.label_at is None else {roles.label_at: moment})


def _pool(training: "Training") -> Rows:
    transactions, split = training.transactions, training.split
    if transactions.time_ms is None:
        return split.test
    time = transactions.times()
    earliest = time[-1] - REACH_DAYS * DAY_MS if training.profile.features.history else 0
    named = ~np.isnan(transactions.labels) | (transactions.typology is not None)
    after = np.flatnonzero((time > time[split.test[-1]]) & named)
    pool = after if len(after) >= _PER_KIND else split.test
    recent = pool[time[pool] >= earliest]
    return recent if len(recent) >= _PER_KIND else pool


def _mean_scores(training: "Training", part: Transactions) -> NDArray[np.float64]:
    profile = training.profile
    history = History.of(training.transactions, profile) if profile.features.history else None
    features = training.pipeline.transform(part, history)
    scores = [m.calibration(m.forest.probability(features)) for m in training.models.values()]
    return np.asarray(np.mean(scores, axis=0), np.float64)


def _kinds(part: Transactions) -> NDArray[np.object_]:
    """Return each row's typology, or what its label says; without either it is unknown, not legitimate."""
    if part.typology is None:
        labels = part.labels
        kinds = [np.isnan(labels), labels == 1]
        return np.select(kinds, [UNKNOWN, "fraud"], "legitimate").astype(object)
    nothing = {"none", "0", "nan", "None", ""}
    return np.array([t if t not in nothing else "legitimate" for t in part.typology], dtype=object)


def _entities(part: Transactions, profile: Profile, kinds: NDArray[np.object_]) -> list[str]:
    """Return entities worth looking at: those in the frauds first, then the busiest."""
    if profile.main_entity is None:
        return []
    column = part.texts[profile.main_entity.column]
    used = column.codes >= 0
    frauds = column.codes[used & (kinds != "legitimate")]
    busiest = np.argsort(-np.bincount(column.codes[used], minlength=len(column.values)), kind="stable")
    chosen = dict.fromkeys([*frauds[: N_ENTITIES // 2].tolist(), *busiest.tolist()])
    return [column.values[code] for code in list(chosen)[:N_ENTITIES]]
