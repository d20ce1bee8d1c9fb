"""Golden vectors: transactions with the answers of the fitted models, which every loader computes again.

Digests say that the files are the right ones; this says that here, with these libraries on this processor,
they mean the same. `golden_writer` chooses them.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fraud.data.validate import transactions_from_records
from fraud.errors import BundleRefused
from fraud.features.history import History
from fraud.models.bundle import GOLDEN_FILE, Bundle
from fraud.records import MODELS

SCHEMA_VERSION = 1
LARGEST_DIFFERENCE = 1e-6
_LARGEST_FILE = 2**20


def check_golden(bundle: Bundle, history: History | None) -> int:
    """Compute the golden vectors with what would serve; return how many there were.

    A release from before there were golden vectors has none, and 0 is returned.

    Parameters
    ----------
    history : the index of the bundle's own past

    Raises
    ------
    BundleRefused
        The file cannot be read, or an answer differs by more than `LARGEST_DIFFERENCE` or in its decision.
    """
    if GOLDEN_FILE not in bundle.manifest["files"]:
        return 0
    transactions, expected = _read(bundle.directory / GOLDEN_FILE)
    try:
        table = transactions_from_records(bundle.profile, transactions)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _unreadable(f"a transaction does not fit the profile ({error!r})") from error
    features = bundle.pipeline.transform(table, history)
    for name, model in bundle.models.items():
        # One row at a time, as a request has it.
        rows = [model.forest.probability(features[i : i + 1]) for i in range(len(features))]
        probabilities = model.calibration(np.concatenate(rows))
        for row, probability in zip(table.rows.tolist(), probabilities.tolist(), strict=True):
            wanted, decision = expected[row][name]
            other = model.thresholds.decide(probability).value != decision
            if other or not abs(probability - wanted) <= LARGEST_DIFFERENCE:
                raise BundleRefused(
                    f"{name} of version {bundle.version} answers {probability:.7f} here and {wanted:.7f} "
                    f"where it was trained, for golden transaction {row + 1}; it is not served. Install the "
                    "library versions of its manifest, or train it again.",
                    code="golden",
                    field=name,
                )
    return len(expected)


def _read(path: Path) -> tuple[Sequence[Mapping[str, Any]], list[dict[str, tuple[float, str]]]]:
    if path.stat().st_size > _LARGEST_FILE:
        raise _unreadable(f"it is larger than {_LARGEST_FILE:,} bytes")
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["schema_version"] != SCHEMA_VERSION or not document["vectors"]:
            raise ValueError("another schema version, or no vector")
        transactions = [dict(vector["transaction"]) for vector in document["vectors"]]
        expected = [
            {
                name: (
                    float(vector["expected"][name]["fraud_probability"]),
                    str(vector["expected"][name]["decision"]),
                )
                for name in MODELS
            }
            for vector in document["vectors"]
        ]
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise _unreadable(f"{error!r}") from error
    return transactions, expected


def _unreadable(why: str) -> BundleRefused:
    return BundleRefused(f"{GOLDEN_FILE} cannot be read: {why}; release it anew.", code="golden")
