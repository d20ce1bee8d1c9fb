"""Choosing golden vectors when a release is written (see `fraud.models.golden`).

Features come from the whole training table and probabilities from the training libraries, so that a loader's
own past, features and packed trees are all compared with something that is not theirs.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fraud.data.profile import DAY_MS, Profile
from fraud.data.table import Transactions
from fraud.data.validate import transactions_from_records
from fraud.features.history import History
from fraud.models.examples import REACH_DAYS, to_record
from fraud.models.golden import SCHEMA_VERSION
from fraud.models.parity import original
from fraud.models.train import Training
from fraud.records import MODELS

N_VECTORS = 36
UNSEEN_LEVEL = "never seen in training"


def choose_golden(training: Training) -> dict[str, Any]:
    """Return the content of golden.json: `N_VECTORS` transactions with both models' answers.

    A third is as it came, a third lacks one or two values, a third has a level that training never saw; half
    of each are among the highest scores, where decisions change.
    """
    records = _records(training)
    table = transactions_from_records(training.profile, records)
    records = [records[row] for row in table.rows.tolist()]  # a table is ordered by time
    history = _history(training.transactions, training.profile)
    features = training.pipeline.transform(table, history)
    answers: dict[str, NDArray[np.float64]] = {}
    for name, model in training.models.items():
        answers[name] = model.calibration(original(model.fitted.estimator)(features))
    return {
        "schema_version": SCHEMA_VERSION,
        "vectors": [
            {
                "transaction": record,
                "expected": {
                    name: {
                        "fraud_probability": float(answers[name][row]),
                        "decision": training.models[name].thresholds.decide(float(answers[name][row])).value,
                    }
                    for name in MODELS
                },
            }
            for row, record in enumerate(records)
        ],
    }


def _records(training: Training) -> list[dict[str, Any]]:
    rng = np.random.default_rng(training.seed)
    rows = _pool(training)
    part = training.transactions.take(rows)
    history = _history(training.transactions, training.profile)
    features = training.pipeline.transform(part, history)
    score = np.mean([m.forest.probability(features) for m in training.models.values()], axis=0)
    n_high = min(N_VECTORS // 2, len(rows))
    high = np.argsort(-score, kind="stable")[: 4 * n_high]
    chosen = rng.choice(high, n_high, replace=False)
    rest = np.setdiff1d(np.arange(len(rows)), chosen)
    chosen = np.concatenate([chosen, rng.choice(rest, min(N_VECTORS - n_high, len(rest)), replace=False)])
    records = []
    for number, row in enumerate(chosen.tolist()):
        record = to_record(part, row, training.profile)
        records.append(_changed(record, training.profile, number, rng))
    return records


def _changed(
    record: dict[str, Any], profile: Profile, number: int, rng: np.random.Generator
) -> dict[str, Any]:
    """Return every second of three with values missing, every third with an unseen level."""
    categories = [field.column for field in profile.fields if field.kind == "category"]
    if number % 3 == 1:
        fields = [field.column for field in profile.fields] + [e.column for e in profile.entities]
        for column in rng.choice(fields, min(2, len(fields)), replace=False).tolist():
            record[column] = None
    elif number % 3 == 2 and categories:
        record[categories[number // 3 % len(categories)]] = UNSEEN_LEVEL
    return record


def _pool(training: Training) -> NDArray[np.intp]:
    """Return held-out rows; where features need a past, rows whose past the bundle ships."""
    transactions, test = training.transactions, training.split.test
    if not training.profile.features.history:
        return test
    time = transactions.times()
    after = np.flatnonzero(time >= max(time[-1] - REACH_DAYS * DAY_MS, time[test[0]]))
    return after if len(after) else test


def _history(transactions: Transactions, profile: Profile) -> History | None:
    return History.of(transactions, profile) if profile.features.history else None
